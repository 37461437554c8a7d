"""Delivery: messages that this process works on, each by itself, and kept alive.

Invariants:

- A message is alive on the stream as long as its handler runs: in-progress is sent each third of
  the ack wait. A handler whose signs of life cannot be sent for a whole ack wait is stopped, since
  the message by then belongs to somebody else.
- A server that is killed forgets deliveries that it has not yet written down, and counts anew. So
  what was in the stream before the connection was made may have been delivered before, whatever
  its count says; and so may what is older than its stream, for that was restored.
- A message that is delivered again while it is worked on here, as by a server that was restarted,
  waits: it is never handled beside itself.
- A handler decides the message's fate itself, through `Delivery`; one that raises hands the
  message back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.errors import APIError

from motet.bus.connection import Bus
from motet.bus.stopping import end
from motet.bus.topology import Header

__all__ = ["Delivery", "Handler", "Holding", "quietly"]

log = logging.getLogger(__name__)

HAND_BACK_DELAY_S = 0.2
"""Seconds before a message is delivered again that a stopping handler handed back."""

HAND_BACK_MAX_S = 60.0
"""The longest wait before a message is delivered again whose handler could not settle it."""


class Delivery:
    """One delivery of one message."""

    __slots__ = (
        "_message",
        "attempt",
        "ended",
        "first",
        "last_sign",
        "sequence",
        "settled",
        "stored_at",
        "task",
    )

    def __init__(self, message: Msg, doubtful: int = 0, since: float = 0) -> None:
        """Reads what the server says of a message.

        Args:
            message: The message.
            doubtful: Up to which sequence messages may have been delivered before.
            since: When the stream was made, Unix time in seconds: what is older than its stream
                came back with a backup, and may have been delivered before that.
        """
        self._message = message
        # $JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<delivered>.<sequence>.….<time>.<pending>
        tokens = message.reply.split(".")
        first = 4 if len(tokens) == 9 else 6
        self.attempt = int(tokens[first])
        """How many times the message has been delivered, from 1."""
        self.sequence = int(tokens[first + 1])
        """The message's place in its stream."""
        self.stored_at = int(tokens[first + 3]) / 1e9
        """When the stream stored it, Unix time in seconds."""
        self.first = self.attempt == 1 and self.sequence > doubtful and self.stored_at > since
        """Whether it was certainly never delivered before."""
        self.settled = False
        self.last_sign = asyncio.get_running_loop().time()
        self.task: asyncio.Task[None] | None = None
        self.ended = asyncio.Event()
        """Set when its handler is over."""

    @property
    def subject(self) -> str:
        """Where it was published."""
        return self._message.subject

    @property
    def body(self) -> bytes:
        """Its bytes."""
        return self._message.data

    @property
    def headers(self) -> Mapping[str, str]:
        """Its headers."""
        return self._message.headers or {}

    @property
    def stored_time(self) -> datetime:
        """When the stream stored it."""
        return datetime.fromtimestamp(self.stored_at, UTC)

    async def ack(self) -> None:
        """Removes it from the queue. Its outcome must be stored."""
        self.settled = True
        await self._message.ack()

    async def retry(self, delay_s: float) -> None:
        """Hands it back, to be delivered again after `delay_s` seconds."""
        self.settled = True
        await self._message.nak(delay=max(delay_s, 1e-3))

    async def alive(self) -> None:
        """Tells the stream that it is still worked on."""
        await self._message.in_progress()


Handler = Callable[[Delivery], Awaitable[None]]


class Holding:
    """The messages of one queue that this process works on."""

    def __init__(self, bus: Bus, name: str, handler: Handler, freed: Handler) -> None:
        """Holds nothing yet.

        Args:
            bus: Where the messages come from.
            name: The queue's name, for logs.
            handler: Does the work, and settles the message.
            freed: Hears of each message that is not worked on any more.
        """
        self._bus = bus
        self._name = name
        self._handler = handler
        self._freed = freed
        self._ack_wait_s = bus.settings.ack_wait_s
        self._running: set[Delivery] = set()
        self._working: dict[int, Delivery] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    def __len__(self) -> int:
        """How many messages are worked on now."""
        return len(self._running)

    def take(self, delivery: Delivery) -> None:
        """Begins to work on a message."""
        self._running.add(delivery)
        self._idle.clear()
        delivery.task = asyncio.create_task(self._run(delivery), name=f"handle {self._name}")

    @property
    def period_s(self) -> float:
        """Seconds between two rounds of `keep_alive`."""
        return min(self._ack_wait_s / 3, 1.0)

    async def keep_alive(self) -> None:
        """Sends what signs of life are due, and lets go of what was lost."""
        now = asyncio.get_running_loop().time()
        for delivery in list(self._running):
            await self._sign(delivery, now)

    async def stop(self, grace_s: float) -> None:
        """Gives what runs `grace_s` seconds to finish, and hands back the rest."""
        if self._running and grace_s > 0:
            try:
                async with asyncio.timeout(grace_s):
                    await self._idle.wait()
            except TimeoutError:
                log.info("%s: handing back %d running calls", self._name, len(self._running))
        await end(*(delivery.task for delivery in self._running))

    async def _run(self, delivery: Delivery) -> None:
        try:
            await self._handle(delivery)
        except asyncio.CancelledError:
            if not delivery.settled:
                await quietly(delivery.retry(HAND_BACK_DELAY_S))
        except Exception:
            log.exception("%s: message %d is handed back", self._name, delivery.sequence)
            if not delivery.settled:
                delay_s = 0.5 * 2 ** min(delivery.attempt, 10)
                await quietly(delivery.retry(min(delay_s, HAND_BACK_MAX_S)))
        finally:
            self._running.discard(delivery)
            if not self._running:
                self._idle.set()
            await self._freed(delivery)

    async def _handle(self, delivery: Delivery) -> None:
        """Handles a message, after whoever works on the same one here."""
        if Header.STREAM in delivery.headers:
            # A server answers a read wherever the reader says, and so in a queue, too.
            log.error("%s: message %d was copied there: dropped", self._name, delivery.sequence)
            await delivery.ack()
            return
        while (earlier := self._working.get(delivery.sequence)) is not None:
            delivery.first = False
            await earlier.ended.wait()
        self._working[delivery.sequence] = delivery
        try:
            await self._handler(delivery)
        finally:
            del self._working[delivery.sequence]
            delivery.ended.set()

    async def _sign(self, delivery: Delivery, now: float) -> None:
        if delivery.settled or now - delivery.last_sign < self._ack_wait_s / 3:
            return
        if now - delivery.last_sign > self._ack_wait_s and delivery.task:
            # The connection was lost, or this process slept: the stream gave the message away.
            log.warning("%s: lost hold of message %d", self._name, delivery.sequence)
            delivery.settled = True
            delivery.task.cancel()
        elif self._bus.client.is_connected:
            await quietly(delivery.alive())
            delivery.last_sign = now


async def quietly(action: Awaitable[object]) -> bool:
    """Awaits what is made good if it fails, as by delivering again; returns whether it did not."""
    try:
        await action
    except (NatsError, TimeoutError, APIError) as error:
        log.debug("not sent: %s", error or type(error).__name__)
        return False
    return True
