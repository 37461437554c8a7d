"""Pictures in messages: who sees them, and what each provider is sent."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from motet.models import chat_model
from motet.settings import Settings
from tests.unit.models.fake_server import FakeServer, completion

RED, BLUE = (base64.b64encode(each).decode() for each in (b"a red picture", b"a blue picture"))


def question(picture: str) -> list[tuple[str, Any]]:
    blocks = [
        {"type": "text", "text": "What colour is it?"},
        {"type": "image", "base64": picture, "mime_type": "image/png"},
    ]
    return [("system", "Be short."), ("user", blocks)]


async def test_a_server_of_openais_kind_is_sent_an_address_of_data(
    fake: FakeServer, settings_of: Callable[..., Settings]
) -> None:
    model = chat_model(settings_of(model="local:eyes", model_url=fake.url, model_sees=True))
    assert model.sees
    await model.text(question(RED), max_tokens=9)
    (asked,) = fake.requests
    _, image = asked["messages"][-1]["content"]
    assert image == {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{RED}"}}
    await model.close()


async def test_anthropic_is_sent_its_own_form(
    fake: FakeServer, settings_of: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "key")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", fake.url.removesuffix("/v1"))
    reply = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-4-5",
        "content": [{"type": "text", "text": "red"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
    fake.answer((200, reply))
    model = chat_model(settings_of(model="anthropic:claude-haiku-4-5"))
    assert model.sees
    await model.text(question(RED), max_tokens=9)
    (asked,) = fake.requests
    source = asked["messages"][-1]["content"][1]["source"]
    assert source == {"type": "base64", "media_type": "image/png", "data": RED}
    await model.close()


async def test_another_picture_is_another_question(
    fake: FakeServer, settings_of: Callable[..., Settings]
) -> None:
    fake.answer(completion("red"), completion("blue"))
    model = chat_model(settings_of(model="local:eyes", model_url=fake.url, model_sees=True))
    assert await model.text(question(RED), max_tokens=9) == "red"
    assert await model.text(question(BLUE), max_tokens=9) == "blue"
    assert await model.text(question(RED), max_tokens=9) == "red"  # from the cache
    assert len(fake.requests) == 2
    await model.close()


@pytest.mark.parametrize(
    "given, sees",
    [
        ({"model": "openai:gpt-4.1-mini"}, True),
        ({"model": "openai:gpt-4.1-mini", "model_sees": False}, False),
        ({"model": "openai:gpt-4.1-mini", "model_fallbacks": "openai:gpt-3.5-turbo"}, False),
        ({"model": "openai:a-model-that-nobody-knows"}, False),
        ({"model": "local:gpt-4.1-mini", "model_url": "http://127.0.0.1:9/v1"}, False),
        ({"model": "local:x", "model_url": "http://127.0.0.1:9/v1", "model_sees": True}, True),
        ({"model": "none"}, False),
    ],
)
async def test_who_sees(
    given: dict[str, Any],
    sees: bool,
    settings_of: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    model = chat_model(settings_of(**given))
    assert model.sees == sees
    await model.close()


async def test_what_is_recorded_has_no_pictures() -> None:
    from langchain_core.messages import convert_to_messages

    from motet.models.endpoint import Request
    from motet.models.observation import content_of

    messages = convert_to_messages(question(RED))
    assert RED not in content_of(messages)
    assert "What colour" in json.dumps(content_of(messages))
    without = convert_to_messages(question(RED)[:1])
    assert Request(messages, 9).estimated_tokens - Request(without, 9).estimated_tokens > 1000
