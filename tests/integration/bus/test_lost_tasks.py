"""Tasks whose message is gone, and tasks whose deadline passes while they are queued."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from motet.bus.endings import Endings
from motet.bus.lost_tasks import GRACE, LostTasks
from motet.bus.queueing import Queueing
from motet.messages import Task, TaskState
from motet.testing import TestMesh
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
