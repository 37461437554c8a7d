"""Delivery: pulling messages from a durable consumer, one by one, and keeping them alive.

Invariants:

- Up to `concurrency` messages are asked for or worked on at any time, and a freed place is asked
  for at once: a slow handler never holds up its neighbours.
- A message is alive on the stream as long as its handler runs: in-progress is sent each third of
  the ack wait. A handler whose signs of life cannot be sent for a whole ack wait is stopped, since
  the message by then belongs to somebody else.
- A server that is killed forgets deliveries that it has not yet written down, and counts anew. So
  what was in the stream before the connection was made may have been delivered before, whatever
  its count says.
- A handler decides the message's fate itself, through `Delivery`; one that raises hands the
  message back.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.js.errors import APIError

from motet.bus.connection import GOODBYE_S, Bus
from motet.bus.stopping import end
from motet.bus.topology import Header

__all__ = ["Consumer", "Delivery"]

log = logging.getLogger(__name__)

PULL_EXPIRES_S = 30.0
"""Seconds that the server keeps one request for messages."""

IDLE_HEARTBEAT_S = 3.0
"""Seconds between the server's signs of life on a request; after two misses it is made anew."""

HAND_BACK_DELAY_S = 0.2
"""Seconds before a message is delivered again that a stopping handler handed back."""

HAND_BACK_MAX_S = 60.0
"""The longest wait before a message is delivered again whose handler could not settle it."""


class Delivery:
    """One delivery of one message."""

    __slots__ = (
        "_message",
        "attempt",
        "first",
        "last_sign",
        "sequence",
        "settled",
        "stored_at",
        "task",
    )

    def __init__(self, message: Msg, doubtful: int = 0) -> None:
        self._message = message
        # $JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<delivered>.<sequence>.….<time>.<pending>
        tokens = message.reply.split(".")
        first = 4 if len(tokens) == 9 else 6
        self.attempt = int(tokens[first])
        """How many times the message has been delivered, from 1."""
        self.sequence = int(tokens[first + 1])
        """The message's place in its stream."""
        self.first = self.attempt == 1 and self.sequence > doubtful
        """Whether it was certainly never delivered before."""
        self.stored_at = int(tokens[first + 3]) / 1e9
        """When the stream stored it, Unix time in seconds."""
        self.settled = False
        self.last_sign = asyncio.get_running_loop().time()
        self.task: asyncio.Task[None] | None = None

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


