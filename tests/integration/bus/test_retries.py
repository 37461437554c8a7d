"""Calls that fail: which are tried again, when, and what becomes of the rest."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from motet.agent import Call
from motet.bus import Events
from motet.errors import FaultError
from motet.messages import Answer, CallRetried, FaultType, StateChanged, Task
from motet.testing import Flaky, TestMesh, with_fault
from tests.integration.bus.agents import Done, Order, echo, planner, worker

TIRED = FaultError.of(FaultType.UNAVAILABLE, "The worker is tired.", retryable=True)


async def test_a_terminal_fault_ends_the_call_after_one_attempt(mesh: TestMesh) -> None:
    flaky = Flaky(FaultError.of("no_cheese", "There is no cheese.", shop="closed"))
    await mesh.join(with_fault(worker(echo), "work", flaky))

    with pytest.raises(FaultError) as raised:
        await mesh.motet.call("worker.work", Order(text="cheese"))

    fault = raised.value.fault
    assert (fault.type, fault.message) == ("no_cheese", "There is no cheese.")
    assert (fault.agent, fault.skill, fault.detail) == ("worker", "work", {"shop": "closed"})
    assert flaky.runs == 1
    (stored,) = await mesh.motet.dead()
    assert (stored.letter.fault.type, stored.letter.attempts) == ("no_cheese", 1)
    assert stored.letter.fault.message == "There is no cheese."
    assert await mesh.waiting("CALLS") == 0


async def test_an_exception_is_tried_again_until_it_works(mesh: TestMesh) -> None:
    flaky = Flaky(RuntimeError("one"), OSError("two"))
    await mesh.join(with_fault(worker(echo), "work", flaky))

    done = await mesh.motet.call("worker.work", Order(text="x"), Done)

    assert done == Done(text="x", attempt=3)
    assert flaky.runs == 3
    assert await mesh.motet.dead() == []


async def test_after_the_last_attempt_it_is_a_dead_letter_and_a_fault(mesh: TestMesh) -> None:
    flaky = Flaky(*[RuntimeError(f"no {number}") for number in range(9)])
    await mesh.join(with_fault(worker(echo), "work", flaky))

    with pytest.raises(FaultError, match=r"worker.work raised RuntimeError: no 3") as raised:
        await mesh.motet.call("worker.work", {})

    assert raised.value.fault.type == FaultType.INTERNAL
    assert flaky.runs == mesh.settings.max_attempts == 4
    (stored,) = await mesh.motet.dead()
    assert stored.letter.attempts == 4
    assert await mesh.waiting("CALLS") == 0


async def test_a_skill_may_have_its_own_number_of_attempts(mesh: TestMesh) -> None:
    flaky = Flaky(RuntimeError("no"))
    await mesh.join(with_fault(worker(echo, max_attempts=1), "work", flaky))

    with pytest.raises(FaultError, match="RuntimeError: no"):
        await mesh.motet.call("worker.work", {})
    assert flaky.runs == 1


async def test_delays_grow_and_are_told_as_events(mesh: TestMesh) -> None:
    flaky = Flaky(TIRED, TIRED, TIRED)
    await mesh.join(with_fault(worker(echo), "work", flaky))

    async def plan(task: Task, call: Call) -> Answer:
        done = await call.delegate("worker.work", {"text": "x"}, Done, step="one")
        return Answer(text=f"attempt {done.attempt}")

    await mesh.join(planner(plan))
    task = await mesh.motet.submit("work")
    record = await task.result(10)
    assert record.answer is not None
    assert record.answer.text == "attempt 4"

    retried: list[CallRetried] = []
    # Events that are not states are on their way when the task ends, so they are waited for.
    async with asyncio.timeout(10):
        async for _, event in Events(mesh.bus).follow(task.id):
            if isinstance(event, CallRetried):
                retried.append(event)
            if len(retried) == 3:
                break
    delays = [event.delay_s for event in retried]
    base = mesh.settings.retry_delay_s
    for number, delay in enumerate(delays):
        assert base * 2**number / 2 <= delay <= base * 2**number
    assert [event.attempt for event in retried] == [1, 2, 3]
    assert {event.fault.type for event in retried} == {"unavailable"}


async def test_a_fault_that_names_a_time_is_tried_again_then(mesh: TestMesh) -> None:
    loop = asyncio.get_running_loop()
    times: list[float] = []

    async def busy(request: Order, call: Call) -> Done:
        times.append(loop.time())
        if call.attempt == 1:
            raise FaultError.of("busy", "Not now.", retryable=True, retry_after_s=0.3)
        return Done(text="", attempt=call.attempt)

    await mesh.join(worker(busy))

    assert (await mesh.motet.call("worker.work", {}, Done)).attempt == 2
    assert 0.29 <= times[1] - times[0] < 2


async def test_no_attempt_is_waited_for_past_the_deadline(mesh: TestMesh) -> None:
    later = FaultError.of("busy", "Not now.", retryable=True, retry_after_s=60)
    flaky = Flaky(later)
    await mesh.join(with_fault(worker(echo), "work", flaky))

    with pytest.raises(FaultError) as raised:
        await mesh.motet.call("worker.work", {}, timeout_s=5)
    assert raised.value.fault.type == "busy"


async def test_a_fault_of_what_was_delegated_is_not_tried_again(mesh: TestMesh) -> None:
    """It had its attempts; trying the caller again would only find the outcome that stands."""
    below = Flaky(*[TIRED] * 9)
    above = Flaky()

    async def delegate(request: Order, call: Call) -> Any:
        return await call.delegate("worker.work", {}, step="below")

    await mesh.join(with_fault(worker(echo), "work", below))
    await mesh.join(with_fault(worker(delegate, "boss"), "work", above))

    with pytest.raises(FaultError, match="The worker is tired") as raised:
        await mesh.motet.call("boss.work", {})
    assert raised.value.fault.agent == "worker"
    assert (below.runs, above.runs) == (4, 1)


async def test_a_fault_too_large_to_send_loses_its_detail_and_not_its_message(
    mesh: TestMesh,
) -> None:
    async def rant(request: Order, call: Call) -> Done:
        if request.number == 1:
            raise RuntimeError("x" * 20_000_000)
        raise FaultError.of("rant", "Too much.", detail=object(), more="y" * 20_000_000)

    await mesh.join(worker(rant, max_attempts=1))

    for number, kind in ((1, FaultType.INTERNAL), (2, "rant")):
        with pytest.raises(FaultError) as raised:
            await mesh.motet.call("worker.work", Order(number=number))
        assert raised.value.fault.type == kind
        assert len(raised.value.fault.model_dump_json()) < 10_000
    assert len(await mesh.motet.dead()) == 2


async def test_a_task_is_tried_again_and_fails_with_a_dead_letter(mesh: TestMesh) -> None:
    attempts: list[int] = []

    async def plan(task: Task, call: Call) -> Answer:
        attempts.append(call.attempt)
        raise RuntimeError("no plan")

    await mesh.join(planner(plan))
    task = await mesh.motet.submit("plan")

    record = await task.result(10)

    assert (record.state, record.attempts, attempts) == ("failed", 4, [1, 2, 3, 4])
    assert record.fault is not None
    assert record.fault.message == "planner raised RuntimeError: no plan"
    (stored,) = await mesh.motet.dead()
    assert (stored.letter.task, stored.letter.attempts) == (task.id, 4)
    states = [event.state async for _, event in task.events() if isinstance(event, StateChanged)]
    assert states == ["submitted", "failed"]
