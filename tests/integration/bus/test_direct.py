"""Calls outside of any task: together they are one trace, and end with whoever made them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from motet.agent import Call
from motet.errors import FaultError
from motet.messages import Principal
from motet.testing import Gate, TestMesh, assert_tree, with_fault
from tests.integration.bus.agents import Done, Order, echo, worker

STOPPED_WITHIN_S = 5


async def test_calls_that_belong_together_are_one_trace(mesh: TestMesh) -> None:
    seen: list[Principal] = []

    async def remember(request: Order, call: Call) -> Done:
        seen.append(call.principal)
        return Done(text=request.text)

    await mesh.join(worker(remember))
    red = Principal(tenant="red", access=("staff",))
    async with mesh.motet.together("import", principal=red) as calls:
        for step in ("1", "2"):
            await calls.call("worker.work", Order(text=step), Done, step=step)

    assert seen == [red, red]
    assert_tree(
        await mesh.trace(calls.id),
        """
        run import
          send motet.call.worker.work [step=1]
            process motet.call.worker.work
              invoke_agent worker
          send motet.call.worker.work [step=2]
            process motet.call.worker.work
              invoke_agent worker
        """,
    )


async def test_calls_end_with_whoever_waits_for_them(mesh: TestMesh) -> None:
    """What runs, what it delegated, and what is queued."""
    bottom = Gate()

    async def pass_on(request: Order, call: Call) -> Any:
        return await call.delegate("worker.work", {}, step="below")

    await mesh.join(with_fault(worker(echo), "work", bottom))
    await mesh.join(worker(pass_on, "boss", concurrency=1))

    async def several() -> None:
        async with mesh.motet.together("import") as calls, asyncio.TaskGroup() as group:
            for step in ("1", "2", "3"):
                group.create_task(calls.call("boss.work", {}, step=step))

    running = asyncio.create_task(several())
    await bottom.wait()
    await mesh.filled("CALLS", least=4)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    await bottom.wait_cancelled(timeout_s=STOPPED_WITHIN_S)
    await mesh.drained("CALLS", timeout_s=STOPPED_WITHIN_S)
    assert bottom.entered == 1
    assert await mesh.motet.dead() == []


async def test_a_single_call_ends_with_whoever_waits_for_it(mesh: TestMesh) -> None:
    gate = Gate()
    await mesh.join(with_fault(worker(echo), "work", gate))
    running = asyncio.create_task(mesh.motet.call("worker.work", {}))
    await gate.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await gate.wait_cancelled(timeout_s=STOPPED_WITHIN_S)
    await mesh.drained("CALLS", timeout_s=STOPPED_WITHIN_S)


async def test_a_call_that_fails_leaves_the_others_alone(mesh: TestMesh) -> None:
    async def fail(request: Order, call: Call) -> Done:
        if request.text == "bad":
            raise FaultError.of("tired", "Tired.")
        return Done(text=request.text)

    await mesh.join(worker(fail))
    async with mesh.motet.together("import") as calls:
        with pytest.raises(FaultError, match="Tired"):
            await calls.call("worker.work", Order(text="bad"), Done, step="1")
        done = await calls.call("worker.work", Order(text="good"), Done, step="2")
    assert done.text == "good"
