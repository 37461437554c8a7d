"""Consumers: pulling messages from a durable consumer, one by one.

Up to `concurrency` messages are asked for or worked on at any time, and a freed place is asked for
at once: a slow handler never holds up its neighbours.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from motet.bus.connection import GOODBYE_S, Bus
from motet.bus.delivery import Delivery, Handler, Holding, quietly
from motet.bus.stopping import end
from motet.bus.topology import Header

__all__ = ["Consumer"]

log = logging.getLogger(__name__)

PULL_EXPIRES_S = 30.0
"""Seconds that the server keeps one request for messages."""

IDLE_HEARTBEAT_S = 3.0
"""Seconds between the server's signs of life on a request; after two misses it is made anew."""


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
        self._concurrency = concurrency
        self._held = Holding(bus, durable, handler, self._freed)
        self._asked = 0
        self._generation = 0
        self._doubtful = 0
        self._since = 0.0
        self._heard = 0.0
        self._inbox = ""
        self._reply = ""
        self._subscription: Subscription | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def running(self) -> int:
        """How many messages are worked on now."""
        return len(self._held)

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
            await quietly(asyncio.wait_for(self._subscription.drain(), GOODBYE_S))
        await self._held.stop(grace_s)
        await end(self._keeper)

    async def _received(self, message: Msg) -> None:
        self._heard = asyncio.get_running_loop().time()
        # A message comes under its own subject, a status under the inbox of its request.
        if message.subject.startswith(self._inbox):
            if message.subject == self._reply and message.headers:
                await self._status(message.headers)
            return
        self._asked = max(0, self._asked - 1)
        if self._stopping:
            await quietly(message.nak())
            return
        self._held.take(Delivery(message, self._doubtful, self._since))

    async def _status(self, headers: Mapping[str, str]) -> None:
        match headers.get(Header.STATUS):
            case "100" | None:
                return
            case "408":
                unfilled = int(headers.get(Header.UNFILLED, self._asked))
                self._asked = max(0, self._asked - unfilled)
                await quietly(self._ask(unfilled))
            case status:
                # The consumer moved, or the server restarts: the keeper asks again.
                log.debug("%s: a request for messages ended with %s", self._name, status)
                self._asked = 0
                self._heard = float("-inf")

    async def _freed(self, _: Delivery) -> None:
        free = self._concurrency - len(self._held) - self._asked
        if free * 2 >= self._concurrency or self._asked == 0:
            await quietly(self._ask(free))

    async def _ask_connected(self) -> None:
        """Asks for the first time on a connection."""
        info = await self._bus.js.stream_info(self._stream)
        self._doubtful = info.state.last_seq
        self._since = 0.0 if info.created is None else info.created.timestamp()
        await self._ask_anew()

    async def _ask_anew(self) -> None:
        """Forgets what was asked for and asks for all free places under a new inbox."""
        self._generation += 1
        self._reply = f"{self._inbox}.{self._generation}"
        self._asked = 0
        await self._ask(self._concurrency - len(self._held))

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
        loop = asyncio.get_running_loop()
        client = self._bus.client
        connections = self._bus.connections
        while True:
            await asyncio.sleep(self._held.period_s)
            await self._held.keep_alive()
            if self._stopping or not client.is_connected:
                continue
            # A request for messages does not outlive its connection.
            anew = self._bus.connections != connections
            silent = loop.time() - self._heard > 2 * IDLE_HEARTBEAT_S
            if anew:
                now_connected = self._bus.connections
                if await quietly(self._ask_connected()):
                    connections = now_connected
            elif silent and len(self._held) < self._concurrency:
                await quietly(self._ask_anew())
