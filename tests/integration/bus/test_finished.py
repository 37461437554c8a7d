"""What is told of finished tasks: each, durably, in the task's own trace, and after its answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeVar

from motet.agent import Agent, Call
from motet.bus import StoredDeadLetter
from motet.errors import FaultError
from motet.messages import Answer, Evaluation, Scored, Task, TaskRecord, TaskScored, TaskState
from motet.telemetry.drawing import draw
from motet.testing import TestMesh, assert_tree
from tests.integration.bus.agents import planner

T = TypeVar("T")

GOOD = Evaluation(scores={"faithfulness": Scored(value=1.0, method="deterministic", reason="")})


async def answer(task: Task, _call: Call) -> Answer:
    if task.goal == "fail":
        raise FaultError.of("broken", "Broken.")
    return Answer(text=task.goal)


def listener(heard: Any, name: str = "listener", **declared: Any) -> Agent:
    agent = Agent(name, "Hears of finished tasks.")

    @agent.on_finished(**declared)
    async def finished(record: TaskRecord, call: Call) -> None:
        await heard(record, call)

    return agent


async def test_a_finished_task_is_evaluated_within_its_trace(mesh: TestMesh) -> None:
    async def evaluate(_record: TaskRecord, call: Call) -> None:
        call.check()  # that the task has ended does not stop it
        await call.evaluate(GOOD)

    await mesh.join(planner(answer))
    await mesh.join(listener(evaluate))
    task = await mesh.motet.submit("hello")
    ended = await task.result(20)
    assert await task.evaluation(20) == GOOD

    record = await task.record()
    assert record is not None
    assert record == ended.model_copy(update={"evaluation": GOOD})
    assert_tree(
        await mesh.trace(task.id),
        """
        send motet.task.submit
          process motet.task.submit
            invoke_agent planner
            process motet.event.*.state [agent=listener attempt=1]
              invoke_agent listener
        """,
    )
    drawn = draw(await mesh.trace(task.id)).splitlines()
    assert [line.partition("  ")[0] for line in drawn] == [
        f"task {task.id}",
        "└─ listener.finished",
    ]


async def test_every_end_is_told_and_only_ends(mesh: TestMesh) -> None:
    heard: asyncio.Queue[TaskRecord] = asyncio.Queue()

    async def hear(record: TaskRecord, _call: Call) -> None:
        heard.put_nowait(record)

    await mesh.join(planner(answer))
    good, bad = await mesh.motet.submit("good"), await mesh.motet.submit("fail")
    for task in (good, bad):
        await task.result(20)
    # Those that ended before it joined are told, too.
    await mesh.join(listener(hear))
    states = {record.id: record.state async for record in taken(heard, 2)}
    assert states == {good.id: TaskState.SUCCEEDED, bad.id: TaskState.FAILED}
    assert heard.empty()


async def test_the_trace_of_a_task_that_failed_is_whole(mesh: TestMesh) -> None:
    async def evaluate(_record: TaskRecord, call: Call) -> None:
        await call.evaluate(Evaluation())

    await mesh.join(planner(answer))
    await mesh.join(listener(evaluate))
    task = await mesh.motet.submit("fail")
    await task.result(20)
    await task.evaluation(20)
    tree = await mesh.trace(task.id)
    assert tree.connected
    assert [line.partition("  ")[0] for line in draw(tree).splitlines()] == [
        f"task {task.id}",
        "└─ listener.finished",
    ]


async def test_one_replica_is_told_and_an_attempt_that_fails_is_repeated(mesh: TestMesh) -> None:
    attempts: asyncio.Queue[tuple[str, int]] = asyncio.Queue()

    async def hear(record: TaskRecord, call: Call) -> None:
        attempts.put_nowait((record.id, call.attempt))
        if call.attempt == 1:
            raise FaultError.of("tired", "Tired.", retryable=True)

    await mesh.join(planner(answer))
    agent = listener(hear)
    await mesh.join(agent)
    await mesh.join(agent)
    task = await mesh.motet.submit("hello")
    async with asyncio.timeout(20):
        assert [await attempts.get(), await attempts.get()] == [(task.id, 1), (task.id, 2)]


async def test_a_replica_that_leaves_hands_it_over(mesh: TestMesh) -> None:
    begun = asyncio.Event()

    async def never(_record: TaskRecord, _call: Call) -> None:
        begun.set()
        await asyncio.Event().wait()

    async def evaluate(_record: TaskRecord, call: Call) -> None:
        await call.evaluate(GOOD)

    await mesh.join(planner(answer))
    first = await mesh.join(listener(never))
    task = await mesh.motet.submit("hello")
    await asyncio.wait_for(begun.wait(), 20)
    await mesh.leave(first, grace_s=0)
    await mesh.join(listener(evaluate))
    assert await task.evaluation(20) == GOOD


async def test_what_fails_for_good_is_a_dead_letter_an_agent_and_can_be_replayed(
    mesh: TestMesh,
) -> None:
    done: asyncio.Queue[str] = asyncio.Queue()
    mended = False

    async def hear(record: TaskRecord, call: Call) -> None:
        if not mended:
            raise FaultError.of("broken", f"{call.agent} is broken.")
        done.put_nowait(call.agent)

    await mesh.join(planner(answer))
    for name in ("one", "two"):
        await mesh.join(listener(hear, name))
    task = await mesh.motet.submit("hello")
    record = await task.result(20)
    letters = await buried(mesh, 2)
    assert sorted(each.letter.fault.message for each in letters) == [
        "one is broken.",
        "two is broken.",
    ]
    assert {each.letter.task for each in letters} == {task.id}
    assert (await task.record()) == record

    mended = True
    await mesh.motet.replay(letters[0].sequence)
    async with asyncio.timeout(20):
        assert sorted([await done.get(), await done.get()]) == ["one", "two"]
    assert [event.state for event in await states_of(mesh, task.id)] == ["succeeded", "succeeded"]


async def test_it_is_told_once_it_has_answered_and_does_not_hold_it_up(mesh: TestMesh) -> None:
    gate = asyncio.Event()

    async def slow(_record: TaskRecord, call: Call) -> None:
        await gate.wait()
        await call.evaluate(GOOD)

    await mesh.join(planner(answer))
    await mesh.join(listener(slow))
    task = await mesh.motet.submit("hello")
    record = await task.result(20)
    assert record.state == TaskState.SUCCEEDED
    assert record.evaluation is None
    gate.set()
    assert await task.evaluation(20) == GOOD


async def test_the_first_evaluation_stands_and_is_an_event_once(mesh: TestMesh) -> None:
    told: asyncio.Queue[Evaluation | None] = asyncio.Queue()

    async def twice(_record: TaskRecord, call: Call) -> None:
        await call.evaluate(GOOD)
        told.put_nowait((await call.evaluate(Evaluation())).evaluation)

    await mesh.join(planner(answer))
    await mesh.join(listener(twice))
    task = await mesh.motet.submit("hello")
    async with asyncio.timeout(20):
        assert await told.get() == GOOD
    events = [each for each in await events_of(mesh, task.id) if isinstance(each, TaskScored)]
    assert [event.evaluation for event in events] == [GOOD]


async def test_what_is_no_state_is_passed_over(mesh: TestMesh) -> None:
    heard: asyncio.Queue[TaskRecord] = asyncio.Queue()

    async def hear(record: TaskRecord, _call: Call) -> None:
        heard.put_nowait(record)

    subject = mesh.bus.topology.event("none", "state")
    await mesh.bus.store(subject, b"{")
    unknown = b'{"kind": "state", "task": "none", "state": "succeeded"}'
    await mesh.bus.store(subject, unknown)
    await mesh.join(planner(answer))
    await mesh.join(listener(hear))
    task = await mesh.motet.submit("hello")
    assert [record.id async for record in taken(heard, 1)] == [task.id]
    assert await mesh.motet.dead() == []


async def taken(queue: asyncio.Queue[T], count: int) -> AsyncIterator[T]:
    async with asyncio.timeout(20):
        for _ in range(count):
            yield await queue.get()


async def buried(mesh: TestMesh, count: int) -> list[StoredDeadLetter]:
    """The dead letters, once there are `count`."""
    stream, subject = mesh.bus.topology.stream("DEAD"), mesh.bus.topology.dead("*", ">")
    subscription = await mesh.bus.js.pull_subscribe(subject, stream=stream)
    seen = 0
    async with asyncio.timeout(20):
        while seen < count:  # what a subscriber of the stream gets is stored
            seen += len(await subscription.fetch(count - seen, timeout=20))
    return await mesh.motet.dead()


async def events_of(mesh: TestMesh, task: str) -> list[Any]:
    """Every event of a task that is stored by now."""
    from motet.messages import EVENT

    subject = mesh.bus.topology.event(task, ">")
    stream = mesh.bus.topology.stream("EVENTS")
    subscription = await mesh.bus.js.pull_subscribe(subject, stream=stream)
    waiting = (await subscription.consumer_info()).num_pending
    if not waiting:
        return []
    return [EVENT.validate_json(each.data) for each in await subscription.fetch(waiting)]


async def states_of(mesh: TestMesh, task: str) -> list[Any]:
    return [
        event
        for event in await events_of(mesh, task)
        if event.kind == "state" and event.state.terminal
    ]
