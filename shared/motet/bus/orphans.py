"""Orphans: messages of the work queues that nobody will ever take up.

A server that is killed may have noted that a message was acknowledged, and not yet that it is gone:
then it lies in its stream for ever, and is never delivered. It is removed.

A call that is published past Motet's clients may name a skill that no agent has. No consumer
selects it, so it would lie in its stream for ever and its sender would hear nothing. Whoever does
the mesh's tasks sweeps such messages up: each becomes a dead letter, its outcome a fault.

Invariants:

- A message is an orphan when it has waited for `GRACE_S` and no consumer selects its subject. A
  consumer outlives its agent, so calls of an agent that has stopped are none.
- A message that its consumer has acknowledged has its outcome, which is stored first.
- The steps are those of any failed call (dead letter, outcome, reply, removal), each of which can
  be repeated, so any number of processes may sweep at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from nats.errors import Error as NatsError
from nats.js.errors import APIError, NotFoundError

from motet.bus.connection import Bus
from motet.bus.context import CallContext
from motet.bus.dead import DeadLetters
from motet.bus.ledger import Ledger
from motet.bus.stopping import end
from motet.errors import FaultError
from motet.messages import CallResult, Fault, FaultType

__all__ = ["Orphans"]

log = logging.getLogger(__name__)

SWEEP_S = 5.0
"""Seconds between two sweeps. One that finds nothing new costs a request a stream."""

GRACE_S = 5.0
"""Seconds that a message waits for its consumer, which a new agent may be about to make."""

MOST_A_SWEEP = 1000
"""Orphans of one subject that one sweep ends."""


@dataclass(frozen=True, slots=True)
class _Orphan:
    subject: str
    body: bytes
    headers: Mapping[str, str]
    sequence: int
    stored_at: datetime
    attempt: int = 0


class Orphans:
    """Sweeps the work queues."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._dead = DeadLetters(bus)
        self._ledger = Ledger(bus)
        self._selected: set[str] = set()
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begins to sweep now and then."""
        self._sweeper = asyncio.create_task(self._keep_sweeping(), name="sweep orphans")

    async def stop(self) -> None:
        """Sweeps no more."""
        await end(self._sweeper)

    async def sweep(self) -> int:
        """Ends every orphan that there is.

        Returns:
            How many there were.

        Raises:
            FaultError: `unavailable` when the server does not answer.
        """
        count = 0
        try:
            for stream in ("CALLS", "TASKS"):
                info = await self._bus.js.stream_info(self._bus.topology.stream(stream), ">")
                for subject in info.state.subjects or {}:
                    if not await self._is_selected(stream, subject):
                        async for orphan in self._orphans(stream, subject):
                            await self._end(stream, orphan)
                            count += 1
                count += await self._remove_acknowledged(stream, max(1, info.state.first_seq))
        except (NatsError, APIError) as error:
            raise FaultError.of(
                FaultType.UNAVAILABLE,
                f"The work queues cannot be swept: {error or type(error).__name__}.",
                retryable=True,
            ) from error
        return count

    async def _keep_sweeping(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            try:
                await self.sweep()
            except FaultError as error:
                log.warning("%s", error)

    async def _is_selected(self, stream: str, subject: str) -> bool:
        """Whether a consumer selects a subject; one that is there stays."""
        if subject in self._selected:
            return True
        wanted = self._bus.topology.consumer_of(subject)
        if wanted is None:
            return False
        try:
            found = await self._bus.js.consumer_info(
                self._bus.topology.stream(stream), wanted.durable_name or ""
            )
        except (NotFoundError, ValueError):
            return False
        if found.config.filter_subject == subject:
            self._selected.add(subject)
        return subject in self._selected

    async def _orphans(self, stream: str, subject: str) -> AsyncIterator[_Orphan]:
        """The messages of a subject that have waited long enough, oldest first."""
        youngest = datetime.now(UTC) - timedelta(seconds=GRACE_S)
        sequence = 1
        for _ in range(MOST_A_SWEEP):
            try:
                message = await self._bus.js.get_msg(
                    self._bus.topology.stream(stream), sequence, subject, next=True
                )
            except NotFoundError:
                return
            if message.seq is None or message.time is None or message.time > youngest:
                return
            sequence = message.seq + 1
            if message.subject != subject:
                continue  # a subject that is spelled like a wildcard selects others, too
            headers = {name: str(value) for name, value in (message.headers or {}).items()}
            yield _Orphan(subject, message.data or b"", headers, message.seq, message.time)

    async def _end(self, stream: str, orphan: _Orphan) -> None:
        first, *rest = self._tokens(orphan.subject)
        fault = Fault(
            type=FaultType.UNKNOWN_SKILL,
            message=f"Nobody listens on {orphan.subject!r}: `motet agents` lists what there is.",
            agent=first[:64] if stream == "CALLS" else None,
            skill=".".join(rest)[:64] or None,
        )
        log.warning("message %d of %s is an orphan: %s", orphan.sequence, stream, fault.message)
        if stream == "CALLS":
            context = _context(orphan)
            agent, skill = first, ".".join(rest) or "none"
            task, call = context.task, context.call
            await self._dead.bury(orphan, fault, agent=agent, skill=skill, task=task, call=call)
            result = CallResult(
                task=task, call=call, agent=agent, skill=skill, ok=False, fault=fault, attempts=0
            )
            standing = await self._ledger.settle(task, call, result.model_dump_json().encode(), 0)
            if context.reply is not None:
                await self._bus.send(context.reply, standing)
        else:
            await self._dead.bury(orphan, fault, agent="task", skill=".".join((first, *rest)))
        await self._remove(stream, orphan.sequence)

    async def _remove_acknowledged(self, stream: str, sequence: int) -> int:
        """Removes what was acknowledged from the head of a queue; tells how much.

        What lies behind a message that is worked on is found when that one is gone.
        """
        full_name, count = self._bus.topology.stream(stream), 0
        youngest = datetime.now(UTC) - timedelta(seconds=GRACE_S)
        while count < MOST_A_SWEEP:
            try:
                head = await self._bus.js.get_msg(full_name, sequence, ">", next=True)
            except NotFoundError:
                break
            if head.seq is None or head.time is None or head.time > youngest:
                break
            if not await self._is_acknowledged(stream, head.subject or "", head.seq):
                break
            log.warning("message %d of %s was acknowledged and is removed", head.seq, stream)
            await self._remove(stream, head.seq)
            sequence, count = head.seq + 1, count + 1
        return count

    async def _is_acknowledged(self, stream: str, subject: str, sequence: int) -> bool:
        """Whether the consumer that selects a message will never deliver it again."""
        wanted = self._bus.topology.consumer_of(subject)
        if wanted is None or subject not in self._selected:
            return False
        full_name = self._bus.topology.stream(stream)
        info = await self._bus.js.consumer_info(full_name, wanted.durable_name or "")
        return info.ack_floor is not None and sequence <= info.ack_floor.stream_seq

    async def _remove(self, stream: str, sequence: int) -> None:
        try:
            await self._bus.js.delete_msg(self._bus.topology.stream(stream), sequence)
        except APIError as error:
            log.debug("message %d was removed by another: %s", sequence, error)

    def _tokens(self, subject: str) -> list[str]:
        """A subject's tokens after namespace and area."""
        return subject.split(".")[2:]


def _context(orphan: _Orphan) -> CallContext:
    try:
        return CallContext.read(orphan.headers, orphan.sequence, orphan.stored_at.timestamp())
    except FaultError:
        return CallContext.salvage(orphan.headers, orphan.sequence)
