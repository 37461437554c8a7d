"""Cancelling: a whole tree stops at once, whatever state its parts are in."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from motet.agent import Agent, Call
from motet.bus import TASK_CALL, Header, cancellation
from motet.errors import FaultError
from motet.messages import Answer, CallResult, CallStarted, FaultType, StateChanged, Task
from motet.testing import Flaky, Gate, Line, TestMesh, with_fault
from tests.integration.bus.agents import Order, echo, planner, worker

STOPPED_WITHIN_S = 5


def delegating(*skills: str, parallel: int = 1) -> Agent:
    async def plan(task: Task, call: Call) -> Answer:
        await asyncio.gather(
            *(
                call.delegate(skill, {}, step=f"{skill}-{number}")
                for skill in skills
                for number in range(parallel)
            )
        )
        return Answer(text="done")

    return planner(plan)


async def test_a_tree_of_handlers_stops(mesh: TestMesh) -> None:
    top, bottom = Gate(), Gate()

    async def pass_on(request: Order, call: Call) -> Any:
        return await call.delegate("worker.work", {}, step="below")

    await mesh.join(with_fault(worker(echo), "work", bottom))
    await mesh.join(worker(pass_on, "boss"))
    await mesh.join(with_fault(worker(echo, "other"), "work", top))
    await mesh.join(delegating("boss.work", "other.work"))
    task = await mesh.motet.submit("go")
    await asyncio.gather(top.wait(), bottom.wait())

    await task.cancel("not wanted any more")
    record = await task.result(STOPPED_WITHIN_S)

    assert record.state == "cancelled"
    assert record.fault is not None
    assert record.fault.message == "Cancelled: not wanted any more"
    await asyncio.gather(
        top.wait_cancelled(timeout_s=STOPPED_WITHIN_S),
        bottom.wait_cancelled(timeout_s=STOPPED_WITHIN_S),
    )
    await mesh.drained("CALLS", timeout_s=STOPPED_WITHIN_S)
    await mesh.drained("TASKS", timeout_s=STOPPED_WITHIN_S)
    assert (top.entered, bottom.entered) == (1, 1)
    assert await mesh.motet.dead() == []
    outcome = await mesh.outcome(task.id, "task")
    assert outcome.fault is not None
    assert outcome.fault.type == FaultType.CANCELLED
    states = [event.state async for _, event in task.events() if isinstance(event, StateChanged)]
    assert states[-1] == "cancelled"


async def test_queued_calls_are_not_begun(mesh: TestMesh) -> None:
    gate = Gate()
    await mesh.join(with_fault(worker(echo, concurrency=1), "work", gate))
    await mesh.join(delegating("worker.work", parallel=5))
    task = await mesh.motet.submit("go")
    await gate.wait()

    await task.cancel()
    await task.result(STOPPED_WITHIN_S)
    await gate.wait_cancelled()
    await mesh.drained("CALLS", timeout_s=STOPPED_WITHIN_S)

    assert gate.entered == 1


async def test_others_go_on(mesh: TestMesh) -> None:
    gate = Gate()
    await mesh.join(with_fault(worker(echo), "work", gate))
    await mesh.join(delegating("worker.work"))
    one, other = await mesh.motet.submit("one"), await mesh.motet.submit("other")
    await gate.wait(entered=2)

    await one.cancel()
    assert (await one.result(STOPPED_WITHIN_S)).state == "cancelled"
    await gate.wait_cancelled()
    gate.open()

    assert (await other.result(STOPPED_WITHIN_S)).state == "succeeded"
    assert gate.cancelled == 1


async def test_an_agent_that_starts_later_does_not_begin_them_either(mesh: TestMesh) -> None:
    runs = Flaky()
    agent = with_fault(worker(echo), "work", runs)
    await mesh.leave(await mesh.join(agent))
    await mesh.join(delegating("worker.work"))
    task = await mesh.motet.submit("go")
    async for _, event in task.events():
        if isinstance(event, CallStarted):
            break
    await mesh.filled("CALLS")
    await task.cancel()
    await task.result(STOPPED_WITHIN_S)

    await mesh.join(agent)
    await mesh.drained("CALLS")

    assert runs.runs == 0


async def test_a_task_that_no_planner_took_up_yet(mesh: TestMesh) -> None:
    """It is accepted to be cancelled: a cancellation waits for its task, not the other way."""
    gate = Gate()
    agent = planner(gate(_done))
    await mesh.leave(await mesh.join(agent))
    task = await mesh.motet.submit("go")
    await task.cancel()
    await mesh.join(agent)

    assert (await task.result(10)).state == "cancelled"
    await mesh.drained("TASKS")
    assert gate.entered == gate.cancelled


async def test_a_task_that_no_planner_is_free_for(mesh: TestMesh) -> None:
    gate = Gate()

    async def plan(task: Task, call: Call) -> Answer:
        return Answer(text="done")

    busy = mesh.settings.model_copy(update={"concurrency": 1})
    await mesh.join(planner(gate(plan)), settings=busy)
    first = await mesh.motet.submit("first")
    await gate.wait()
    queued = await mesh.motet.submit("queued")

    await queued.cancel()
    assert (await queued.result(10)).state == "cancelled"

    gate.open()
    assert (await first.result(10)).state == "succeeded"
    await mesh.drained("TASKS")
    assert gate.entered == 1
    assert await mesh.motet.dead() == []


async def test_an_end_that_was_told_is_not_told_again_after_the_dedupe_window(
    mesh: TestMesh,
) -> None:
    gate = Gate()
    await mesh.join(with_fault(worker(echo), "work", gate))
    await mesh.join(delegating("worker.work"))
    stopped, done = await mesh.motet.submit("stopped"), await mesh.motet.submit("done")
    await gate.wait(2)
    await stopped.cancel()
    await stopped.result(10)
    gate.open()
    await done.result(10)
    await mesh.drained("TASKS")
    stream = mesh.bus.topology.stream("EVENTS")
    config = (await mesh.bus.js.stream_info(stream)).config
    # The ids of the past are forgotten, as they are when the window is over.
    config.duplicate_window = 0.1
    await mesh.bus.js.update_stream(config)
    probe = {Header.MESSAGE_ID: "probe"}
    subject = mesh.bus.topology.event("another", "progress")
    await mesh.bus.store(subject, b"{}", probe)
    async with asyncio.timeout(10):
        while (await mesh.bus.store(subject, b"{}", probe)).duplicate:
            pass
    before = (await mesh.bus.js.stream_info(stream)).state.messages

    await stopped.cancel()
    await done.cancel()
    await mesh.drained("TASKS")
    # Whoever told it may have died before it was settled.
    outcome = mesh.bus.topology.ledger_subject(stopped.id, TASK_CALL)
    await mesh.bus.js.purge_stream(f"KV_{mesh.bus.topology.bucket('results')}", subject=outcome)
    await stopped.cancel()
    await mesh.drained("TASKS")

    assert (await mesh.outcome(stopped.id, TASK_CALL)).fault is not None
    assert (await mesh.bus.js.stream_info(stream)).state.messages == before


async def _done(task: Task, call: Call) -> Answer:
    return Answer(text="done")


async def test_cancelling_what_has_ended_changes_nothing(mesh: TestMesh) -> None:
    await mesh.join(worker(echo))
    await mesh.join(delegating("worker.work"))
    task = await mesh.motet.submit("go")
    before = await task.result(10)

    await task.cancel("too late")
    await mesh.drained("TASKS")

    assert await task.record() == before
    assert before.state == "succeeded"


async def test_cancelling_twice_is_cancelling_once(mesh: TestMesh) -> None:
    gate = Gate()
    await mesh.join(with_fault(worker(echo), "work", gate))
    await mesh.join(delegating("worker.work"))
    task = await mesh.motet.submit("go")
    await gate.wait()

    await asyncio.gather(task.cancel("one"), task.cancel("two"), task.cancel("three"))
    await mesh.drained("TASKS")
    await mesh.drained("CALLS")

    assert (await task.result(10)).state == "cancelled"
    assert (gate.entered, gate.cancelled) == (1, 1)


async def test_cancelling_a_task_that_never_was_is_a_dead_letter(mesh: TestMesh) -> None:
    await mesh.join(delegating())

    await mesh.motet.task("never").cancel()
    await mesh.drained("TASKS")

    (stored,) = await mesh.motet.dead()
    assert stored.letter.fault.type == FaultType.NOT_FOUND
    assert stored.letter.subject.endswith(".task.cancel")


async def test_a_cancellation_that_overtakes_its_task_waits_for_it(mesh: TestMesh) -> None:
    patient = mesh.settings.model_copy(update={"retry_delay_s": 0.2})
    gate = Gate()
    await mesh.join(with_fault(worker(echo), "work", gate))
    await mesh.join(delegating("worker.work"), settings=patient)

    await mesh.motet.task("early").cancel()
    task = await mesh.motet.submit(Task(id="early", goal="go"))

    assert (await task.result(10)).state == "cancelled"


async def test_a_cancellation_that_was_missed_without_connection_is_looked_up(
    mesh: TestMesh, nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancellation, "CONNECTION_CHECK_S", 0.05)
    gate = Gate()
    async with Line.to(nats_url) as line:
        far = mesh.settings.model_copy(update={"nats_url": line.url})
        app = await mesh.join(with_fault(worker(echo), "work", gate), settings=far)
        await mesh.join(delegating("worker.work"))
        task = await mesh.motet.submit("go")
        await gate.wait()

        await line.cut()
        await task.cancel()
        await task.result(10)
        assert gate.cancelled == 0
        await line.mend()

        await gate.wait_cancelled()
        await mesh.drained("CALLS")
        await mesh.leave(app)


async def test_a_handler_may_clean_up_when_it_is_cancelled(mesh: TestMesh) -> None:
    begun, cleaned = asyncio.Event(), asyncio.Event()

    async def careful(request: Order, call: Call) -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            assert call.cancelled
            with pytest.raises(FaultError, match="has ended: cancelled"):
                call.check()
            await asyncio.sleep(0)
            cleaned.set()

    await mesh.join(worker(careful))
    await mesh.join(delegating("worker.work"))
    task = await mesh.motet.submit("go")
    await begun.wait()

    await task.cancel()
    async with asyncio.timeout(STOPPED_WITHIN_S):
        await cleaned.wait()
    await mesh.drained("CALLS")


async def test_the_reply_to_a_cancelled_submission_is_its_fault(mesh: TestMesh) -> None:
    gate = Gate()
    await mesh.join(with_fault(worker(echo), "work", gate))
    await mesh.join(delegating("worker.work"))
    reply, future = await mesh.bus.replies.expect()
    await mesh.bus.store(
        mesh.bus.topology.task_submit, b'{"goal": "go", "id": "t"}', {"motet-reply": reply}
    )
    await gate.wait()
    await mesh.motet.task("t").cancel()

    async with asyncio.timeout(STOPPED_WITHIN_S):
        result = CallResult.model_validate_json((await future).data)
    assert result.fault is not None
    assert result.fault.type == FaultType.CANCELLED
