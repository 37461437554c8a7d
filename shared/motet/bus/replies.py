"""Replies: whatever this process waits for on core subjects, over one subscription.

A reply costs a counter and a future here. The client library's own `request` adds a random token,
a timer and a task's worth of bookkeeping to each, which made up a fifth of a hop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

__all__ = ["Replies"]


class Replies:
    """Maps reply subjects to waiting futures."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._inbox = client.new_inbox()
        self._waiting: dict[str, asyncio.Future[Msg]] = {}
        self._collecting: dict[str, asyncio.Queue[Msg]] = {}
        self._subscribed: asyncio.Future[Subscription] | None = None
        self._count = 0

    async def expect(self) -> tuple[str, asyncio.Future[Msg]]:
        """A subject for one reply, and the future that it will complete."""
        reply = await self._subject()
        future = self._waiting[reply] = asyncio.get_running_loop().create_future()
        return reply, future

    def forget(self, reply: str) -> None:
        """Stops waiting on a subject."""
        self._waiting.pop(reply, None)

    async def request(
        self, subject: str, body: bytes, headers: dict[str, str] | None, timeout_s: float
    ) -> Msg:
        """Publishes, and waits for one reply.

        Raises:
            TimeoutError: None came in time.
            nats.errors.Error: It could not be published.
        """
        reply, future = await self.expect()
        loop = asyncio.get_running_loop()
        timer = loop.call_later(timeout_s, _expire, future)
        try:
            await self._client.publish(subject, body, reply=reply, headers=headers)
            return await future
        finally:
            timer.cancel()
            self._waiting.pop(reply, None)

    async def collect(
        self, subject: str, body: bytes, is_last: Callable[[Msg], bool], timeout_s: float
    ) -> list[Msg]:
        """Publishes, and waits for several replies up to the last one, which is among them.

        Raises:
            TimeoutError: One did not come within `timeout_s` seconds of the one before.
            nats.errors.Error: It could not be published.
        """
        reply = await self._subject()
        coming = self._collecting[reply] = asyncio.Queue[Msg]()
        try:
            await self._client.publish(subject, body, reply=reply)
            replies: list[Msg] = []
            while not replies or not is_last(replies[-1]):
                async with asyncio.timeout(timeout_s):
                    replies.append(await coming.get())
            return replies
        finally:
            del self._collecting[reply]

    async def _subject(self) -> str:
        """A subject that nobody has been given before, for replies to come to."""
        if self._subscribed is None:
            self._subscribed = asyncio.ensure_future(
                self._client.subscribe(f"{self._inbox}.*", cb=self._received)
            )
        if not self._subscribed.done():
            await asyncio.shield(self._subscribed)
        self._count += 1
        return f"{self._inbox}.{self._count}"

    async def _received(self, message: Msg) -> None:
        future = self._waiting.get(message.subject)
        if future is not None and not future.done():
            future.set_result(message)
        elif (coming := self._collecting.get(message.subject)) is not None:
            coming.put_nowait(message)


def _expire(future: asyncio.Future[Msg]) -> None:
    if not future.done():
        future.set_exception(TimeoutError())
