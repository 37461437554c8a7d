"""Providers with an API of their own, asked through LangChain: Anthropic and Google."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import BaseModel, Field

from motet.bus.budgets import Reservation
from motet.errors import FaultError
from motet.messages import FaultType, Usage
from motet.models import ChatModel, chat_model
from motet.models.metering import Room, meter
from motet.settings import Settings
from tests.unit.models.fake_server import FakeServer

QUESTION = [("system", "Be short."), ("user", "Which city?")]


class City(BaseModel):
    name: str
    people: int = Field(ge=0)


class Payer:
    agent = "planner"
    skill = "submit"

    def __init__(self) -> None:
        self.spent: list[Usage] = []

    @asynccontextmanager
    async def reserve(self, least: Usage, most: Usage) -> AsyncGenerator[Room]:
        room = Reservation(most.output_tokens)
        yield room
        self.spent.append(room.spent)


def claude(*content: dict[str, Any], stop: str = "tool_use") -> tuple[int, dict[str, Any]]:
    return 200, {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-4-5",
        "content": list(content),
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {"input_tokens": 100, "output_tokens": 20},
    }


def city_of(people: int) -> dict[str, Any]:
    return {"type": "tool_use", "id": "t", "name": "city", "input": {"name": "X", "people": people}}


def gemini(text: str, *, finish: str = "STOP") -> tuple[int, dict[str, Any]]:
    return 200, {
        "candidates": [
            {"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": finish}
        ],
        "usageMetadata": {
            "promptTokenCount": 100,
            "candidatesTokenCount": 20,
            "totalTokenCount": 120,
        },
        "modelVersion": "gemini-3.1-flash-lite",
    }


@pytest.fixture
def payer() -> Payer:
    payer = Payer()
    meter.set(payer)
    return payer


@pytest.fixture
def anthropic(
    fake: FakeServer, settings_of: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> ChatModel:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "key")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", fake.url.removesuffix("/v1"))
    return chat_model(settings_of(model="anthropic:claude-haiku-4-5"))


@pytest.fixture
def google(
    fake: FakeServer, settings_of: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> ChatModel:
    monkeypatch.setenv("GOOGLE_API_KEY", "key")
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", fake.url.removesuffix("/v1"))
    return chat_model(settings_of(model="google_genai:gemini-3.1-flash-lite"))


async def test_anthropic_in_text(fake: FakeServer, anthropic: ChatModel, payer: Payer) -> None:
    fake.answer(claude({"type": "text", "text": "Lyon"}, stop="end_turn"))
    assert await anthropic.text(QUESTION, max_tokens=50, stop=["."]) == "Lyon"
    (asked,) = fake.requests
    assert asked["temperature"] == 0
    assert asked["stop_sequences"] == ["."]
    assert asked["max_tokens"] >= 50
    (usage,) = payer.spent
    assert (usage.input_tokens, usage.output_tokens, usage.model_calls) == (100, 20, 1)
    assert usage.cost_usd == pytest.approx(100 * 1e-6 + 20 * 5e-6)  # $1 and $5 a million


async def test_anthropic_in_a_form_with_a_repair(
    fake: FakeServer, anthropic: ChatModel, payer: Payer
) -> None:
    fake.answer(claude(city_of(-1)), claude(city_of(5)))
    city = await anthropic.structured(QUESTION, City, name="city", max_tokens=50)
    assert city == City(name="X", people=5)
    assert fake.requests[0]["tools"][0]["name"] == "city"
    assert "people" in json.dumps(fake.requests[1]["messages"][-1])
    assert len(payer.spent) == 2


async def test_anthropic_cut_off(fake: FakeServer, anthropic: ChatModel) -> None:
    fake.answer(claude({"type": "text", "text": "Well,"}, stop="max_tokens"))
    with pytest.raises(FaultError, match="cut off") as error:
        await anthropic.structured(QUESTION, City, name="city", max_tokens=50)
    assert error.value.fault.type == FaultType.MODEL_OUTPUT_INVALID


async def test_google_in_a_form(fake: FakeServer, google: ChatModel, payer: Payer) -> None:
    fake.answer(gemini('{"name": "X", "people": 5}'))
    city = await google.structured(QUESTION, City, name="city", max_tokens=50)
    assert city == City(name="X", people=5)
    (usage,) = payer.spent
    assert (usage.input_tokens, usage.output_tokens) == (100, 20)
    assert usage.cost_usd > 0
    limit = fake.requests[0]["generationConfig"]["maxOutputTokens"]
    assert limit >= 50


async def test_google_cut_off(fake: FakeServer, google: ChatModel) -> None:
    fake.answer(gemini('{"name": "X', finish="MAX_TOKENS"))
    with pytest.raises(FaultError, match="cut off"):
        await google.structured(QUESTION, City, name="city", max_tokens=50)
