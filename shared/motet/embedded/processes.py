"""Owned processes: started, watched and ended by one owner, and never left behind.

Invariants:

- A process runs only while its owner lives. The owner may end in order, by an exception, by
  SIGTERM, or by `kill -9`; in each case the process and its descendants end too.
- Each process leads a session and a process group of its own. A Ctrl-C in the terminal reaches
  the owner only, which stops the rest in order; a group is swept when its leader has ended.
- A process writes to its own log file, and whoever reports its death quotes the last lines.

How it holds against `kill -9`, without anything that only Linux has: a process begins as a shell
that waits for a line on its standard input. The owner first enters it in the list of the keeper
(see `keeper`), then sends the line. Dies the owner before, the shell sees the end of its input
and exits; dies it after, the keeper ends the group.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from motet.embedded import keeper
from motet.errors import MotetError, SetupError

__all__ = ["OwnedProcess", "ProcessDiedError", "ProcessOwner", "ProcessSpec"]

T = TypeVar("T")

_GATE = 'read -r _ && exec "$@" </dev/null'
"""Waits for the owner's word, then becomes the command; ends when the owner is gone."""

_READY_POLL_S = 0.01
"""Seconds between two looks at a condition that announces itself by a file or a port."""


@dataclass(frozen=True)
class ProcessSpec:
    """What to run."""

    name: str
    """What people call it; also the name of its log file."""
    command: tuple[str, ...]
    log: Path
    """The file that its output is appended to."""
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    """Variables beside the owner's own."""


class ProcessDiedError(MotetError):
    """A process ended that nobody had asked to."""

    def __init__(self, name: str, status: int, log: Path) -> None:
        self.name = name
        self.status = status
        self.log = log
        lines = last_lines(log)
        said = "; its last lines:\n  " + "\n  ".join(lines) if lines else " without a word"
        super().__init__(f"{name} {described(status)}{said}\nThe whole log is {log}.")


class OwnedProcess:
    """A running process. Made by `ProcessOwner.start`."""

    def __init__(self, spec: ProcessSpec, process: asyncio.subprocess.Process) -> None:
        self.spec = spec
        self.pid = process.pid
        self.started_at = time.monotonic()
        self.stopping = False
        """Whether somebody asked it to end."""
        self._exit = asyncio.create_task(process.wait(), name=f"exit of {spec.name}")

    @property
    def name(self) -> str:
        """What people call it."""
        return self.spec.name

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return not self._exit.done()

    async def wait(self) -> int:
        """Waits for the end and returns the exit status, negative for a signal."""
        return await asyncio.shield(self._exit)

    def signal(self, number: int) -> None:
        """Sends a signal to the process itself, unless it has ended."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def ready(self, check: Callable[[], T | None], *, within_s: float, what: str) -> T:
        """Waits until `check` returns something, and returns that.

        Raises:
            ProcessDiedError: The process ended before.
            SetupError: It did not get there in `within_s` seconds.
        """
        deadline = time.monotonic() + within_s
        while (found := check()) is None:
            if not self.running:
                raise ProcessDiedError(self.name, await self.wait(), self.spec.log)
            if time.monotonic() > deadline:
                raise SetupError(
                    f"{self.name} runs, but {what} after {within_s:g} s; see {self.spec.log}."
                )
            await asyncio.wait({self._exit}, timeout=_READY_POLL_S)
        return found


class ProcessOwner:
    """Starts processes and ends them, the last one first, when it is left.

    Args:
        grace_s: Seconds between SIGTERM and SIGKILL.
        hold_open: File descriptors that the keeper keeps open until everything has ended,
            such as the one that holds a lock.
    """

    def __init__(self, *, grace_s: float = 10, hold_open: Sequence[int] = ()) -> None:
        self._grace_s = grace_s
        self._hold_open = tuple(hold_open)
        self._keeper: subprocess.Popen[bytes] | None = None
        self._processes: list[OwnedProcess] = []
        self._sweeps: dict[int, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        self._keeper = subprocess.Popen(  # noqa: ASYNC220 - a fixed command; returns at once
            [sys.executable, "-I", "-S", keeper.__file__, str(self._grace_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=self._hold_open,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            for process in reversed(tuple(self._processes)):
                await self.stop(process)
        finally:
            # On a second interruption the keeper ends what is still on its list.
            running = self._keeper
            if running is not None and running.stdin is not None:
                running.stdin.close()
                await asyncio.to_thread(running.wait)

    async def start(self, spec: ProcessSpec) -> OwnedProcess:
        """Starts a process; it runs when this returns, ready or not."""
        spec.log.parent.mkdir(parents=True, exist_ok=True)
        with spec.log.open("ab") as log:
            shell = await asyncio.create_subprocess_exec(
                "/bin/sh", "-c", _GATE, "motet", *spec.command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **spec.env},
                start_new_session=True,
            )  # fmt: skip
        process = OwnedProcess(spec, shell)
        self._processes.append(process)
        self._tell_keeper("+", process.pid)
        self._sweeps[process.pid] = asyncio.create_task(self._sweep(process))
        if shell.stdin is not None:
            shell.stdin.write(b"\n")
            shell.stdin.close()
        return process

    async def stop(self, *processes: OwnedProcess) -> None:
        """Ends processes side by side: SIGTERM, a bounded wait, SIGKILL."""
        for process in processes:
            process.stopping = True
            process.signal(signal.SIGTERM)
        sweeps = [self._sweeps[process.pid] for process in processes if process.pid in self._sweeps]
        if not sweeps:
            return
        _, late = await asyncio.wait(sweeps, timeout=self._grace_s)
        if late:
            for process in processes:
                process.signal(signal.SIGKILL)
            await asyncio.wait(late)

    async def _sweep(self, process: OwnedProcess) -> None:
        """Waits for a process' end, then ends what it left in its group."""
        await process.wait()
        keeper.sent(process.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessDiedError):  # starting the next process reports it
            self._tell_keeper("-", process.pid)
        self._processes.remove(process)
        del self._sweeps[process.pid]

    def _tell_keeper(self, sign: str, group: int) -> None:
        if self._keeper is None or self._keeper.stdin is None:
            raise RuntimeError("a ProcessOwner starts processes only inside `async with`")
        try:
            os.write(self._keeper.stdin.fileno(), f"{sign}{group}\n".encode())
        except BrokenPipeError:
            raise ProcessDiedError("the keeper", self._keeper.wait(), Path(os.devnull)) from None


def described(status: int) -> str:
    """An exit status in words."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def last_lines(log: Path, count: int = 5, tail_bytes: int = 8192) -> list[str]:
    """The last `count` lines of a log that say something, of its last `tail_bytes` bytes."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - tail_bytes))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line.rstrip() for line in text.splitlines() if line.strip()][-count:]
