"""Jobs take turns, and stop when nobody waits for them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Generator
from contextlib import aclosing

import pytest

from motet_speech.resting import Rest
from motet_speech.stepping import Stepper


@pytest.fixture
async def stepper() -> AsyncIterator[Stepper]:
    stepper = Stepper(1)
    yield stepper
    await stepper.close()


async def test_items_come_in_order_and_from_a_thread(stepper: Stepper) -> None:
    def job() -> Generator[tuple[int, str]]:
        for number in range(3):
            yield number, threading.current_thread().name

    found = [item async for item in stepper.steps(job())]
    assert [number for number, _ in found] == [0, 1, 2]
    assert {name for _, name in found} == {"speech_0"}


async def test_an_error_comes_through_and_ends_the_job(stepper: Stepper) -> None:
    ended: list[str] = []

    def job() -> Generator[int]:
        try:
            yield 1
            raise ValueError("no")
        finally:
            ended.append("job")

    with pytest.raises(ValueError, match="no"):
        async for _ in stepper.steps(job(), lambda: ended.append("afterwards")):
            pass
    assert ended == ["job", "afterwards"]


async def test_a_short_job_does_not_wait_for_a_long_one(stepper: Stepper) -> None:
    order: list[str] = []

    def job(name: str, steps: int) -> Generator[None]:
        for _ in range(steps):
            order.append(name)
            yield

    async def run(name: str, steps: int) -> None:
        async for _ in stepper.steps(job(name, steps)):
            pass

    await asyncio.gather(run("long", 50), run("short", 2))
    assert order[:4].count("short") == 2


async def test_cancelling_lets_the_step_end_and_closes_the_job(stepper: Stepper) -> None:
    running, go_on = threading.Event(), threading.Event()
    closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    loop = asyncio.get_running_loop()
    steps = 0

    def job() -> Generator[None]:
        nonlocal steps
        while True:
            steps += 1
            running.set()
            go_on.wait(10)
            yield

    def afterwards() -> None:
        loop.call_soon_threadsafe(closed.set_result, None)

    async def run() -> None:
        async with aclosing(stepper.steps(job(), afterwards)) as items:
            async for _ in items:
                pass

    task = asyncio.create_task(run())
    await asyncio.to_thread(running.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not closed.done()
    go_on.set()
    await closed
    assert steps == 1


async def test_a_model_is_released_when_idle() -> None:
    released = asyncio.Event()
    rest = Rest(released.set, idle_s=0.01)
    with rest.used():
        with rest.used():
            pass
        await asyncio.wait_for(asyncio.sleep(0), 1)
        assert not released.is_set()
    await asyncio.wait_for(released.wait(), 10)


async def test_use_puts_off_the_release() -> None:
    released: list[str] = []
    rest = Rest(lambda: released.append("once"), idle_s=3600)
    for _ in range(3):
        with rest.used():
            pass
    assert released == []
    rest.close()
    assert released == ["once"]
