"""Suspension: how an attempt ends whose answer a person must give first.

Invariants:

- From the first question on, no further delegation of the attempt begins, and it ends when those
  that run have ended. So whatever was finished is in the ledger, and nothing runs on unseen.
- However the handler ends after that, by returning or by raising, the attempt is suspended: what
  was decided without the reply does not count. Only a cancellation or a deadline is stronger.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

from motet.errors import Suspended

__all__ = ["Suspension"]


class Suspension:
    """What one attempt waits for, and what it still has under way."""

    __slots__ = ("_idle", "_running", "questions")

    def __init__(self) -> None:
        self.questions: set[str] = set()
        """Ids of the questions that have no reply."""
        self._running = 0
        self._idle: asyncio.Event | None = None

    @contextmanager
    def running(self) -> Generator[None]:
        """Counts a delegation that runs.

        Raises:
            Suspended: None may begin any more.
        """
        if self.questions:
            raise Suspended(frozenset(self.questions))
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            if not self._running and self._idle is not None:
                self._idle.set()

    async def suspend(self, questions: frozenset[str]) -> Suspended:
        """Notes questions; returns what to raise, once nothing runs any more."""
        self.questions |= questions
        while self._running:
            self._idle = self._idle or asyncio.Event()
            await self._idle.wait()
        return Suspended(frozenset(self.questions))

    @contextmanager
    def around(self) -> Generator[None]:
        """Stands around the handler."""
        try:
            yield
        except asyncio.CancelledError:
            raise
        except BaseException:
            if not self.questions:
                raise
        if self.questions:
            raise Suspended(frozenset(self.questions))
