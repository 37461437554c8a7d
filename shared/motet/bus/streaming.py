"""Streaming: a text that is given away while it is written, in pieces that a stream can bear.

Invariants:

- A model may write ten thousand tokens a second, a delta a token. What is published is at most one
  piece each `INTERVAL_S`, plus one for each `PIECE_CHARACTERS`; the first goes out at once.
- Nothing that was written is lost: what is left is published at the end, which comes before the
  call's outcome, also where the call failed or was cancelled.
- Pieces are published in order, each with its place in the text.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from motet.errors import FaultError

__all__ = ["INTERVAL_S", "PIECE_CHARACTERS", "Streaming"]

INTERVAL_S = 0.1
"""Seconds between two pieces."""

PIECE_CHARACTERS = 4096
"""Characters after which a piece goes out at once, and the most that one has."""

Publish = Callable[[int, str], Awaitable[None]]
"""Writes a piece: its offset in characters, and the text."""


class Streaming:
    """The text of one attempt at a call."""

    def __init__(self, publish: Publish, clock: Callable[[], float] = time.monotonic) -> None:
        self._publish = publish
        self._clock = clock
        self._pieces: list[str] = []
        self._waiting = 0
        self._offset = 0
        self._next_at = 0.0
        self._closing = asyncio.Event()
        self._timer: asyncio.Task[None] | None = None

    async def write(self, text: str) -> None:
        """Adds to the text.

        Raises:
            FaultError: `unavailable` when it cannot be published.
        """
        if not text:
            return
        self._pieces.append(text)
        self._waiting += len(text)
        if self._clock() >= self._next_at:
            await self._flush()
        elif self._waiting >= PIECE_CHARACTERS:
            await self._flush(least=PIECE_CHARACTERS)
        if self._waiting and self._timer is None:
            # For a writer that pauses.
            self._timer = asyncio.create_task(self._later(), name="stream what waits")

    async def close(self) -> None:
        """Publishes what is left; what cannot be is dropped, since the outcome does not need it."""
        self._closing.set()
        with suppress(FaultError):
            await self._flush()
        if self._timer is not None:
            await self._timer

    async def _later(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, self._next_at - self._clock())):
                await self._closing.wait()
        self._timer = None
        with suppress(FaultError):
            await self._flush()

    async def _flush(self, least: int = 1) -> None:
        """Publishes what waits, in pieces of at least so many characters."""
        self._next_at = self._clock() + INTERVAL_S
        while self._waiting >= least:
            text = "".join(self._pieces)
            # Taken before it is published, so that nothing is published twice.
            piece, rest = text[:PIECE_CHARACTERS], text[PIECE_CHARACTERS:]
            self._pieces, self._waiting = [rest], len(rest)
            offset, self._offset = self._offset, self._offset + len(piece)
            await self._publish(offset, piece)
