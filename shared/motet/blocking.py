"""Blocking work of handlers: threads and processes that a cancellation reaches.

Invariants:

- Who is cancelled while it waits does not wait on: what the thread gives later is dropped, and a
  process is ended with its whole process group.
- A thread cannot be stopped from outside in Python: it goes on until its function returns, or asks
  `call.check()`. Until it has really ended it keeps its place, so that no more than `limit` run at
  once, and those that were given up count.
- Neither holds up the end of this process.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import threading
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

__all__ = ["ProcessResult", "Threads", "run_process"]

T = TypeVar("T")

TERMINATED_WITHIN_S = 0.5
"""Seconds that a process has to end by itself, when it is told to with SIGTERM."""

LIMIT = 64
"""Threads at once, if nothing else is said."""


class Threads:
    """Threads for blocking functions, so many at once."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._places = asyncio.Semaphore(limit)

    async def run(self, function: Callable[[], T]) -> T:
        """What `function` returns or raises, from a thread, with the caller's context variables."""
        await self._places.acquire()
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()
        context = contextvars.copy_context()

        def ended(settle: Callable[[], None]) -> None:
            self._places.release()
            if not outcome.done():
                settle()

        def work() -> None:
            try:
                result = context.run(function)
            except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
                failure = error
                settle = lambda: outcome.set_exception(_raisable(failure))  # noqa: E731
            else:
                settle = lambda: outcome.set_result(result)  # noqa: E731
            # A loop that is closed waits for nothing any more.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(ended, settle)

        try:
            threading.Thread(target=work, name="handler", daemon=True).start()
        except RuntimeError:
            self._places.release()
            raise
        return await outcome


def _raisable(error: BaseException) -> BaseException:
    """The error as a future takes it."""
    if isinstance(error, StopIteration):
        return RuntimeError(f"the function raised {error!r}")
    return error


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """A process that ended by itself."""

    code: int
    """Its exit code; the negative number of the signal that ended it."""
    output: bytes
    """What it wrote to its standard output."""
    errors: bytes
    """What it wrote to its standard error."""


async def run_process(
    *command: str | Path,
    data: bytes | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> ProcessResult:
    """Runs a program to its end, in a process group of its own.

    Nothing of the group is left when this returns or raises: what the program started and did not
    wait for is ended, too. Who is cancelled ends all of it, with SIGTERM and then with SIGKILL.

    Args:
        command: The program and its arguments; no shell reads them.
        data: For its standard input; None gives it none.
        env: Its environment; None gives it this process'.
        cwd: Where it runs; None is here.

    Raises:
        OSError: It cannot be started.
    """
    starting = asyncio.create_task(
        asyncio.create_subprocess_exec(
            *command,
            stdin=DEVNULL if data is None else PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=None if env is None else dict(env),
            cwd=cwd,
            start_new_session=True,
        )
    )
    try:
        process = await asyncio.shield(starting)
    except asyncio.CancelledError:
        # It may run already: who is cancelled while it starts must know it, to end its group.
        with suppress(OSError):
            await _end(await starting)
        raise
    try:
        output, errors = await process.communicate(data)
        return ProcessResult(process.returncode or 0, output, errors)
    finally:
        await _end(process)


async def _end(process: Process) -> None:
    """Ends what is left of a process' group."""
    try:
        if process.returncode is None:
            _signal(process, signal.SIGTERM)
            with suppress(TimeoutError):
                async with asyncio.timeout(TERMINATED_WITHIN_S):
                    await process.wait()
    finally:
        _signal(process, signal.SIGKILL)
    await process.wait()


def _signal(process: Process, number: signal.Signals) -> None:
    # A session's first process gives its group its number, which is not used again while anybody
    # is in the group.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
