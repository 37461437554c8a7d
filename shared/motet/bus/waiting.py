"""Waiting: tasks that go on when a person has replied, or when nobody has in time.

A task that waits is a record in the state `waiting`, and nothing else: no message, no process.

Invariants:

- A reply is written before its message on `motet.task.resume` is published, and a task is
  `waiting` before its replies are looked for. So whichever comes last makes the task go on.
- A waiting task is taken up by one message: the record, changed by compare-and-set, names it.
- What a crash leaves out (a message that was not published) the sweep makes good, and so it does
  with time-outs and deadlines. Any number of processes may sweep at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from pydantic import TypeAdapter, ValidationError

from motet.bus.approvals import NOBODY, Approvals
from motet.bus.bodies import read_body
from motet.bus.book import TaskBook
from motet.bus.connection import Bus
from motet.bus.delivery import Delivery
from motet.bus.events import Events
from motet.bus.kv import Item
from motet.bus.stopping import end
from motet.errors import FaultError, Suspended
from motet.messages import (
    ApprovalRecord,
    Fault,
    FaultType,
    Reply,
    TaskRecord,
    TaskState,
    Usage,
)

__all__ = ["Waiting"]

log = logging.getLogger(__name__)

SWEEP_S = 1.0
"""Seconds between two looks at the questions that this process knows to be pending."""

GRACE_S = 5.0
"""Seconds that whoever has written a reply has to publish it."""

_REPLY: TypeAdapter[Reply] = TypeAdapter(Reply)

Concluding = Callable[[TaskRecord], Awaitable[None]]


class Waiting:
    """Suspends tasks, resumes them, and ends those whose deadline passes."""

    def __init__(self, bus: Bus, conclude: Concluding) -> None:
        self._book = TaskBook(bus)
        self._events = Events(bus)
        self._approvals = Approvals(bus)
        self._conclude = conclude
        self._pending: dict[str, ApprovalRecord] = {}
        self._loops: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begins to sweep."""
        self._loops = [
            asyncio.create_task(self._keep_watching(), name="watch approvals"),
            asyncio.create_task(self._keep_sweeping(), name="sweep approvals"),
        ]

    async def stop(self) -> None:
        """Sweeps no more."""
        await end(*self._loops)

    async def suspend(
        self, record: TaskRecord, suspended: Suspended, usage: Usage, traceparent: str
    ) -> TaskRecord:
        """Lets a task wait; returns its record, which is terminal if it has ended meanwhile."""
        standing = await self._book.change(
            record.id,
            state=TaskState.WAITING,
            waits_for=tuple(sorted(suspended.questions)),
            suspended=traceparent,
            usage=usage,
        )
        if standing.state == TaskState.WAITING:
            await self._events.publish_state(standing)
            await self.look(standing)
        return standing

    async def look(self, standing: TaskRecord) -> None:
        """Has a waiting task go on whose reply came before it waited."""
        replied = await self._approvals.replied(standing.id, standing.waits_for)
        if replied is not None and replied.reply is not None:
            occasion = f"suspended.{standing.sequence}.{standing.attempts}"
            await self._approvals.resume(replied.reply, occasion)

    async def resume(self, delivery: Delivery) -> TaskRecord | None:
        """The record of the task that goes on with this message, or has ended; None for neither.

        Raises:
            FaultError: The message is no reply, or one that cannot be taken.
        """
        reply: Reply = read_body(_REPLY, delivery.body, "a reply")
        if reply.at is None:
            reply = reply.model_copy(update={"at": delivery.stored_time})
        record = await self._approvals.reply(reply)
        await self._approvals.tell_reply(reply)
        task = await self._book.get(record.task)
        if task is None or task.state.terminal:
            return task
        if task.state != TaskState.WAITING:
            return task if task.sequence == delivery.sequence else None
        if await self._approvals.replied(task.id, task.waits_for) is None:
            return None
        return await self._book.resume(task.id, delivery.sequence)

    # The sweep

    async def _keep_watching(self) -> None:
        while True:
            try:
                async for item in self._approvals.watch():
                    if item is not None and item.value:
                        self._note(item)
            except FaultError as error:
                log.warning("%s", error)
                await asyncio.sleep(SWEEP_S)

    def _note(self, item: Item) -> None:
        try:
            self._pending[item.key] = ApprovalRecord.model_validate_json(item.value)
        except ValidationError as error:
            log.warning("question %s cannot be read: %s", item.key, error)

    async def _keep_sweeping(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            for key, record in list(self._pending.items()):
                try:
                    done = await self._look_at(record, datetime.now(UTC))
                except FaultError as error:
                    log.warning("question %s: %s", key, error)
                    continue
                if done and self._pending.get(key) is record:
                    del self._pending[key]

    async def _look_at(self, record: ApprovalRecord, now: datetime) -> bool:
        """Does what is due for a question; returns whether nothing ever will be again."""
        reply = record.reply
        if (
            reply is not None
            and reply.at is not None
            and now < reply.at + timedelta(seconds=GRACE_S)
        ):
            return False
        task = await self._book.get(record.task)
        if task is None:
            return True
        if task.state == TaskState.EXPIRED:
            # No message brings it up again, if whoever ended it did not live to tell.
            await self._conclude(task)
        if task.state.terminal:
            return True
        if task.state == TaskState.WAITING and task.deadline is not None and now >= task.deadline:
            await self._expire(task)
            return True
        if reply is not None:
            if task.state != TaskState.WAITING or record.id not in task.waits_for:
                return True
            # What a watch shows need not be a reply.
            standing = await self._approvals.get(record.task, record.id)
            reply = None if standing is None else standing.reply
        if reply is not None:
            await self._approvals.resume(reply, f"swept.{int(now.timestamp() / GRACE_S)}")
        elif record.expires_at is not None and now >= record.expires_at:
            default = record.question.default
            standing = await self._approvals.reply(
                Reply(
                    task=record.task,
                    question=record.id,
                    decision=default.decision,
                    value=default.value,
                    by=NOBODY,
                    reason="Nobody has replied in time.",
                    at=record.expires_at,
                )
            )
            if standing.reply is not None:
                await self._approvals.resume(standing.reply)
        return False

    async def _expire(self, task: TaskRecord) -> None:
        record = await self._book.change(
            task.id,
            state=TaskState.EXPIRED,
            fault=Fault(
                type=FaultType.DEADLINE_EXCEEDED,
                message="The task's deadline passed while it waited for a person.",
            ),
        )
        await self._conclude(record)
