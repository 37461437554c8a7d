"""Threads keep their place, and processes leave nothing behind."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

from motet.blocking import ProcessResult, Threads, run_process

PATIENCE_S = 20

whose: ContextVar[str] = ContextVar("whose", default="nobody's")


async def test_a_thread_gives_its_result_or_raises() -> None:
    threads = Threads()
    whose.set("mine")

    assert await threads.run(whose.get) == "mine"
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 // 0)
    with pytest.raises(RuntimeError, match="StopIteration"):
        await threads.run(lambda: next(iter(())))


async def test_a_thread_that_was_given_up_keeps_its_place_until_it_ends() -> None:
    threads = Threads(1)
    begun, release = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    order: list[str] = []

    def first() -> None:
        loop.call_soon_threadsafe(begun.set)
        release.wait(PATIENCE_S)
        order.append("first")

    running = asyncio.create_task(threads.run(first))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    second = asyncio.create_task(threads.run(lambda: order.append("second")))
    third = asyncio.create_task(threads.run(lambda: order.append("third")))
    await asyncio.sleep(0)
    third.cancel()
    release.set()
    await asyncio.wait_for(second, PATIENCE_S)

    assert order == ["first", "second"]
    await asyncio.wait_for(threads.run(lambda: None), PATIENCE_S)


async def test_a_process_gives_what_it_wrote(tmp_path: Path) -> None:
    script = "import os, sys; sys.stdout.write(sys.stdin.read().upper() + os.environ['X'])"
    result = await run_process(
        sys.executable, "-c", script, data=b"in ", env={"X": "env"}, cwd=tmp_path
    )
    assert result == ProcessResult(0, b"IN env", b"")
    failed = await run_process(sys.executable, "-c", "import sys; sys.exit('no')")
    assert (failed.code, failed.errors) == (1, b"no\n")
    with pytest.raises(FileNotFoundError):
        await run_process("/nowhere/to/be/found")


@pytest.mark.parametrize("stubborn", [False, True])
async def test_a_cancellation_ends_a_process_and_its_children(
    tmp_path: Path, stubborn: bool
) -> None:
    """Each of them holds the pipe open, so its end is the end of them all."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    trap = "trap '' TERM;" if stubborn else ""
    script = f"{trap} exec 3>{pipe}; sleep 20 & sleep 20 & echo begun >&3; wait; sleep 20"
    running = asyncio.create_task(run_process("/bin/sh", "-c", script))
    with await asyncio.to_thread(pipe.open) as lines:
        assert await asyncio.to_thread(lines.readline) == "begun\n"
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        async with asyncio.timeout(PATIENCE_S):
            assert await asyncio.to_thread(lines.read) == ""


async def test_a_cancellation_while_a_process_starts_ends_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, go_on = asyncio.create_subprocess_exec, asyncio.Event()

    async def slow(*args: Any, **kwargs: Any) -> Any:
        process = await start(*args, **kwargs)
        await go_on.wait()
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", slow)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    script = f"exec 3>{pipe}; sleep 20 & echo begun >&3; wait"
    running = asyncio.create_task(run_process("/bin/sh", "-c", script))
    with await asyncio.to_thread(pipe.open) as lines:
        assert await asyncio.to_thread(lines.readline) == "begun\n"
        running.cancel()
        await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await running
        async with asyncio.timeout(PATIENCE_S):
            assert await asyncio.to_thread(lines.read) == ""


async def test_what_a_process_leaves_behind_is_ended(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    script = f"exec 3>{pipe}; sleep 20 >/dev/null 2>&1 & echo begun >&3"
    reading = asyncio.create_task(asyncio.to_thread(pipe.read_text))

    assert (await run_process("/bin/sh", "-c", script)).code == 0

    async with asyncio.timeout(PATIENCE_S):
        assert await reading == "begun\n"
