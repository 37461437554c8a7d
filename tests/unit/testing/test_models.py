"""The scripted model meets the rules of a real one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager

import pytest
from langchain_core.messages import HumanMessage, SystemMessage
from pydantic import BaseModel

from motet.bus.budgets import Reservation
from motet.errors import FaultError
from motet.messages import FaultType, Usage
from motet.models.metering import Room, meter
from motet.testing import Asked, ScriptedModel

ASK = [("system", "Be brief."), ("user", "What now?")]


class Step(BaseModel):
    name: str
    count: int = 1


class Purse:
    """A meter with a limit."""

    agent = "tester"
    skill = "test"

    def __init__(self, tokens: int) -> None:
        self.left = tokens
        self.reserved: list[int] = []

    @asynccontextmanager
    async def reserve(self, least: Usage, most: Usage) -> AsyncGenerator[Room]:
        self.reserved.append(most.tokens)
        if most.tokens > self.left:
            raise FaultError.of(FaultType.BUDGET_EXCEEDED, "The purse is empty.")
        room = Reservation(most.output_tokens)
        yield room
        self.left -= room.spent.tokens


@pytest.fixture
def purse() -> Iterator[Purse]:
    made = Purse(100)
    token = meter.set(made)
    yield made
    meter.reset(token)


async def test_answers_by_name() -> None:
    model = ScriptedModel({"step": {"name": "look"}, "text": "Wait."})

    assert await model.text(ASK, max_tokens=5) == "Wait."
    assert await model.structured(ASK, Step, name="step", max_tokens=5) == Step(name="look")
    schema = Step.model_json_schema()
    found = await model.structured(ASK, schema, name="step", max_tokens=5)
    assert found == {"name": "look"}
    assert model.asked[0] == Asked("text", tuple(ASK), 5)
    assert model.asked[0].last == "What now?"
    assert (model.count("text"), model.count("step")) == (1, 2)


async def test_answers_of_every_kind() -> None:
    async def later(asked: Asked) -> str:
        await asyncio.sleep(0)
        return f"{asked.last} Later."

    model = ScriptedModel(
        {"text": ["one", later, lambda asked: asked.max_tokens], "step": Step(name="x", count=2)}
    )
    assert [await model.text(ASK, max_tokens=9) for _ in range(3)] == [
        "one",
        "What now? Later.",
        "9",
    ]
    assert await model.structured(ASK, Step, name="step", max_tokens=5) == Step(name="x", count=2)


async def test_langchains_messages_are_understood() -> None:
    model = ScriptedModel({"text": "yes"})
    await model.text([SystemMessage("Be brief."), HumanMessage("Well?")], max_tokens=5)
    assert model.asked[0].messages == (("system", "Be brief."), ("human", "Well?"))


async def test_an_answer_ends_where_it_is_told_to_stop() -> None:
    model = ScriptedModel({"text": "one\n\ntwo"})
    assert await model.text(ASK, max_tokens=5, stop=["\n\n"]) == "one"


async def test_what_is_not_in_the_script_says_what_was_asked() -> None:
    model = ScriptedModel({"plan": [{}], "text": "x"})

    with pytest.raises(FaultError) as raised:
        await model.structured(ASK, Step, name="step", max_tokens=5)
    fault = raised.value.fault
    assert (fault.type, fault.retryable) == ("unscripted", False)
    assert fault.message == (
        "The script has no answer for 'step'; it has 'plan', 'text'. "
        "The last message was: What now?"
    )
    await model.structured(ASK, {"type": "object"}, name="plan", max_tokens=5)
    with pytest.raises(FaultError, match="no further answer for 'plan'"):
        await model.structured(ASK, {"type": "object"}, name="plan", max_tokens=5)


@pytest.mark.parametrize("answer", ["not json", {"count": 1}, {"name": "x", "count": "many"}])
async def test_an_answer_that_does_not_fit_is_the_fault_of_a_real_model(answer: object) -> None:
    model = ScriptedModel({"step": answer})
    for schema in (Step, Step.model_json_schema()):
        with pytest.raises(FaultError) as raised:
            await model.structured(ASK, schema, name="step", max_tokens=5)
        assert raised.value.fault.type == FaultType.MODEL_OUTPUT_INVALID


async def test_an_exception_in_the_script_is_raised() -> None:
    gone = FaultError.of(FaultType.MODEL_FAILED, "Gone.")
    model = ScriptedModel({"text": [gone, "back"]})
    with pytest.raises(FaultError, match="Gone"):
        await model.text(ASK, max_tokens=5)
    assert await model.text(ASK, max_tokens=5) == "back"


async def test_the_budget_is_asked_before_and_pays_after(purse: Purse) -> None:
    model = ScriptedModel({"text": "x" * 40})

    await model.text(ASK, max_tokens=20)

    # 18 characters in, 40 out, at four a token.
    assert (purse.reserved, purse.left) == ([4 + 20], 100 - 4 - 10)
    with pytest.raises(FaultError, match="purse is empty"):
        await model.text(ASK, max_tokens=90)
    assert model.count("text") == 1


async def test_a_request_may_cost_what_the_test_says(purse: Purse) -> None:
    model = ScriptedModel({"text": "x"}, usage=Usage(input_tokens=60, model_calls=1))
    await model.text(ASK, max_tokens=1)
    assert purse.left == 40
