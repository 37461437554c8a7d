"""An outcome that comes after its caller gave up is kept, marked late, and not applied."""

from __future__ import annotations

import asyncio

import pytest

from motet.agent import Call
from motet.bus import calls
from motet.bus.topology import call_id
from motet.errors import FaultError
from motet.messages import Answer, CallFinished, FaultType, Task
from motet.testing import TestMesh
from tests.integration.bus.agents import Done, Order, planner, worker

PATIENCE_S = 20


async def test_a_late_outcome_is_kept_and_not_applied(
    mesh: TestMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "LATE_GRACE_S", 0.1)
    gave_up, settled = asyncio.Event(), asyncio.Event()
    runs = 0

    async def stubborn(request: Order, call: Call) -> Done:
        """Does not stop at its deadline, as a library may not that catches everything."""
        nonlocal runs
        runs += 1
        while not gave_up.is_set():
            try:
                await gave_up.wait()
            except asyncio.CancelledError:
                continue
        return Done(text="late")

    async def plan(task: Task, call: Call) -> Answer:
        for _ in range(2):
            with pytest.raises(FaultError) as raised:
                await call.delegate("worker.work", {}, Done, step="one", timeout_s=0.3)
            assert raised.value.fault.type == FaultType.DEADLINE_EXCEEDED
            gave_up.set()
            await settled.wait()
        return Answer(text="without it")

    await mesh.join(worker(stubborn))
    await mesh.join(planner(plan))
    task = await mesh.motet.submit("go")
    async with asyncio.timeout(PATIENCE_S):
        await gave_up.wait()
    outcome = await mesh.outcome(task.id, call_id(task.id, "task", "one"))
    settled.set()

    record = await task.result(PATIENCE_S)
    assert record.answer == Answer(text="without it")
    assert (outcome.ok, outcome.late, outcome.output["text"]) == (True, True, "late")
    assert runs == 1
    ends = [event async for _, event in task.events() if isinstance(event, CallFinished)]
    assert [event.ok for event in ends] == [False, False]
    assert await mesh.outcome(task.id, outcome.call) == outcome


async def test_an_outcome_in_time_is_not_late(mesh: TestMesh) -> None:
    async def plan(task: Task, call: Call) -> Answer:
        done = await call.delegate("worker.work", {}, Done, step="one", timeout_s=PATIENCE_S)
        return Answer(text=done.text)

    async def work(request: Order, call: Call) -> Done:
        return Done(text="in time")

    await mesh.join(worker(work))
    await mesh.join(planner(plan))
    task = await mesh.motet.submit("go")
    await task.result(PATIENCE_S)

    assert not (await mesh.outcome(task.id, call_id(task.id, "task", "one"))).late
