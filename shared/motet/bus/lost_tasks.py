"""Lost tasks: records of tasks that are not over, and that no message will ever bring up again.

No crash makes one: a record is written before its message leaves a queue. But an operator may purge
a stream, a backup may be older than another, a disk may lose its end. Whoever does the mesh's tasks
looks through the records, a few at a time, and puts such tasks back into their queues; and it ends
those whose deadline passes while they are queued.

Invariants:

- A task is lost when it has neither ended nor waits for a person, and the message that its record
  names is not in the stream.
- A task that is put back goes on from what its calls have given: none of them runs again.
- A sweep is bounded, whatever the number of tasks; a round through all takes several.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from motet.bus.book import TaskBook
from motet.bus.connection import Bus
from motet.bus.endings import Endings
from motet.bus.pages import holds
from motet.bus.queueing import Queueing
from motet.bus.stopping import end
from motet.errors import FaultError
from motet.messages import Fault, FaultType, TaskRecord, TaskState

__all__ = ["LostTasks"]

log = logging.getLogger(__name__)

SWEEP_S = 5.0
"""Seconds between two sweeps."""

PAGES = 4
"""Pages of records that one sweep looks through."""

GRACE = timedelta(seconds=30)
"""How long nothing must have happened to a task before its message is looked for."""


class LostTasks:
    """Looks for lost tasks."""

    def __init__(self, bus: Bus, endings: Endings, queueing: Queueing) -> None:
        self._bus = bus
        self._endings = endings
        self._queueing = queueing
        self._book = TaskBook(bus)
        self._after = 0
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begins to sweep now and then."""
        self._sweeper = asyncio.create_task(self._keep_sweeping(), name="sweep lost tasks")

    async def stop(self) -> None:
        """Sweeps no more."""
        await end(self._sweeper)

    async def sweep(self, now: datetime) -> int:
        """Looks at the next records.

        Returns:
            How many tasks were put back or ended.

        Raises:
            FaultError: `unavailable` when the server does not answer.
        """
        count = 0
        for _ in range(PAGES):
            records, self._after = await self._book.page(self._after)
            for record in records:
                count += await self._look_at(record, now)
            if not self._after:
                break
        return count

    async def _keep_sweeping(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            try:
                await self.sweep(datetime.now(UTC))
            except FaultError as error:
                log.warning("lost tasks cannot be looked for: %s", error)

    async def _look_at(self, record: TaskRecord, now: datetime) -> bool:
        if record.state.terminal or record.state == TaskState.WAITING:
            return False
        overdue = record.deadline is not None and record.deadline + GRACE < now
        if record.state == TaskState.SUBMITTED and overdue:
            fault = Fault(
                type=FaultType.DEADLINE_EXCEEDED,
                message="The deadline passed while the task was queued.",
            )
            ended = await self._book.change(record.id, state=TaskState.EXPIRED, fault=fault)
            await self._endings.conclude_again(ended)
            return True
        if now - record.updated_at < GRACE or record.task is None or await self._queued(record):
            return False
        # It may have gone on meanwhile, for another message.
        if await self._book.get(record.id) != record:
            return False
        log.warning("task %s was lost and is put back", record.id)
        await self._queueing.queue(record.id, record.task, record.sequence, {}, again=True)
        return True

    async def _queued(self, record: TaskRecord) -> bool:
        """Whether the message that a task is worked on by is in its stream."""
        return await holds(self._bus, "TASKS", max(1, record.sequence))
