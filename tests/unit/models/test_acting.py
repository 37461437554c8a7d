"""A model that calls tools: what is sent, what comes back, and what it costs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from motet.errors import FaultError
from motet.models import ChatModel, chat_model
from motet.models.metering import meter
from motet.settings import Settings
from tests.unit.models.fake_server import FakeServer, completion, failure
from tests.unit.models.test_chat import Payer

SettingsOf = Callable[..., Settings]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather__now",
            "description": "The sky over a city.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]
HISTORY = [
    HumanMessage("How is the sky over Lund and Ely?"),
    AIMessage("", tool_calls=[{"name": "weather__now", "args": {"city": "Lund"}, "id": "c1"}]),
    ToolMessage("clear", tool_call_id="c1"),
]


def calling(name: str, arguments: str) -> tuple[int, dict[str, Any]]:
    status, body = completion("", finish="tool_calls")
    function = {"name": name, "arguments": arguments}
    body["choices"][0]["message"]["tool_calls"] = [
        {"id": "c2", "type": "function", "function": function}
    ]
    return status, body


@asynccontextmanager
async def opened(settings: Settings) -> AsyncGenerator[ChatModel]:
    model = chat_model(settings)
    yield model
    await model.close()


async def test_tools_go_out_and_calls_come_back_paid(
    fake: FakeServer, settings_of: SettingsOf
) -> None:
    fake.answer(calling("weather__now", '{"city": "Ely"}'))
    settings = settings_of(model="openai:gpt-4.1-mini", model_url=fake.url)
    payer = Payer()
    async with opened(settings) as model:
        meter.set(payer)
        said = await model.act(HISTORY, TOOLS, max_tokens=50)
        await model.act(HISTORY, TOOLS, max_tokens=50)

    assert [(each["name"], each["args"]) for each in said.tool_calls] == [
        ("weather__now", {"city": "Ely"})
    ]
    assert len(fake.requests) == 2  # an equal request is asked again
    assert fake.requests[0]["tools"][0]["function"]["name"] == "weather__now"
    assert [each["role"] for each in fake.requests[0]["messages"]] == ["user", "assistant", "tool"]
    assert [each.tokens for each in payer.spent] == [18, 18]
    # What tools are described by, and what was called, is read too.
    assert payer.reserved[0] > 50 + len(str(TOOLS)) // 4


async def test_only_models_that_call_tools_are_asked(
    fake: FakeServer, second_fake: FakeServer, settings_of: SettingsOf
) -> None:
    local = settings_of(model="local:small", model_url=fake.url, model_tools=False)
    async with opened(local) as model:
        assert not (await model.capability()).calls_tools
        with pytest.raises(FaultError, match=r"model_failed: .* MOTET_MODEL_TOOLS=true") as raised:
            await model.act(HISTORY, TOOLS, max_tokens=50)
    assert not raised.value.fault.retryable
    assert fake.requests == []
    async with opened(settings_of(model="none")) as model:
        assert not (await model.capability()).calls_tools
        with pytest.raises(FaultError, match="model_failed"):
            await model.act(HISTORY, TOOLS, max_tokens=50)

    declared = settings_of(model="local:large", model_url=second_fake.url, model_tools=True)
    async with opened(declared) as model:
        assert (await model.capability()).calls_tools
        assert (await model.act(HISTORY, TOOLS, max_tokens=50)).text == "from the second"


async def test_a_failure_is_a_fault(fake: FakeServer, settings_of: SettingsOf) -> None:
    fake.answer(failure(400, "no such tool"))
    async with opened(settings_of(model="openai:gpt-4.1-mini", model_url=fake.url)) as model:
        with pytest.raises(FaultError, match=r"model_failed: .*no such tool"):
            await model.act(HISTORY, TOOLS, max_tokens=50)
