"""Tasks whose message is gone, and tasks whose deadline passes while they are queued."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from motet.agent import Call
from motet.bus.endings import Endings
from motet.bus.lost_tasks import GRACE, LostTasks
from motet.bus.queueing import Queueing
from motet.messages import Answer, Task, TaskState
from motet.testing import Gate, TestMesh, TestServer, test_mesh
from tests.integration.bus.agents import Done, Order, planner, worker
from tests.integration.bus.test_ready_tasks import TakenOrder, busy, done, queue, taken_in


@pytest.fixture
async def order(mesh: TestMesh) -> TakenOrder:
    """A mesh whose only planner has no place free."""
    order = TakenOrder()
    await busy(mesh, order, 1)
    return order


@pytest.fixture
def lost(mesh: TestMesh) -> LostTasks:
    return LostTasks(mesh.bus, Endings(mesh.bus, "planner"), Queueing(mesh.bus))


def later() -> datetime:
    return datetime.now(UTC) + GRACE + timedelta(seconds=1)


async def test_a_task_whose_message_is_gone_is_put_back(
    mesh: TestMesh, order: TakenOrder, lost: LostTasks
) -> None:
    await queue(mesh, 2, goal="n")
    subject = mesh.bus.topology.task_ready("normal", "default")
    await mesh.bus.js.purge_stream(mesh.bus.topology.stream("TASKS"), subject=subject)
    await mesh.drained("TASKS", left=1)

    assert await lost.sweep(datetime.now(UTC)) == 0
    assert await lost.sweep(later()) == 2
    assert await lost.sweep(later()) == 0
    assert sorted(await done(mesh, order)) == ["n 0", "n 1"]


async def test_a_task_that_is_queued_or_worked_on_is_left_alone(
    mesh: TestMesh, order: TakenOrder, lost: LostTasks
) -> None:
    await queue(mesh, 3, goal="n")
    assert await lost.sweep(later()) == 0
    assert await done(mesh, order) == ["n 0", "n 1", "n 2"]


async def test_a_task_that_expires_in_its_queue_is_told_so(
    mesh: TestMesh, order: TakenOrder, lost: LostTasks
) -> None:
    task = await mesh.motet.submit(Task(goal="late", deadline_s=1))
    await taken_in(mesh)
    assert await lost.sweep(later() + timedelta(seconds=1)) == 1

    record = await task.result(10)
    assert record.state == TaskState.EXPIRED
    assert record.fault is not None
    assert record.fault.type == "deadline_exceeded"
    assert await done(mesh, order) == []


async def test_what_a_task_that_is_put_back_had_done_is_not_done_again(
    nats_server: TestServer, tmp_path: Path
) -> None:
    """Also below a call that had not ended, and when the server has forgotten the calls' ids."""
    runs: Counter[str] = Counter()
    gate = Gate()

    async def plan(task: Task, call: Call) -> Answer:
        await call.delegate("worker.work", {"text": "one"}, Done, step="one")
        done = await call.delegate("boss.work", {"text": "two"}, Done, step="two")
        return Answer(text=done.text)

    async def count(request: Order, call: Call) -> Done:
        runs[request.text] += 1
        return Done(text=request.text)

    async def delegate(request: Order, call: Call) -> Done:
        done = await call.delegate("worker.work", {"text": "below two"}, Done, step="below")
        return await gate(finish)(done)

    async def finish(done: Done) -> Done:
        return done

    async with test_mesh(nats_server.url, tmp_path, ack_wait_s=1) as mesh:
        await mesh.join(worker(count))
        boss = await mesh.join(worker(delegate, "boss"))
        old = await mesh.join(planner(plan))
        task = await mesh.motet.submit("go")
        await gate.wait()
        await mesh.leave(old, grace_s=0)
        await mesh.leave(boss, grace_s=0)
        for stream in ("TASKS", "CALLS"):
            await mesh.bus.js.purge_stream(mesh.bus.topology.stream(stream))
        await nats_server.restart()

        lost = LostTasks(mesh.bus, Endings(mesh.bus, "planner"), Queueing(mesh.bus))
        assert await lost.sweep(later()) == 1
        gate.open()
        await mesh.join(worker(delegate, "boss"))
        await mesh.join(planner(plan))
        record = await task.result(20)

    assert record.answer == Answer(text="below two")
    assert runs == {"one": 1, "below two": 1}
