"""Parsing: files of others are read by processes that may crash, swell or hang without harm.

Invariants:

- At most `processes` run at once; each starts when it is first needed and reads one file after
  another. It has its own limits of memory and processor time, and of this process' environment
  nothing but where programs and libraries are.
- Whoever does not answer in time, crashes, or is not waited for any more is killed, and the next
  file gets another.
- What comes back is data (JSON of one type) of bounded size.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from motet_retriever.parsers.parsed import Parsed, UnreadableError
from motet_retriever.parsers.process import PARSED

__all__ = ["Bounds", "Parsing"]

_ENVIRONMENT = {
    **{name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ},
    # Each thread that these would start reserves memory that it does not use.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUTF8": "1",
    "TZ": "UTC",
}
_STARTED_WITHIN_S = 60.0
"""Seconds that a new process has beside those for its file: Python and its imports."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What parsing may take."""

    processes: int = 2
    """Files read at once."""
    memory_bytes: int = 1 << 30
    """Address space of a process."""
    timeout_s: float = 60.0
    """Seconds for a file."""


class Parsing:
    """Reads files in processes of their own."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self._places = asyncio.Semaphore(self._bounds.processes)
        self._idle: list[_Reader] = []
        self._closed = False

    async def parse(self, data: bytes, media_type: str, limit: int) -> Parsed:
        """The text of a file.

        Args:
            data: The file.
            media_type: What it is said to be.
            limit: Characters that its text may have.

        Raises:
            UnreadableError: It cannot be read, or takes too long or too much memory.
            OSError: No process can be started.
        """
        async with self._places:
            reader = self._idle.pop() if self._idle else await self._started()
            try:
                answer = await self._asked(reader, data, media_type, limit)
            except BaseException:
                await reader.kill()
                raise
            if self._closed:
                await reader.kill()
            else:
                self._idle.append(reader)
        if isinstance(answer, str):
            raise UnreadableError(answer)
        return answer

    async def close(self) -> None:
        """Ends the processes that have nothing to do; the others end with their file."""
        self._closed = True
        while self._idle:
            await self._idle.pop().kill()

    async def _started(self) -> _Reader:
        bounds = self._bounds
        arguments = (str(bounds.memory_bytes), str(max(1, round(bounds.timeout_s))))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-I", "-m", "motet_retriever.parsers.process"),
            *arguments,
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            env=_ENVIRONMENT,
            start_new_session=True,
        )
        return _Reader(process)

    async def _asked(
        self, reader: _Reader, data: bytes, media_type: str, limit: int
    ) -> Parsed | str:
        timeout_s = self._bounds.timeout_s + (0 if reader.is_warm else _STARTED_WITHIN_S)
        try:
            async with asyncio.timeout(timeout_s):
                return await reader.ask(data, media_type, limit)
        except TimeoutError:
            raise UnreadableError(self._too_long()) from None
        except (asyncio.IncompleteReadError, BrokenPipeError, ConnectionResetError):
            raise UnreadableError(self._why_ended(await reader.kill())) from None

    def _too_long(self) -> str:
        return (
            f"It takes longer than {self._bounds.timeout_s:g} seconds to read, the limit "
            "(MOTET_RETRIEVER_PARSER_TIMEOUT_S)."
        )

    def _why_ended(self, code: int) -> str:
        if code == -signal.SIGXCPU:
            return self._too_long()
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return (
            f"Its parser crashed on it ({how}): it is broken, or takes more than "
            f"{self._bounds.memory_bytes:,} bytes of memory (MOTET_RETRIEVER_PARSER_MEMORY_BYTES)."
        )


class _Reader:
    """One process."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.is_warm = False
        """Whether it has answered before."""

    async def ask(self, data: bytes, media_type: str, limit: int) -> Parsed | str:
        """What it read, or why it could not.

        Raises:
            IncompleteReadError: It ended.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None  # noqa: S101  # they are pipes
        assert stdout is not None  # noqa: S101
        request = {"media_type": media_type, "size": len(data), "limit": limit}
        stdin.write(json.dumps(request).encode() + b"\n")
        stdin.write(data)
        await stdin.drain()
        head: dict[str, Any] = json.loads(await stdout.readuntil(b"\n"))
        self.is_warm = True
        if not head["read"]:
            return str(head["reason"])
        # A character takes six bytes of JSON at most; blocks, whose number goes with them, more.
        if head["size"] > 64 * limit + (1 << 20):
            return "It has more structure than text."
        return PARSED.validate_json(await stdout.readexactly(head["size"]))

    async def kill(self) -> int:
        """Ends it; returns its exit code, below 0 the signal that ended it."""
        if self._process.returncode is None:
            # Its own `kill` would look whether it has ended, and take its exit code from who waits.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        code = await self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        return code
