"""Cancelling what runs in threads and processes, and a deep tree, within its two seconds."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

from motet.agent import Agent, Call
from motet.errors import FaultError
from motet.messages import Answer, FaultType, Task
from motet.testing import Flaky, Gate, TestMesh, with_fault
from tests.integration.bus.agents import Done, Order, echo, planner, worker

WITHIN_S = 4.0
"""Two seconds are promised; as many again are for cores that are busy with other tests."""
PATIENCE_S = 20


def delegating(skill: str = "worker.work", parallel: int = 1) -> Agent:
    async def plan(task: Task, call: Call) -> Answer:
        parts = [call.delegate(skill, {}, step=f"{number}") for number in range(parallel)]
        await asyncio.gather(*parts)
        return Answer(text="done")

    return planner(plan)


async def test_a_process_and_its_children_end(mesh: TestMesh, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    script = f"exec 3>{pipe}; sleep 60 & echo begun >&3; wait"

    async def work(request: Order, call: Call) -> Done:
        result = await call.run_process("/bin/sh", "-c", script)
        return Done(text=result.output.decode())

    await mesh.join(worker(work))
    await mesh.join(delegating())
    task = await mesh.motet.submit("go")
    loop = asyncio.get_running_loop()
    with await asyncio.to_thread(pipe.open) as lines:
        assert await asyncio.to_thread(lines.readline) == "begun\n"
        begun = loop.time()
        await task.cancel()
        async with asyncio.timeout(PATIENCE_S):
            assert await asyncio.to_thread(lines.read) == ""
    assert loop.time() - begun < WITHIN_S
    assert (await task.result(PATIENCE_S)).state == "cancelled"
    await mesh.drained("CALLS")


async def test_a_thread_ends_at_its_next_check(mesh: TestMesh) -> None:
    loop = asyncio.get_running_loop()
    begun, over = asyncio.Event(), asyncio.Event()
    step = threading.Event()
    faults: list[FaultError] = []

    def blocking(call: Call) -> str:
        loop.call_soon_threadsafe(begun.set)
        try:
            while True:
                call.check()
                step.wait(0.01)
        except FaultError as error:
            assert call.cancelled
            faults.append(error)
            raise
        finally:
            loop.call_soon_threadsafe(over.set)

    async def work(request: Order, call: Call) -> Done:
        return Done(text=await call.in_thread(blocking, call))

    await mesh.join(worker(work))
    await mesh.join(delegating())
    task = await mesh.motet.submit("go")
    await begun.wait()
    since = loop.time()
    await task.cancel()
    async with asyncio.timeout(PATIENCE_S):
        await over.wait()

    assert loop.time() - since < WITHIN_S
    assert faults[0].fault.type == FaultType.CANCELLED
    assert (await task.result(PATIENCE_S)).state == "cancelled"
    await mesh.drained("CALLS")


async def test_a_thread_ends_when_its_attempt_has_no_more_time(mesh: TestMesh) -> None:
    """Its task goes on: the attempt is what is over."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    step = threading.Event()

    def blocking(call: Call) -> None:
        try:
            while not call.cancelled:
                step.wait(0.01)
        finally:
            loop.call_soon_threadsafe(over.set)

    async def work(request: Order, call: Call) -> Done:
        if call.attempt == 1:
            await call.in_thread(blocking, call)
        return Done(text="second", attempt=call.attempt)

    await mesh.join(worker(work, timeout_s=0.2))
    done = await mesh.motet.call("worker.work", {}, Done)
    assert done == Done(text="second", attempt=2)
    async with asyncio.timeout(PATIENCE_S):
        await over.wait()


async def test_a_tree_of_three_levels_with_calls_that_are_queued(mesh: TestMesh) -> None:
    """The bottom has one place, so that most of its calls wait."""
    bottom, other = Gate(), Flaky()
    held = Gate()

    async def branch(request: Order, call: Call) -> Any:
        below = (call.delegate("bottom.work", {}, step=f"{n}") for n in range(4))
        return await asyncio.gather(*below)

    async def top(request: Order, call: Call) -> Any:
        below = (call.delegate("branch.work", {}, step=f"{n}") for n in range(3))
        return await asyncio.gather(*below)

    await mesh.join(with_fault(worker(echo, "bottom", concurrency=1), "work", bottom))
    await mesh.join(worker(branch, "branch"))
    await mesh.join(worker(top, "top"))
    await mesh.join(with_fault(with_fault(worker(echo), "work", held), "work", other))
    await mesh.join(delegating("top.work"))
    task = await mesh.motet.submit("go")
    direct = asyncio.create_task(mesh.motet.call("worker.work", {"text": "x"}, Done))
    await asyncio.gather(bottom.wait(), held.wait())
    # The call of the top, its three, their twelve, and the one that is none of them.
    await mesh.filled("CALLS", least=1 + 3 + 12 + 1)

    loop = asyncio.get_running_loop()
    begun = loop.time()
    await task.cancel()
    record = await task.result(PATIENCE_S)
    await mesh.drained("CALLS", left=1)
    took_s = loop.time() - begun

    assert record.state == "cancelled"
    assert took_s < WITHIN_S
    assert (bottom.entered, bottom.cancelled) == (1, 1)
    held.open()
    assert await direct == Done(text="x")
    assert (other.runs, held.cancelled) == (1, 0)