class Consumer:
    """Pulls from one durable consumer and runs a handler for each message."""

    def __init__(
        self,
        bus: Bus,
        stream: str,
        durable: str,
        handler: Handler,
        *,
        concurrency: int,
    ) -> None:
        self._bus = bus
        self._stream = bus.topology.stream(stream)
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{durable}"
        self._name = durable
        self._handler = handler
        self._concurrency = concurrency
        self._ack_wait_s = bus.settings.ack_wait_s
        self._running: set[Delivery] = set()
        self._asked = 0
        self._generation = 0
        self._doubtful = 0
        self._heard = 0.0
        self._inbox = ""
        self._reply = ""
        self._subscription: Subscription | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._stopping = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def running(self) -> int:
        """How many messages are worked on now."""
        return len(self._running)

    async def start(self) -> None:
        """Begins to pull."""
        self._inbox = self._bus.client.new_inbox()
        self._subscription = await self._bus.subscribe(f"{self._inbox}.*", self._received)
        await self._bus.patiently(self._ask_connected, f"Queue {self._name!r} cannot be read")
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self._name}")

    async def stop(self, grace_s: float) -> None:
        """Stops pulling; what runs gets `grace_s` seconds to finish, then is handed back."""
        self._stopping = True
        if self._subscription is not None:
            # What is under way to us comes still, and is handed back at once.
            await _quietly(asyncio.wait_for(self._subscription.drain(), GOODBYE_S))
        if self._running and grace_s > 0:
            try:
                async with asyncio.timeout(grace_s):
                    await self._idle.wait()
            except TimeoutError:
                log.info("%s: handing back %d running calls", self._name, len(self._running))
        await end(self._keeper, *(delivery.task for delivery in self._running))

    async def _received(self, message: Msg) -> None:
        self._heard = asyncio.get_running_loop().time()
        # A message comes under its own subject, a status under the inbox of its request.
        if message.subject.startswith(self._inbox):
            if message.subject == self._reply and message.headers:
                await self._status(message.headers)
            return
        self._asked = max(0, self._asked - 1)
        if self._stopping:
            await _quietly(message.nak())
            return
        delivery = Delivery(message, self._doubtful)
        self._running.add(delivery)
        self._idle.clear()
        delivery.task = asyncio.create_task(self._run(delivery), name=f"handle {self._name}")

    async def _status(self, headers: Mapping[str, str]) -> None:
        match headers.get(Header.STATUS):
            case "100" | None:
                return
            case "408":
                unfilled = int(headers.get(Header.UNFILLED, self._asked))
                self._asked = max(0, self._asked - unfilled)
                await _quietly(self._ask(unfilled))
            case status:
                # The consumer moved, or the server restarts: the keeper asks again.
                log.debug("%s: a request for messages ended with %s", self._name, status)
                self._asked = 0
                self._heard = float("-inf")

    async def _run(self, delivery: Delivery) -> None:
        try:
            await self._handler(delivery)
        except asyncio.CancelledError:
            if not delivery.settled:
                await _quietly(delivery.retry(HAND_BACK_DELAY_S))
        except Exception:
            log.exception("%s: message %d is handed back", self._name, delivery.sequence)
            if not delivery.settled:
                delay_s = 0.5 * 2 ** min(delivery.attempt, 10)
                await _quietly(delivery.retry(min(delay_s, HAND_BACK_MAX_S)))
        finally:
            self._running.discard(delivery)
            if not self._running:
                self._idle.set()
            free = self._concurrency - len(self._running) - self._asked
            if free * 2 >= self._concurrency or self._asked == 0:
                await _quietly(self._ask(free))

    async def _ask_connected(self) -> None:
        """Asks for the first time on a connection."""
        info = await self._bus.js.stream_info(self._stream)
        self._doubtful = info.state.last_seq
        await self._ask_anew()

    async def _ask_anew(self) -> None:
        """Forgets what was asked for and asks for all free places under a new inbox."""
        self._generation += 1
        self._reply = f"{self._inbox}.{self._generation}"
        self._asked = 0
        await self._ask(self._concurrency - len(self._running))

    async def _ask(self, count: int) -> None:
        if count <= 0 or self._stopping:
            return
        self._asked += count
        self._heard = max(self._heard, asyncio.get_running_loop().time())
        request = {
            "batch": count,
            "expires": int(PULL_EXPIRES_S * 1e9),
            "idle_heartbeat": int(IDLE_HEARTBEAT_S * 1e9),
        }
        await self._bus.client.publish(self._next, json.dumps(request).encode(), reply=self._reply)

    async def _keep(self) -> None:
        """Sends signs of life for running messages, and revives a pull that went silent."""
        period = min(self._ack_wait_s / 3, 1.0)
        loop = asyncio.get_running_loop()
        client = self._bus.client
        connections = self._bus.connections
        while True:
            await asyncio.sleep(period)
            now = loop.time()
            for delivery in list(self._running):
                await self._sign(delivery, now)
            if self._stopping or not client.is_connected:
                continue
            # A request for messages does not outlive its connection.
            anew = self._bus.connections != connections
            silent = now - self._heard > 2 * IDLE_HEARTBEAT_S
            if anew:
                now_connected = self._bus.connections
                if await _quietly(self._ask_connected()):
                    connections = now_connected
            elif silent and len(self._running) < self._concurrency:
                await _quietly(self._ask_anew())

    async def _sign(self, delivery: Delivery, now: float) -> None:
        if delivery.settled or now - delivery.last_sign < self._ack_wait_s / 3:
            return
        if now - delivery.last_sign > self._ack_wait_s and delivery.task:
            # The connection was lost, or this process slept: the stream gave the message away.
            log.warning("%s: lost hold of message %d", self._name, delivery.sequence)
            delivery.settled = True
            delivery.task.cancel()
        elif self._bus.client.is_connected:
            await _quietly(delivery.alive())
            delivery.last_sign = now


async def _quietly(action: Awaitable[object]) -> bool:
    """Awaits what is made good if it fails, as by delivering again; returns whether it did not."""
    try:
        await action
    except (NatsError, TimeoutError, APIError) as error:
        log.debug("not sent: %s", error or type(error).__name__)
        return False
    return True
