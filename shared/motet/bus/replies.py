"""Replies: whatever this process waits for on core subjects, over one subscription.

A reply costs a token and a future here. The client library's own `request` adds a random token,
a timer and a task's worth of bookkeeping to each, which made up a fifth of a hop.

Invariants:

- What the server answers comes to the connection's inbox, which other processes must not publish
  to. Who hears an event sees where its publisher waits, so nobody can tell the next reply's subject
  from the last one's.
- The outcome of a call comes to a subject that only this call's messages name, so that whoever does
  one call cannot answer another.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

__all__ = ["MessageCallback", "Replies"]

MessageCallback = Callable[[Msg], Awaitable[None]]


class Inbox:
    """The subjects below one, heard as soon as one of them is needed."""

    def __init__(self, client: Client, subject: str, hear: MessageCallback) -> None:
        self._client = client
        self._hear = hear
        self._subscribed: asyncio.Future[Subscription] | None = None
        self.subject = subject

    async def open(self) -> None:
        """Begins to hear them, unless that was done."""
        if self._subscribed is None:
            self._subscribed = asyncio.ensure_future(
                self._client.subscribe(f"{self.subject}.*", cb=self._hear)
            )
        if not self._subscribed.done():
            await asyncio.shield(self._subscribed)


class Replies:
    """Maps reply subjects to waiting futures."""

    def __init__(self, client: Client, outcomes: str) -> None:
        """Waits for nothing yet.

        Args:
            client: The connection.
            outcomes: The subject below which outcomes of calls come.
        """
        self._client = client
        self._inbox = Inbox(client, client.new_inbox(), self._received)
        self._outcomes = Inbox(client, f"{outcomes}.{secrets.token_hex(12)}", self._received)
        self._waiting: dict[str, asyncio.Future[Msg]] = {}
        self._collecting: dict[str, asyncio.Queue[Msg]] = {}
        self._asked: dict[str, str] = {}

    async def expect(self) -> tuple[str, asyncio.Future[Msg]]:
        """A subject for the outcome of one call, and the future that it will complete."""
        await self._outcomes.open()
        reply = f"{self._outcomes.subject}.{secrets.token_hex(12)}"
        return reply, self._wait_on(reply)

    def _wait_on(self, reply: str) -> asyncio.Future[Msg]:
        future = self._waiting[reply] = asyncio.get_running_loop().create_future()
        return future

    def forget(self, reply: str) -> None:
        """Stops waiting on a subject."""
        self._waiting.pop(reply, None)

    async def request(
        self, subject: str, body: bytes, headers: dict[str, str] | None, timeout_s: float
    ) -> Msg:
        """Publishes, and waits for one reply.

        Raises:
            TimeoutError: None came in time.
            nats.errors.Error: It could not be published, or may not be.
        """
        reply = await self._subject()
        future = self._wait_on(reply)
        self._asked[reply] = subject
        loop = asyncio.get_running_loop()
        timer = loop.call_later(timeout_s, _expire, future)
        try:
            await self._client.publish(subject, body, reply=reply, headers=headers)
            return await future
        finally:
            timer.cancel()
            self._waiting.pop(reply, None)
            del self._asked[reply]

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

    def refuse(self, subject: str, error: Exception) -> None:
        """Ends the waiting of all who have published on a subject, which the server did not let.

        Args:
            subject: As the client library gives it away: in lower case.
            error: Why.
        """
        for reply, asked in self._asked.items():
            future = self._waiting.get(reply)
            if asked.lower() == subject and future is not None and not future.done():
                future.set_exception(error)

    async def _subject(self) -> str:
        """A subject that nobody has been given before, for the server's answers to come to."""
        await self._inbox.open()
        return f"{self._inbox.subject}.{secrets.token_hex(8)}"

    async def _received(self, message: Msg) -> None:
        future = self._waiting.get(message.subject)
        if future is not None and not future.done():
            future.set_result(message)
        elif (coming := self._collecting.get(message.subject)) is not None:
            coming.put_nowait(message)


def _expire(future: asyncio.Future[Msg]) -> None:
    if not future.done():
        future.set_exception(TimeoutError())
