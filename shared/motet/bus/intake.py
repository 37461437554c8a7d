"""Intake: a submission becomes a record, and waits in the queue of its priority and tenant.

Taking in is quick, however many tasks are queued: a submission is on record, can be followed and
cancelled, and has its place among the others, long before a planner is free for it.

Invariants:

- The same task id is one task: a second submission of it changes nothing.
- The record is written, then the message that says that it is ready, then the submission leaves
  its queue. Each of these can be repeated without doubling anything.
- A submission that cannot be read, or asks for too much, ends as a failed task with a dead letter.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from datetime import timedelta

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, set_span_in_context
from pydantic import TypeAdapter, ValidationError

from motet.bus.admission import check_task
from motet.bus.bodies import read_body
from motet.bus.book import TaskBook
from motet.bus.connection import Bus
from motet.bus.consumer import Consumer
from motet.bus.dead import DeadLetters
from motet.bus.delivery import Delivery
from motet.bus.endings import Endings
from motet.bus.events import Events
from motet.bus.queueing import Queueing
from motet.bus.retries import RetryPolicy
from motet.bus.topology import TASK_CALL, Header
from motet.errors import FaultError
from motet.messages import Fault, FaultType, Task, TaskRecord, TaskState, Token
from motet.telemetry import extract, inject, names

__all__ = ["SUBMISSIONS", "Intake"]

log = logging.getLogger(__name__)

MAX_TASK_BYTES = 512 * 1024
"""Bytes of a submission; larger inputs belong into the object store."""

CONCURRENCY = 32
"""Submissions that are taken in at once, of each kind."""

SUBMISSIONS = ("submit", "submit-interactive", "submit-batch")
"""The consumers of submissions: a burst of one kind does not hold up the others."""

_TASK: TypeAdapter[Task] = TypeAdapter(Task)
_TOKEN: TypeAdapter[str] = TypeAdapter(Token)

_CARRIED = (Header.TRACEPARENT, Header.TRACESTATE, Header.BAGGAGE, Header.REPLY)
"""Headers of a submission that its attempts need."""


class Intake:
    """Takes submissions in."""

    def __init__(self, bus: Bus, agent: str, endings: Endings, queueing: Queueing) -> None:
        self._bus = bus
        self._agent = agent
        self._endings = endings
        self._queueing = queueing
        self._book = TaskBook(bus)
        self._events = Events(bus)
        self._dead = DeadLetters(bus)
        self._policy = RetryPolicy.of(bus.settings)
        self._consumers = [
            Consumer(bus, "TASKS", f"task-{kind}", self._submitted, concurrency=CONCURRENCY)
            for kind in SUBMISSIONS
        ]

    async def start(self) -> None:
        """Begins to take submissions in."""
        for consumer in self._consumers:
            await consumer.start()

    async def stop(self, grace_s: float) -> None:
        """Takes nothing more in."""
        await asyncio.gather(*(consumer.stop(grace_s) for consumer in self._consumers))

    async def _submitted(self, delivery: Delivery) -> None:
        try:
            task = self._read(delivery)
        except FaultError as error:
            await self._refuse(delivery, error.fault)
            return
        record = await self._record(delivery, task)
        if record.state.terminal:
            await self._endings.conclude_again(record, delivery)
        elif record.sequence != delivery.sequence:
            log.info("task %s was submitted before; this submission changes nothing", record.id)
        elif delivery.attempt > self._policy.max_attempts:
            fault = Fault(
                type=FaultType.INTERNAL,
                message=f"Its intake died in each of {self._policy.max_attempts} attempts.",
            )
            await self._endings.finish(delivery, record.id, TaskState.FAILED, fault=fault)
            return
        else:
            headers = {name: value for name, value in delivery.headers.items() if name in _CARRIED}
            try:
                await self._queueing.queue(record.id, task, delivery.sequence, headers, again=False)
            except FaultError as error:
                if error.fault.retryable:
                    raise
                state, fault = TaskState.FAILED, error.fault
                await self._endings.finish(delivery, record.id, state, fault=fault)
                return
        await delivery.ack()

    def _read(self, delivery: Delivery) -> Task:
        if len(delivery.body) > MAX_TASK_BYTES:
            raise FaultError.of(
                FaultType.TOO_LARGE,
                f"The task has {len(delivery.body)} bytes; at most {MAX_TASK_BYTES} are taken. "
                "Put large inputs into the object store and name them in `inputs`.",
            )
        task: Task = read_body(_TASK, delivery.body, "a task")
        check_task(task, self._bus.settings)
        if task.id is None:
            task = task.model_copy(update={"id": f"task-{delivery.sequence}"})
        return task

    async def _record(self, delivery: Delivery, task: Task) -> TaskRecord:
        """The task's record, made if it is new."""
        task_id = task.id or f"task-{delivery.sequence}"
        seconds = task.deadline_s or self._bus.settings.task_deadline_s
        around = extract(delivery.headers)
        root = None if _traceparent(around) else self._root(task_id, delivery)
        if root is not None:
            around = set_span_in_context(root, Context())
        record = await self._book.create(
            TaskRecord(
                id=task_id,
                task=task,
                state=TaskState.SUBMITTED,
                sequence=delivery.sequence,
                accepted_at=delivery.stored_time,
                deadline=delivery.stored_time + timedelta(seconds=seconds),
                traceparent=_traceparent(around),
            )
        )
        if record.state == TaskState.SUBMITTED and record.sequence == delivery.sequence:
            if root is not None:
                root.end()
            await self._events.publish_state(record)
        return record

    def _root(self, task: str, delivery: Delivery) -> Span:
        """The root span of a task whose submitter wrote none.

        Its ids are made from the submission's place in its stream: whoever takes the submission in,
        and however often, writes the same span.
        """
        place = f"{self._bus.topology.namespace}.{delivery.sequence}.{delivery.stored_at}"
        digest = hashlib.blake2b(place.encode(), digest_size=24).digest()
        return self._bus.tracer.start_span(
            names.submit(),
            Context(),
            SpanKind.SERVER,
            {names.TASK: task},
            trace_id=int.from_bytes(digest[:16]) or 1,
            span_id=int.from_bytes(digest[16:]) or 1,
        )

    async def _refuse(self, delivery: Delivery, fault: Fault) -> None:
        """Ends a submission that cannot be read: a failed task, a dead letter, a result."""
        record = await self._book.create(
            TaskRecord(
                id=_id_in(delivery.body) or f"task-{delivery.sequence}",
                task=None,
                state=TaskState.FAILED,
                sequence=delivery.sequence,
                fault=fault,
                attempts=delivery.attempt,
                accepted_at=delivery.stored_time,
            )
        )
        await self._dead.bury(
            delivery, fault, agent=self._agent, skill="submit", task=record.id, call=TASK_CALL
        )
        if record.sequence == delivery.sequence:
            await self._endings.conclude(record, delivery)
        await delivery.ack()


def _traceparent(context: Context) -> str | None:
    carried: dict[str, str] = {}
    inject(carried, context)
    return carried.get(Header.TRACEPARENT)


def _id_in(body: bytes) -> str | None:
    """The id that an unreadable submission carries, if that much can be read."""
    if len(body) > MAX_TASK_BYTES:
        return None
    try:
        value = json.loads(body)
        return _TOKEN.validate_python(value.get("id")) if isinstance(value, dict) else None
    except (ValueError, RecursionError, ValidationError):
        return None
