"""News: when to look into a stream again, for who follows it without a consumer.

Invariants:

- What is published on the subject is heard as a core message, by everybody who follows, and at the
  cost of one subscription. It only says that it is time to look: what was published is read from
  the stream.
- A message may be heard a moment before the stream gives it away, so one that was heard and not
  read is looked for again, soon and then less often.
- A core message can be lost. So there is a look now and then in any case, and one as soon as a
  connection that was lost is back.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Self

from nats.aio.msg import Msg

from motet.bus.connection import Bus

__all__ = ["News"]

SOON_S = 0.001
"""Seconds until the first look for what was heard and not read; each further one waits twice as
long."""

SOON_AT_MOST_S = 0.25
"""The wait after which it is taken for something that the stream did not keep."""

LOOK_S = 1.0
"""Seconds until a look without news; each further one waits twice as long."""

LOOK_AT_MOST_S = 5.0
"""The longest of these waits."""

CONNECTION_CHECK_S = 1.0
"""Seconds between two looks at whether the connection was lost and is back."""


class News:
    """Hears that something was published on a subject."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._connections = bus.connections
        self._heard = asyncio.Event()
        self._unread: Counter[int] = Counter()
        self._soon_s = SOON_S
        self._look_s = LOOK_S

    @classmethod
    @asynccontextmanager
    async def of(cls, bus: Bus, subject: str) -> AsyncGenerator[Self]:
        """Hears a subject while the block lasts.

        What is stored after anything that the block asks of the server is heard.

        Raises:
            FaultError: `unavailable` when the connection is closed.
        """
        news = cls(bus)
        hear = partial(bus.client.subscribe, subject, cb=news._hear)
        subscription = await bus.patiently(hear, f"{subject!r} cannot be heard")
        try:
            yield news
        finally:
            if bus.client.is_connected:
                await subscription.unsubscribe()

    def read(self, body: bytes) -> None:
        """Notes that a message was read, by its body."""
        self._soon_s, self._look_s = SOON_S, LOOK_S
        mark = hash(body)
        if self._unread[mark] > 1:
            self._unread[mark] -= 1
        else:
            del self._unread[mark]

    async def wait(self) -> None:
        """Waits until it is time to look. Call it when a look found no more."""
        self._heard.clear()
        if self._unread:
            await self._told(self._soon_s)
            self._soon_s *= 2
            if self._soon_s > SOON_AT_MOST_S:
                self._unread.clear()
            return
        loop = asyncio.get_running_loop()
        until = loop.time() + self._look_s
        self._look_s = min(2 * self._look_s, LOOK_AT_MOST_S)
        while not self._heard.is_set():
            left = until - loop.time()
            if self._bus.client.is_connected and (left <= 0 or self._is_back()):
                return
            await self._told(min(left, CONNECTION_CHECK_S) if left > 0 else CONNECTION_CHECK_S)

    async def _told(self, timeout_s: float) -> None:
        """Waits until a message is heard, for so many seconds."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._heard.wait()
        except TimeoutError:
            return

    def _is_back(self) -> bool:
        """Whether the connection was lost and made again since this was asked last."""
        known, self._connections = self._connections, self._bus.connections
        return self._connections != known

    async def _hear(self, message: Msg) -> None:
        self._unread[hash(message.data)] += 1
        self._soon_s = SOON_S
        self._heard.set()
