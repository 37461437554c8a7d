"""Calls that succeed: what goes in comes out, whatever its form and size."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from motet.agent import Agent, Call
from motet.bus import Bucket
from motet.errors import FaultError
from motet.messages import Answer, FaultType, Message, Task
from motet.testing import TestMesh
from tests.integration.bus.agents import Done, Order, echo, planner, worker


async def test_a_call_gives_what_the_skill_gave(mesh: TestMesh) -> None:
    await mesh.join(worker(echo))

    assert await mesh.motet.call("worker.work", Order(text="a"), Done) == Done(text="a")
    assert await mesh.motet.call("worker.work", {"text": "b"}) == Done(text="b").model_dump()
    assert await mesh.waiting("CALLS") == 0


@pytest.mark.parametrize(
    "output, kind",
    [
        (None, type(None)),
        (3, int),
        ("text", str),
        ([{"a": [1, 2.5, None]}], list[dict[str, list[float | None]]]),
        ({"ü": "☃"}, dict),
        (Done(text="x"), Done),
    ],
)
async def test_outputs_of_every_type(mesh: TestMesh, output: Any, kind: type[Any]) -> None:
    async def give(request: Order, call: Call) -> Any:
        return output

    await mesh.join(worker(give))

    assert await mesh.motet.call("worker.work", {}, kind) == output


async def test_an_output_that_is_not_what_the_caller_wants(mesh: TestMesh) -> None:
    await mesh.join(worker(echo))

    with pytest.raises(FaultError, match=r"worker.work gave an output that does not fit Order: "):
        await mesh.motet.call(
            "worker.work",
            Order(text="a"),
            type(
                "Order",
                (Order,),
                {
                    "__annotations__": {"missing": int},
                    "__module__": __name__,
                },
            ),
        )


async def test_an_output_that_is_no_json_is_a_fault_after_one_attempt(mesh: TestMesh) -> None:
    attempts: list[int] = []

    async def give(request: Order, call: Call) -> Any:
        attempts.append(call.attempt)
        return object()

    await mesh.join(worker(give))

    with pytest.raises(FaultError, match="gave an output that is no JSON") as raised:
        await mesh.motet.call("worker.work", {})
    assert raised.value.fault.type == FaultType.INTERNAL
    assert attempts == [1]


@pytest.mark.mesh(max_body_bytes=2048)
async def test_large_requests_and_outputs_go_through_the_object_store(mesh: TestMesh) -> None:
    bodies: list[int] = []

    async def double(request: Order, call: Call) -> Done:
        bodies.append(len(request.text))
        return Done(text=request.text * 2)

    await mesh.join(worker(double))
    text = "abcdefgh" * 100_000

    done = await mesh.motet.call("worker.work", Order(text=text), Done)

    assert done.text == text * 2
    assert bodies == [len(text)]
    stored = [item.key for item in await Bucket(mesh.bus, "results").items()]
    assert len(stored) == 1


async def test_an_unknown_skill_is_refused_at_once(mesh: TestMesh) -> None:
    await mesh.join(worker(echo))

    for skill in ("worker.play", "nobody.work", "worker", "", ".", "a.b.c", "worker.*", "> .x y"):
        with pytest.raises(FaultError) as raised:
            await mesh.motet.call(skill, {})
        assert raised.value.fault.type == FaultType.UNKNOWN_SKILL
        assert "motet agents" in raised.value.fault.message
    assert await mesh.waiting("CALLS") == 0
    assert await mesh.motet.call("worker.work", {"text": "still here"}, Done)


async def test_many_calls_at_once_each_get_their_own_outcome(mesh: TestMesh) -> None:
    await mesh.join(worker(echo))

    async def one(number: int) -> bool:
        done = await mesh.motet.call("worker.work", Order(text=str(number)), Done)
        return done.text == str(number)

    assert all(await asyncio.gather(*(one(number) for number in range(300))))
    assert await mesh.waiting("CALLS") == 0


async def test_a_handler_sees_whose_call_it_is(mesh: TestMesh) -> None:
    seen: list[dict[str, Any]] = []

    async def look(request: Order, call: Call) -> Done:
        seen.append(
            {
                "task": call.task,
                "parent": call.parent,
                "depth": call.depth,
                "attempt": call.attempt,
                "agent": call.agent,
                "skill": call.skill,
                "key": call.idempotency_key == f"{call.task}.{call.id}",
                "in time": 0 < (call.time_left_s() or 0) <= 600,
            }
        )
        return Done(text="")

    async def plan(task: Task, call: Call) -> Answer:
        await call.delegate("worker.work", {}, step="look")
        return Answer(text="done")

    await mesh.join(worker(look))
    await mesh.join(planner(plan))

    task = await mesh.motet.submit("look")
    await task.result(10)

    assert seen == [
        {
            "task": task.id,
            "parent": "task",
            "depth": 1,
            "attempt": 1,
            "agent": "worker",
            "skill": "work",
            "key": True,
            "in time": True,
        }
    ]


async def test_parameters_by_dependency_injection(mesh: TestMesh) -> None:
    agent = _with_context()
    await mesh.join(agent, context={"greeting": "hello"})

    assert await mesh.motet.call("greeter.greet", {"text": "you"}, Done) == Done(text="hello you")
    assert await mesh.motet.call("greeter.bare", {"text": "you"}, Done) == Done(text="you")


def _with_context() -> Agent:
    from typing import Annotated

    from faststream import Context

    agent = Agent("greeter", "Greets.")

    async def greet(request: Order, call: Call, greeting: Annotated[str, Context()]) -> Done:
        return Done(text=f"{greeting} {request.text}")

    greet.__annotations__["greeting"] = Annotated[str, Context()]
    agent.skill("greet", "Greets somebody.")(greet)

    @agent.skill("bare", "Repeats.")
    async def bare(request: Order) -> Done:
        return Done(text=request.text)

    return agent


class Strict(Message):
    """A request that not every body fits."""

    count: int


async def test_a_request_that_does_not_fit_says_where(mesh: TestMesh) -> None:
    agent = Agent("counter", "Counts.")

    @agent.skill("count", "Counts.")
    async def count(request: Strict, call: Call) -> int:
        return request.count + 1

    await mesh.join(agent)

    assert await mesh.motet.call("counter.count", {"count": 1, "later": "field"}, int) == 2
    with pytest.raises(FaultError, match=r"does not fit: count: .*valid integer") as raised:
        await mesh.motet.call("counter.count", {"count": "one"}, int)
    assert raised.value.fault.type == FaultType.INVALID_INPUT
    assert raised.value.fault.agent == "counter"
