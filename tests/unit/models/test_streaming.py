"""An answer that is heard while it is written is the answer that comes without."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from motet.bus.budgets import Reservation
from motet.errors import FaultError
from motet.messages import FaultType, Usage
from motet.models import ChatModel, chat_model
from motet.models.metering import Room, meter
from motet.settings import Settings
from tests.unit.models.fake_server import FakeServer, completion, failure

QUESTION = [("user", "What is a motet?")]
ANSWER = "A piece for\nseveral voices."

ModelOf = Callable[..., ChatModel]


class Payer:
    agent, skill = "planner", "submit"

    def __init__(self) -> None:
        self.spent: list[Usage] = []

    @asynccontextmanager
    async def reserve(self, least: Usage, most: Usage) -> AsyncGenerator[Room]:
        room = Reservation(most.output_tokens)
        yield room
        self.spent.append(room.spent)


@pytest.fixture
async def model_of(
    fake: FakeServer, settings_of: Callable[..., Settings]
) -> AsyncIterator[ModelOf]:
    made: list[ChatModel] = []

    def model(**values: Any) -> ChatModel:
        made.append(
            chat_model(settings_of(**{"model": "local:fake", "model_url": fake.url, **values}))
        )
        return made[-1]

    yield model
    for each in made:
        await each.close()


def hearing(heard: list[str]) -> Any:
    async def hear(piece: str) -> None:
        heard.append(piece)

    return hear


async def test_an_answer_is_heard_in_pieces_and_paid_for(
    fake: FakeServer, model_of: ModelOf
) -> None:
    fake.answer(completion(ANSWER))
    heard = list[str]()
    payer = Payer()
    token = meter.set(payer)
    try:
        text = await model_of().text(QUESTION, max_tokens=50, stop=["#"], heard=hearing(heard))
    finally:
        meter.reset(token)

    assert text == ANSWER == "".join(heard)
    assert len(heard) == 5
    assert [(usage.input_tokens, usage.output_tokens) for usage in payer.spent] == [(11, 7)]
    (request,) = fake.requests
    assert request["stream"] is True
    assert request["stop"] == ["#"]
    assert request["max_completion_tokens"] == 50


async def test_what_the_cache_knows_is_heard_at_once(fake: FakeServer, model_of: ModelOf) -> None:
    fake.answer(completion(ANSWER))
    model, heard = model_of(), list[str]()
    await model.text(QUESTION, max_tokens=50)

    assert await model.text(QUESTION, max_tokens=50, heard=hearing(heard)) == ANSWER
    assert heard == [ANSWER]
    assert len(fake.requests) == 1


async def test_a_fallback_is_heard_when_nobody_was_before(
    fake: FakeServer, model_of: ModelOf
) -> None:
    fake.answer(failure(400, "no"), completion(ANSWER))
    heard = list[str]()
    model = model_of(model_fallbacks="local:other")

    assert await model.text(QUESTION, max_tokens=50, heard=hearing(heard)) == ANSWER
    assert "".join(heard) == ANSWER


async def test_the_fault_of_who_hears_is_no_failure_of_the_model(
    fake: FakeServer, model_of: ModelOf
) -> None:
    async def broken(piece: str) -> None:
        raise FaultError.of(FaultType.UNAVAILABLE, "NATS is away.")

    with pytest.raises(FaultError, match="NATS is away"):
        await model_of().text(QUESTION, max_tokens=50, heard=broken)
