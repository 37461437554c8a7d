"""Capability: the setting decides, then the model's card, then one request to the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from motet.models import chat_model
from motet.models.capability import Capability
from motet.settings import Settings
from tests.unit.models.fake_server import Answer, FakeServer, completion, failure


def calling(name: str, arguments: str) -> Answer:
    answer = completion("", finish="tool_calls")
    call = {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}}
    answer[1]["choices"][0]["message"]["tool_calls"] = [call]
    return answer


async def capability(settings: Settings) -> Capability:
    model = chat_model(settings)
    try:
        return await model.capability()
    finally:
        await model.close()


async def test_a_model_without_a_card_is_probed_once_and_the_result_kept(
    fake: FakeServer, settings_of: Callable[..., Settings]
) -> None:
    fake.answer(calling("retriever__search", '{"query": "mayor of Tvillinge in 1987"}'))
    settings = settings_of(model="openai:unheard-of", model_url=fake.url)

    first, second = await capability(settings), await capability(settings)

    assert (first.profile, first.calls_tools) == ("capable", True)
    assert "probe" in first.why
    assert second == first
    assert len(fake.requests) == 1
    assert fake.requests[0]["tools"]


@pytest.mark.parametrize(
    "answer",
    [
        completion("It was Ada Brown."),
        calling("another", '{"query": "x"}'),
        calling("retriever__search", '{"question": "x"}'),
    ],
)
async def test_a_model_that_does_not_call_the_tool_is_small(
    fake: FakeServer, settings_of: Callable[..., Settings], answer: Answer
) -> None:
    fake.answer(answer)

    found = await capability(settings_of(model="openai:unheard-of", model_url=fake.url))

    assert (found.profile, found.calls_tools) == ("small", False)


async def test_a_model_that_fails_is_small_now_and_asked_again_later(
    fake: FakeServer, settings_of: Callable[..., Settings]
) -> None:
    settings = settings_of(model="openai:unheard-of", model_url=fake.url)
    fake.answer(failure(400, "no"))
    failed = await capability(settings)
    fake.answer(calling("retriever__search", '{"query": "x"}'))

    assert failed.profile == "small"
    assert (await capability(settings)).profile == "capable"


@pytest.mark.parametrize(
    "model, profile", [("openai:gpt-4.1-mini", "capable"), ("local:qwen2.5-coder-1.5b", "small")]
)
async def test_a_card_spares_the_probe(
    fake: FakeServer,
    settings_of: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    profile: str,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")

    found = await capability(settings_of(model=model, model_url=fake.url))

    assert found.profile == profile
    assert "card" in found.why
    assert fake.requests == []


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({"model_profile": "capable"}, ("capable", True)),
        ({"model_profile": "small"}, ("small", False)),
        ({"model_profile": "capable", "model_tools": False}, ("capable", False)),
        ({"model_profile": "small", "model_tools": True}, ("small", True)),
    ],
)
async def test_a_setting_decides(
    fake: FakeServer,
    settings_of: Callable[..., Settings],
    settings: dict[str, Any],
    expected: tuple[str, bool],
) -> None:
    found = await capability(settings_of(model="openai:x", model_url=fake.url, **settings))

    assert (found.profile, found.calls_tools) == expected
    assert fake.requests == []
