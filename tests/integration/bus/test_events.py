"""What happens in a task, in order, for whoever follows it, from any point."""

from __future__ import annotations

import asyncio

import pytest

from motet.agent import Call
from motet.messages import (
    Answer,
    CallFinished,
    CallStarted,
    Event,
    PlanMade,
    Progress,
    StateChanged,
    Task,
    TaskState,
)
from motet.testing import Flaky, Gate, TestMesh, with_fault
from tests.integration.bus.agents import Done, Order, planner, publish, worker


async def chatty(request: Order, call: Call) -> Done:
    for number in range(3):
        await call.event(f"line {number}", number=number)
    return Done(text="x")


async def plan(task: Task, call: Call) -> Answer:
    await call.state(TaskState.PLANNING)
    await call.publish(PlanMade(task=call.task, steps=()))
    await call.state(TaskState.RUNNING)
    await call.delegate("worker.work", {}, step="one")
    return Answer(text="done")


def kinds(events: list[Event]) -> list[str]:
    return [
        f"{event.kind} {event.state}" if isinstance(event, StateChanged) else event.kind
        for event in events
    ]


EXPECTED = [
    "state submitted",
    "state planning",
    "plan",
    "state running",
    "call_started",
    "progress",
    "progress",
    "progress",
    "call_finished",
    "state succeeded",
]


async def test_events_come_in_order_and_end_with_the_task(mesh: TestMesh) -> None:
    await mesh.join(worker(chatty))
    await mesh.join(planner(plan))

    task = await mesh.motet.submit("go")
    live = [pair async for pair in task.events()]

    assert kinds([event for _, event in live]) == EXPECTED
    lines = [event.message for _, event in live if isinstance(event, Progress)]
    assert lines == ["line 0", "line 1", "line 2"]
    started = next(event for _, event in live if isinstance(event, CallStarted))
    finished = next(event for _, event in live if isinstance(event, CallFinished))
    assert (started.call, started.parent) == (finished.call, "task")
    assert finished.ok
    last = live[-1][1]
    assert isinstance(last, StateChanged)
    assert last.answer == Answer(text="done")
    # Whoever comes later is given the same, also from the middle.
    assert [pair async for pair in task.events()] == live
    sequence, _ = live[4]
    assert [pair async for pair in task.events(after=sequence)] == live[5:]


async def test_followers_see_only_their_task(mesh: TestMesh) -> None:
    await mesh.join(worker(chatty))
    await mesh.join(planner(plan))
    tasks = [await mesh.motet.submit(f"go {number}") for number in range(5)]

    async def follow(number: int) -> list[str]:
        found = [event async for _, event in tasks[number].events()]
        assert {event.task for event in found} == {tasks[number].id}
        return kinds(found)

    assert await asyncio.gather(*(follow(number) for number in range(5))) == [EXPECTED] * 5


async def test_following_begins_before_anything_happens(mesh: TestMesh) -> None:
    following = asyncio.create_task(_all(mesh, "later"))
    await mesh.join(worker(chatty))
    await mesh.join(planner(plan))
    await mesh.motet.submit(Task(id="later", goal="go"))

    async with asyncio.timeout(10):
        assert kinds(await following) == EXPECTED


async def _all(mesh: TestMesh, task: str) -> list[Event]:
    return [event async for _, event in mesh.motet.task(task).events()]


async def test_an_event_of_an_unknown_kind_is_passed_over(mesh: TestMesh) -> None:
    await publish(mesh, "event.t.mood", b'{"kind": "mood", "task": "t"}')
    await publish(mesh, "event.t.state", b"not json")
    await publish(mesh, "event.t.state", b'{"task": "t", "state": "succeeded", "kind": "state"}')

    async with asyncio.timeout(10):
        assert kinds(await _all(mesh, "t")) == ["state succeeded"]


async def test_a_terminal_state_is_told_once(mesh: TestMesh) -> None:
    await mesh.join(planner(plan))
    await mesh.join(with_fault(worker(chatty), "work", Flaky(RuntimeError("no"))))
    task = await mesh.motet.submit("go")
    await task.result(10)
    for _ in range(3):
        await task.cancel()
    await mesh.drained("TASKS")

    filtered = await mesh.bus.js.stream_info(
        mesh.bus.topology.stream("EVENTS"), subjects_filter=f"*.event.{task.id}.state"
    )
    assert list((filtered.state.subjects or {}).values()) == [4]


async def test_the_result_is_waited_for_only_so_long(mesh: TestMesh) -> None:
    gate = Gate()
    await mesh.join(planner(gate(plan)))
    task = await mesh.motet.submit("go")
    await gate.wait()

    with pytest.raises(Exception, match=r"has not ended after 0\.1 s; it goes on"):
        await task.result(0.1)
    record = await task.record()
    assert record is not None
    assert record.state == "submitted"
    await task.cancel()
    assert (await task.result(10)).state == "cancelled"
