"""Queues, agents and streams as gauges, for the metrics of whoever does the mesh's tasks.

What is queued is what lies in a work queue: a message leaves it when its outcome is stored, so the
count is of what is pending and of what is worked on, also for a skill that no agent has. Several
processes may watch at once, and all say the same: `max` over them is right, a sum is not.

Nothing is asked when nobody reads the metrics.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from nats.errors import Error as NatsError
from nats.js.api import StreamInfo
from nats.js.errors import APIError

from motet.bus.connection import Bus
from motet.bus.kv import Bucket
from motet.bus.stopping import end
from motet.errors import FaultError
from motet.telemetry import names
from motet.telemetry.levels import Level

__all__ = ["QueueWatch"]

log = logging.getLogger(__name__)

LOOK_S = 10.0
"""Seconds between two looks. Each costs a request a stream, one a queue that is not empty, and
the agents' cards."""

MOST_AGES = 50
"""Queues of a stream whose oldest message is looked at, the fullest first."""

_BY_SUBJECT = ("TASKS", "CALLS", "DEAD")


class _Queue(NamedTuple):
    length: str
    """The metric of its length."""
    age: str
    """That of its oldest message's age."""
    labels: tuple[tuple[str, str], ...]


class QueueWatch:
    """Looks at the queues now and then."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._topology = bus.topology
        self._agents: set[str] = set()
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begins to look, if anybody reads the metrics."""
        if self._bus.instruments.enabled:
            self._watch = asyncio.create_task(self._keep_looking(), name="watch queues")

    async def stop(self) -> None:
        """Looks no more, and takes back what was last seen."""
        if self._watch is not None:
            await end(self._watch)
            self._bus.instruments.levels.show(())

    async def look(self) -> None:
        """Looks once.

        Raises:
            APIError: A stream is not there, or has no leader.
            NatsError: The server does not answer.
            FaultError: `unavailable`, when the agents' cards cannot be read.
        """
        levels: list[Level] = []
        for config in self._topology.streams():
            name = config.name or ""
            short = self._short(name)
            info = await self._bus.js.stream_info(name, ">" if short in _BY_SUBJECT else None)
            levels.extend(self._size(info, short))
            match short:
                case "TASKS" | "CALLS":
                    levels.extend(self._queued(info))
                    levels.extend(await self._oldest(name, info))
                case "DEAD":
                    levels.extend(self._dead(info))
                case _:
                    pass
        levels.extend(await self._instances())
        self._bus.instruments.levels.show(levels)

    async def _keep_looking(self) -> None:
        while True:
            try:
                await self.look()
            except (APIError, FaultError, NatsError, TimeoutError) as error:
                log.debug("queues are not to be seen: %s", error or type(error).__name__)
            await asyncio.sleep(LOOK_S)

    def _short(self, stream: str) -> str:
        """A stream's name in the default namespace."""
        streams = {self._topology.stream(name): name for name in _BY_SUBJECT}
        return streams.get(stream, stream)

    def _size(self, info: StreamInfo, short: str) -> Iterator[Level]:
        stream = {names.STREAM: short}
        yield Level(names.METRIC_STREAM_MESSAGES, info.state.messages, stream)
        yield Level(names.METRIC_STREAM_SIZE, info.state.bytes, stream)
        if info.config.max_bytes and info.config.max_bytes > 0:
            yield Level(names.METRIC_STREAM_LIMIT, info.config.max_bytes, stream)

    def _queued(self, info: StreamInfo) -> Iterator[Level]:
        counts: Counter[_Queue] = Counter()
        for subject, count in (info.state.subjects or {}).items():
            queue = self._queue(subject)
            if queue is not None:
                counts[queue] += count
        for queue, count in counts.items():
            yield Level(queue.length, count, dict(queue.labels))

    async def _oldest(self, stream: str, info: StreamInfo) -> list[Level]:
        ages: dict[_Queue, float] = {}
        now = datetime.now(UTC)
        for subject, _ in Counter(info.state.subjects or {}).most_common(MOST_AGES):
            queue = self._queue(subject)
            stored = None if queue is None else await self._stored_at(stream, subject)
            if queue is not None and stored is not None:
                age_s = max(0.0, (now - stored).total_seconds())
                ages[queue] = max(ages.get(queue, 0.0), age_s)
        return [Level(queue.age, age_s, dict(queue.labels)) for queue, age_s in ages.items()]

    async def _stored_at(self, stream: str, subject: str) -> datetime | None:
        """When the oldest message of a subject was stored; None when it has left by now."""
        try:
            message = await self._bus.js.get_msg(stream, 1, subject, next=True)
        except APIError:
            return None
        return message.time

    def _queue(self, subject: str) -> _Queue | None:
        match subject.split(".")[1:]:
            case ["call", agent, skill]:
                labels = ((names.AGENT, agent), (names.SKILL, skill))
                return _Queue(names.METRIC_CALLS_QUEUED, names.METRIC_CALLS_OLDEST, labels)
            case ["task", "ready", priority, tenant]:
                payer = self._bus.instruments.tenant(tenant)
                return _tasks("ready", priority, payer)
            case ["task", "submit", priority]:
                return _tasks("submit", priority)
            case ["task", "submit"]:
                return _tasks("submit", "normal")
            case ["task", kind]:
                return _tasks(kind)
            case _:
                return None

    def _dead(self, info: StreamInfo) -> Iterator[Level]:
        for subject, count in (info.state.subjects or {}).items():
            agent, skill = subject.split(".")[-2:]
            labels = {names.AGENT: agent, names.SKILL: skill}
            yield Level(names.METRIC_DEAD_LETTERS_KEPT, count, labels)

    async def _instances(self) -> list[Level]:
        """How many of each agent; 0 for one that has been seen and is gone."""
        cards = await Bucket(self._bus, "agents").items()
        live = Counter(card.key.partition(".")[0] for card in cards)
        self._agents.update(live)
        return [
            Level(names.METRIC_INSTANCES, live[agent], {names.AGENT: agent})
            for agent in sorted(self._agents)
        ]


def _tasks(queue: str, priority: str = "", tenant: str = "") -> _Queue:
    labels = ((names.QUEUE, queue), (names.PRIORITY, priority), (names.TENANT, tenant))
    return _Queue(names.METRIC_TASKS_QUEUED, names.METRIC_TASKS_OLDEST, labels)
