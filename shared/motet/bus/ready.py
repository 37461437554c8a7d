"""Ready tasks: one queue a priority and tenant, and which of them is served next.

Invariants:

- A more urgent task goes first, except that every `TURN`th place goes to the least urgent that
  waits, so that nothing waits for ever.
- A share of the places is kept free for what is more urgent: an interactive task need not wait
  for a batch task to end.
- Among the tenants of one priority, the one with the fewest tasks running here goes first, and
  among equals the one that was served longest ago. Within a tenant and priority, the oldest.
- Nothing is asked of a queue that is known to be empty. That a task has come is told on a core
  subject after it was stored; what is lost of that, and what is delivered again, is found by
  looking, each `LOOK_S`.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Iterable
from dataclasses import dataclass

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.js.errors import APIError

from motet.bus.connection import GOODBYE_S, Bus
from motet.bus.delivery import Delivery, Handler, Holding, quietly
from motet.bus.provisioning import ensure_consumer
from motet.bus.stopping import end
from motet.bus.topology import Header
from motet.errors import SetupError
from motet.messages import Priority

__all__ = ["ReadyQueues", "places"]

log = logging.getLogger(__name__)

PRIORITIES: tuple[Priority, ...] = ("interactive", "normal", "batch")
"""The most urgent first."""

TURN = 16
"""Of so many places, one goes to the least urgent."""

LOOK_S = 1.0
"""Seconds between two looks at which queues hold messages, while none is known to."""

PULL_S = 2.0
"""Seconds within which the server says whether a queue holds a message."""

_Place = tuple[Priority, str]

_ONE_NOW = b'{"batch": 1, "no_wait": true}'
_EMPTY = ("404", "408")


@dataclass(slots=True)
class _Queue:
    priority: Priority
    tenant: str
    filled: bool = True
    """Whether it may hold a message that nobody works on."""
    running: int = 0
    """How many of its tasks are worked on here."""
    served: int = 0
    """When it was served last, as a count."""


def places(concurrency: int, priority: Priority) -> int:
    """How many of a process's places tasks of a priority, and less urgent ones, may take."""
    kept = {"interactive": 0, "normal": concurrency // 8, "batch": concurrency // 4}
    return concurrency - kept[priority]


class ReadyQueues:
    """Takes up ready tasks."""

    def __init__(self, bus: Bus, handler: Handler, *, concurrency: int) -> None:
        self._bus = bus
        self._stream = bus.topology.stream("TASKS")
        self._concurrency = concurrency
        self._held = Holding(bus, "task-ready", handler, self._freed)
        self._queues: dict[_Place, _Queue] = {}
        self._turn = 1
        self._something = asyncio.Event()
        self._pull: asyncio.Future[str | None] | None = None
        self._pulls = itertools.count(1)
        self._inbox = self._reply = ""
        self._subscriptions: list[Subscription] = []
        self._loops: list[asyncio.Task[None]] = []
        self._stopping = False

    async def start(self) -> None:
        """Begins to take tasks up."""
        self._inbox = self._bus.client.new_inbox()
        awake = self._bus.topology.task_awake("*", "*")
        self._subscriptions = [
            await self._bus.subscribe(f"{self._inbox}.*", self._received),
            await self._bus.subscribe(awake, self._awoken),
        ]
        self._loops = [
            asyncio.create_task(self._keep_taking(), name="take ready tasks"),
            asyncio.create_task(self._keep_alive(), name="keep tasks alive"),
        ]

    async def stop(self, grace_s: float) -> None:
        """Takes nothing more up; what runs gets `grace_s` seconds, then is handed back."""
        self._stopping = True
        taking, alive = self._loops or (None, None)
        await end(taking)
        for subscription in self._subscriptions:
            # What is under way to us comes still, and is handed back at once.
            await quietly(asyncio.wait_for(subscription.drain(), GOODBYE_S))
        await self._held.stop(grace_s)
        await end(alive)

    # Choosing

    async def _keep_taking(self) -> None:
        loop = asyncio.get_running_loop()
        looked = float("-inf")
        while True:
            self._something.clear()
            queue = self._next()
            if queue is None:
                if loop.time() - looked >= LOOK_S and await quietly(self._look()):
                    looked = loop.time()
                    continue
                try:
                    async with asyncio.timeout(LOOK_S):
                        await self._something.wait()
                except TimeoutError:
                    continue
            else:
                queue.filled = False
                if await self._take(queue):
                    queue.filled = True

    def _next(self) -> _Queue | None:
        """The queue to serve now; None when there is no free place, or nothing for one."""
        running = dict.fromkeys(PRIORITIES, 0)
        for queue in self._queues.values():
            running[queue.priority] += queue.running
        if sum(running.values()) >= self._concurrency:
            return None
        order: Iterable[Priority] = PRIORITIES if self._turn % TURN else reversed(PRIORITIES)
        for priority in order:
            below = PRIORITIES[PRIORITIES.index(priority) :]
            if sum(running[each] for each in below) >= places(self._concurrency, priority):
                continue
            waiting = [
                queue
                for queue in self._queues.values()
                if queue.filled and queue.priority == priority
            ]
            if waiting:
                chosen = min(waiting, key=lambda queue: (queue.running, queue.served))
                chosen.served = self._turn = self._turn + 1
                return chosen
        return None

    async def _look(self) -> None:
        """Asks which queues hold messages: also those that wait to be delivered again."""
        info = await self._bus.js.stream_info(self._stream, self._bus.topology.task_ready("*", "*"))
        subjects = info.state.subjects or {}
        held = {place for place in map(self._place, subjects) if place is not None}
        for place in [place for place, queue in self._queues.items() if not queue.running]:
            if place not in held:
                del self._queues[place]
        for place in held:
            self._queue(place).filled = True

    # Pulling

    async def _take(self, queue: _Queue) -> bool:
        """Takes a task from a queue; returns whether it may hold more."""
        topology = self._bus.topology
        wanted = topology.ready_consumer(queue.priority, queue.tenant)
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{wanted.durable_name}"
        self._reply = f"{self._inbox}.{next(self._pulls)}"
        self._pull = asyncio.get_running_loop().create_future()
        try:
            await self._bus.client.publish(subject, _ONE_NOW, reply=self._reply)
            async with asyncio.timeout(PULL_S):
                status = await self._pull
        except (NatsError, TimeoutError) as error:
            log.debug("no answer from queue %s: %s", wanted.durable_name, error)
            return False
        finally:
            self._pull = None
        if status is not None and status not in _EMPTY:
            # Its consumer is gone, as after an operator's hand or a restored backup.
            try:
                await ensure_consumer(self._bus.js, self._stream, wanted)
            except (NatsError, APIError, TimeoutError, SetupError) as error:
                log.debug("queue %s cannot be made: %s", wanted.durable_name, error)
            return False
        return status is None

    async def _received(self, message: Msg) -> None:
        status = None
        # A message comes under its own subject, a status under the inbox of its request.
        if message.subject.startswith(self._inbox):
            status = (message.headers or {}).get(Header.STATUS)
            if status is None or message.subject != self._reply:
                return
        else:
            place = self._place(message.subject)
            if self._stopping or place is None:
                await quietly(message.nak())
                return
            self._queue(place).running += 1
            self._held.take(Delivery(message))
        if self._pull is not None and not self._pull.done():
            self._pull.set_result(status)

    async def _awoken(self, message: Msg) -> None:
        place = self._place(message.subject)
        if place is not None:
            self._queue(place).filled = True
            self._something.set()

    async def _freed(self, delivery: Delivery) -> None:
        place = self._place(delivery.subject)
        if place is not None:
            self._queue(place).running -= 1
        self._something.set()

    def _place(self, subject: str) -> _Place | None:
        """The priority and tenant whose queue a subject names."""
        priority, tenant = subject.split(".")[-2:]
        for known in PRIORITIES:
            if priority == known:
                return known, tenant
        return None

    def _queue(self, place: _Place) -> _Queue:
        return self._queues.setdefault(place, _Queue(*place))

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(self._held.period_s)
            await self._held.keep_alive()
