"""Versions that follow one another: who stops finishes or hands back, and both live beside."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from motet import messages
from motet.agent import Agent, Call
from motet.bus.pages import pages
from motet.messages import (
    EVENT,
    AgentCard,
    Answer,
    CallResult,
    StateChanged,
    Task,
    TaskRecord,
    TaskState,
)
from motet.messages.base import Message, Value
from motet.testing import Flaky, Gate, TestMesh, with_fault
from tests.integration.bus.agents import Done, Order, echo, planner, worker

WORKER = Path(__file__).with_name("patient_worker.py")
PATIENCE_S = 30


async def plan(task: Task, call: Call) -> Answer:
    await call.state(TaskState.RUNNING)
    done = await call.delegate("worker.work", {"text": task.goal}, Done, step="one")
    return Answer(text=done.text)


async def in_work(mesh: TestMesh, count: int) -> None:
    """Waits until so many calls of the worker have been given to somebody."""
    stream = mesh.bus.topology.stream("CALLS")
    async with asyncio.timeout(PATIENCE_S):
        while True:
            info = await mesh.bus.js.consumer_info(stream, "worker-work")
            if info.num_ack_pending == count:
                return


async def test_a_process_that_is_told_to_stop_finishes_its_calls(mesh: TestMesh) -> None:
    process = await mesh.spawn("worker", WORKER, env={"WORK_S": "1"})
    calls = [
        asyncio.create_task(mesh.motet.call("worker.work", {"text": str(number)}, Done))
        for number in range(8)
    ]
    await in_work(mesh, len(calls))

    process.signal(signal.SIGTERM)

    async with asyncio.timeout(PATIENCE_S):
        done = await asyncio.gather(*calls)
        assert await process.wait() == 0
    assert [each.text for each in done] == [str(number) for number in range(8)]
    assert {each.attempt for each in done} == {1}
    await mesh.drained("CALLS")


async def test_a_planner_that_stops_hands_its_tasks_to_another(mesh: TestMesh) -> None:
    gate = Gate()
    runs = Flaky()
    await mesh.join(with_fault(with_fault(worker(echo), "work", gate), "work", runs))
    old = await mesh.join(planner(plan))
    tasks = [await mesh.motet.submit(f"task {number}") for number in range(5)]
    await gate.wait(entered=5)

    await mesh.leave(old, grace_s=0)
    await mesh.join(planner(plan))
    gate.open()

    for number, task in enumerate(tasks):
        record = await task.result(PATIENCE_S)
        assert record.answer == Answer(text=f"task {number}")
        states = [
            event.state async for _, event in task.events() if isinstance(event, StateChanged)
        ]
        assert states[-1] == "succeeded"
        assert states.count(TaskState.SUCCEEDED) == 1
    assert runs.runs == len(tasks)
    assert await mesh.motet.dead() == []


class NewerOrder(Order):
    """What the next version is given."""

    loud: bool = False


class NewerDone(Done):
    """What the next version gives back."""

    by: str = ""


def next_version() -> Agent:
    agent = Agent("worker", "Works, and better.", version="0.2.0")

    @agent.skill("work", "Does as it is told.")
    async def work(request: NewerOrder, call: Call) -> NewerDone:
        await asyncio.sleep(0)
        text = request.text.upper() if request.loud else request.text
        return NewerDone(text=text, attempt=call.attempt, by="0.2.0")

    return agent


async def test_a_new_version_takes_over_under_load(mesh: TestMesh) -> None:
    """Old and new callers, old and new workers: every call has its one outcome."""
    count = 200
    old = await mesh.join(worker(echo))
    await mesh.join(planner(plan))
    answered: Counter[str] = Counter()
    halfway, enough = asyncio.Event(), asyncio.Event()
    limit = asyncio.Semaphore(20)

    async def one(number: int) -> None:
        request: dict[str, Any] = {"text": f"call {number}"}
        if number % 2:
            request["loud"] = False
        async with limit:
            done = await mesh.motet.call("worker.work", request, Done)
        answered[done.text] += 1
        if answered.total() == count // 4:
            halfway.set()
        if answered.total() == count // 2:
            enough.set()

    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(one(number))
        await halfway.wait()
        await mesh.join(next_version())
        assert {card.name for card in await mesh.motet.agents()} == {"worker", "planner"}
        task = await mesh.motet.submit("beside both")
        await enough.wait()
        await mesh.leave(old)

    assert answered == Counter(f"call {number}" for number in range(count))
    assert (await task.result(PATIENCE_S)).answer == Answer(text="beside both")
    newer = await mesh.motet.call("worker.work", {"text": "x", "loud": True}, NewerDone)
    assert newer == NewerDone(text="X", by="0.2.0")
    cards = {card.name: card.version for card in await mesh.motet.agents()}
    assert cards["worker"] == "0.2.0"
    assert await mesh.motet.dead() == []


WIRE_TYPES = sorted(
    (
        kind
        for kind in vars(messages).values()
        if isinstance(kind, type) and issubclass(kind, Value) and kind not in (Message, Value)
    ),
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", WIRE_TYPES, ids=lambda kind: kind.__name__)
def test_every_wire_type_takes_fields_that_it_does_not_know(kind: type[Value]) -> None:
    assert kind.model_config.get("extra") == "ignore"
    schema = kind.model_json_schema()
    parts = [schema, *schema.get("$defs", {}).values()]
    assert all(part.get("additionalProperties") is not False for part in parts)


def of_the_future(value: Any) -> Any:
    """The same with a field that nobody knows in every object."""
    if isinstance(value, dict):
        return {key: of_the_future(each) for key, each in value.items()} | {"from_v9": "new"}
    if isinstance(value, list):
        return [of_the_future(each) for each in value]
    return value


@pytest.mark.parametrize(
    "stream, kind",
    [
        ("EVENTS", EVENT),
        ("KV_results", TypeAdapter(CallResult)),
        ("KV_tasks", TypeAdapter(TaskRecord)),
        ("KV_agents", TypeAdapter(AgentCard)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_a_newer_mesh_writes_is_read(
    mesh: TestMesh, stream: str, kind: TypeAdapter[Any]
) -> None:
    await mesh.join(worker(echo))
    await mesh.join(planner(plan))
    await (await mesh.motet.submit("go")).result(PATIENCE_S)
    topology = mesh.bus.topology
    bucket = stream.removeprefix("KV_")
    name = topology.stream(stream) if bucket == stream else f"KV_{topology.bucket(bucket)}"
    written = [
        message.body
        async for page in pages(mesh.bus, name, ">", "It cannot be read")
        for message in page
    ]

    assert written
    for body in written:
        newer = kind.validate_json(to_json(of_the_future(from_json(body))))
        known, seen = kind.validate_json(body), kind.dump_python(newer, mode="json")
        assert shared(seen, kind.dump_python(known, mode="json"))


def shared(newer: Any, known: Any) -> bool:
    """Whether all that was known is still there; free-form values keep what they are given."""
    if isinstance(known, dict):
        return all(shared(newer[key], value) for key, value in known.items())
    if isinstance(known, list):
        return all(shared(left, right) for left, right in zip(newer, known, strict=True))
    return bool(newer == known)
