"""Tasks: their state of record, and taking them up from the queue.

Invariants:

- A submission that is acknowledged to its publisher becomes a record, and ends in one terminal
  state, which never changes.
- A terminal state is recorded first, then told to whoever follows (event, ledger, reply), then
  the submission leaves the queue. Each of these can be repeated without doubling anything.
- The same task id is one task: a second submission of it changes nothing.
- A submission that cannot be read ends as a failed task with a dead letter.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanKind, set_span_in_context
from pydantic import TypeAdapter, ValidationError

from motet.bus.bodies import bounded, fault_of, read_body
from motet.bus.book import TaskBook
from motet.bus.cancellation import Cancellations
from motet.bus.connection import Bus
from motet.bus.context import CallContext, reply_subject
from motet.bus.dead import DeadLetters, Undeliverable
from motet.bus.delivery import Consumer, Delivery
from motet.bus.events import Events
from motet.bus.ledger import Ledger
from motet.bus.orphans import Orphans
from motet.bus.retries import RetryPolicy
from motet.bus.serve import Work
from motet.bus.suspension import Suspension
from motet.bus.topology import TASK_CALL, Header
from motet.bus.tracing import attempt_of
from motet.bus.waiting import Waiting
from motet.errors import FaultError, Suspended
from motet.messages import (
    Answer,
    Budget,
    CallResult,
    CancelRequest,
    Fault,
    FaultType,
    Task,
    TaskRecord,
    TaskState,
    Token,
)
from motet.telemetry import (
    CurrentSpan,
    extract,
    fail,
    inject,
    logs,
    names,
    span_context_of,
    traceparent_of,
)

__all__ = ["TaskHandler", "TaskServer", "TaskWork"]

log = logging.getLogger(__name__)

MAX_TASK_BYTES = 512 * 1024
"""Bytes of a submission; larger inputs belong into the object store."""

CANCEL_AGAIN_S = 1.0
"""The longest wait before a cancellation looks again for its task, which is still queued."""

_TASK: TypeAdapter[Task] = TypeAdapter(Task)
_TOKEN: TypeAdapter[str] = TypeAdapter(Token)


@dataclass(frozen=True, slots=True)
class TaskWork:
    """One attempt at a task."""

    task: Task
    record: TaskRecord
    work: Work


TaskHandler = Callable[[TaskWork], Awaitable[Answer]]
"""Does a task. A `FaultError` ends it: retryable ones are tried again by the retry policy."""


class TaskServer:
    """Takes tasks up from the queue, cancels them on request, and keeps the queues clean."""

    def __init__(
        self, bus: Bus, agent: str, handler: TaskHandler, cancellations: Cancellations
    ) -> None:
        self._bus = bus
        self._agent = agent
        self._handler = handler
        self._cancellations = cancellations
        self._book = TaskBook(bus)
        self._ledger = Ledger(bus)
        self._events = Events(bus)
        self._dead = DeadLetters(bus)
        self._orphans = Orphans(bus)
        self._waiting = Waiting(bus, self._conclude)
        self._policy = RetryPolicy.of(bus.settings)
        concurrency = bus.settings.concurrency
        self._submissions = Consumer(
            bus, "TASKS", "task-submit", self._submitted, concurrency=concurrency
        )
        self._cancels = Consumer(
            bus, "TASKS", "task-cancel", self._cancelled, concurrency=concurrency
        )
        self._resumptions = Consumer(
            bus, "TASKS", "task-resume", self._resumed, concurrency=concurrency
        )

    async def start(self) -> None:
        """Begins to take tasks."""
        await self._submissions.start()
        await self._cancels.start()
        await self._resumptions.start()
        await self._orphans.start()
        await self._waiting.start()

    async def stop(self, grace_s: float) -> None:
        """Takes no more tasks, and ends or hands back those that run."""
        await self._orphans.stop()
        await self._waiting.stop()
        consumers = (self._submissions, self._cancels, self._resumptions)
        await asyncio.gather(*(consumer.stop(grace_s) for consumer in consumers))

    # Taking a task up

    async def _submitted(self, delivery: Delivery) -> None:
        try:
            task = self._read(delivery)
        except FaultError as error:
            await self._refuse(delivery, error.fault)
            return
        record = await self._accept(delivery, task)
        if record is None:
            await delivery.ack()
            return
        await self._attempt(delivery, task, record)

    async def _attempt(
        self, delivery: Delivery, task: Task, record: TaskRecord, links: tuple[Link, ...] = ()
    ) -> None:
        """Does a task once, from the start or from where it was suspended."""
        headers, subject = dict(delivery.headers), delivery.subject
        around = extract({**headers, Header.TRACEPARENT: record.traceparent or ""})
        stream = self._bus.topology.stream("TASKS")
        attempt = attempt_of(around, headers, stream, delivery.sequence, delivery.attempt)
        opened = self._bus.tracer.span(
            names.process(subject),
            SpanKind.CONSUMER,
            {
                names.MESSAGING_SYSTEM: names.MESSAGING_SYSTEM_NATS,
                names.MESSAGING_OPERATION_TYPE: names.OPERATION_PROCESS,
                names.MESSAGING_OPERATION_NAME: names.OPERATION_PROCESS,
                names.MESSAGING_DESTINATION_NAME: subject,
                names.TASK: record.id,
                names.ATTEMPT: delivery.attempt,
            },
            context=around,
            links=attempt.links or links,
            span_id=attempt.span_id,
        )
        context = CallContext(
            task=record.id,
            call=TASK_CALL,
            deadline=record.deadline.timestamp() if record.deadline else None,
            budget=self._budget(task),
            resumed=0 if subject == self._bus.topology.task_submit else delivery.sequence,
        )
        bound = logs.bind(task=record.id, agent=self._agent)
        try:
            with opened as span:
                work = Work(context, delivery.attempt, span, record.usage, suspension=Suspension())
                await self._do(delivery, TaskWork(task, record, work))
        finally:
            logs.release(bound)

    def _read(self, delivery: Delivery) -> Task:
        if len(delivery.body) > MAX_TASK_BYTES:
            raise FaultError.of(
                FaultType.TOO_LARGE,
                f"The task has {len(delivery.body)} bytes; at most {MAX_TASK_BYTES} are taken. "
                "Put large inputs into the object store and name them in `inputs`.",
            )
        task: Task = read_body(_TASK, delivery.body, "a task")
        if task.id is None:
            task = task.model_copy(update={"id": f"task-{delivery.sequence}"})
        return task

    async def _accept(self, delivery: Delivery, task: Task) -> TaskRecord | None:
        """The task's record, made if it is new; None when there is nothing to do for it."""
        task_id = task.id or f"task-{delivery.sequence}"
        seconds = task.deadline_s or self._bus.settings.task_deadline_s
        standing = await self._book.get(task_id)
        if standing is None:
            standing = await self._book.create(
                TaskRecord(
                    id=task_id,
                    task=task,
                    state=TaskState.SUBMITTED,
                    sequence=delivery.sequence,
                    accepted_at=delivery.stored_time,
                    deadline=delivery.stored_time + timedelta(seconds=seconds),
                    traceparent=_traceparent(extract(delivery.headers)),
                )
            )
            await self._events.publish_state(standing)
        if standing.state == TaskState.WAITING:
            await self._waiting.look(standing)
            return None
        if standing.sequence != delivery.sequence:
            log.info("task %s was submitted before; this submission changes nothing", task_id)
            return None
        if standing.state.terminal:
            await self._conclude_again(standing, delivery)
            return None
        if delivery.attempt > self._policy.max_attempts:
            await self._finish(delivery, standing.id, TaskState.FAILED, fault=self._died())
            return None
        values: dict[str, Any] = {"attempts": delivery.attempt}
        if standing.traceparent is None:
            values["traceparent"] = self._open_trace(task_id, delivery)
        record = await self._book.change(task_id, **values)
        if record.state.terminal:
            await self._conclude(record, delivery)
            return None
        return record

    def _open_trace(self, task: str, delivery: Delivery) -> str | None:
        """Writes the root span of a task whose submitter wrote none; returns its `traceparent`.

        Its ids are made from the submission's place in its stream: whoever takes the submission up,
        and however often, writes the same span.
        """
        place = f"{self._bus.topology.namespace}.{delivery.sequence}.{delivery.stored_at}"
        digest = hashlib.blake2b(place.encode(), digest_size=24).digest()
        root = self._bus.tracer.start_span(
            names.submit(),
            Context(),
            SpanKind.SERVER,
            {names.TASK: task},
            trace_id=int.from_bytes(digest[:16]) or 1,
            span_id=int.from_bytes(digest[16:]) or 1,
        )
        root.end()
        return _traceparent(set_span_in_context(root, Context()))

    def _budget(self, task: Task) -> Budget:
        settings, wanted = self._bus.settings, task.budget
        return Budget(
            tokens=settings.task_tokens if wanted.tokens is None else wanted.tokens,
            cost_usd=settings.task_cost_usd if wanted.cost_usd is None else wanted.cost_usd,
            calls=settings.task_calls if wanted.calls is None else wanted.calls,
            depth=settings.task_depth if wanted.depth is None else wanted.depth,
        )

    async def _resumed(self, delivery: Delivery) -> None:
        """Goes on with a task to which a person has replied."""
        try:
            record = await self._waiting.resume(delivery)
        except FaultError as error:
            if error.fault.retryable:
                await delivery.retry(self._policy.delay_s)
                return
            await self._dead.bury(delivery, error.fault, agent=self._agent, skill="resume")
            record = None
        task = None if record is None else record.task
        if record is None or task is None:
            await delivery.ack()
            return
        if delivery.attempt > self._policy.max_attempts:
            fault = self._died()
            await self._finish(delivery, record.id, TaskState.FAILED, fault=fault)
            return
        record = await self._book.change(record.id, attempts=delivery.attempt)
        if record.state.terminal:
            await self._conclude(record)
            await delivery.ack()
            return
        await self._events.publish_state(record)
        earlier = span_context_of(record.suspended or "")
        links = (Link(earlier, {names.LINK: names.LINK_RESUME}),) if earlier else ()
        await self._attempt(delivery, task, record, links)

    def _died(self) -> Fault:
        return Fault(
            type=FaultType.INTERNAL,
            message=f"The planner died in each of {self._policy.max_attempts} attempts.",
        )

    # Doing it

    async def _do(self, delivery: Delivery, work: TaskWork) -> None:
        try:
            answer = await self._handle(work)
        except Suspended as suspended:
            span, usage = work.work.span, work.work.usage
            span.set_attribute(names.SUSPENDED, True)
            await self._waiting.suspend(work.record, suspended, usage, traceparent_of(span))
            await delivery.ack()
        except FaultError as error:
            fault = bounded(error.fault)
            fail(work.work.span, error)
            delay_s = self._policy.next_delay_s(fault, delivery.attempt)
            if delay_s is not None:
                await self._book.change(work.record.id, usage=work.work.usage)
                await delivery.retry(delay_s)
                return
            state = _state_of(fault)
            await self._finish(delivery, work.record.id, state, fault=fault, usage=work.work.usage)
        else:
            await self._finish(
                delivery,
                work.record.id,
                TaskState.SUCCEEDED,
                answer=answer,
                usage=work.work.usage,
            )

    async def _handle(self, work: TaskWork) -> Answer:
        task = work.record.id
        ended = self._cancellations.ended(task)
        if ended is not None:
            raise ended
        left = work.work.context.time_left_s()
        if left is not None and left <= 0:
            raise FaultError.of(
                FaultType.DEADLINE_EXCEEDED, "The deadline passed while the task was queued."
            )
        try:
            with self._cancellations.running(task), self._invoked(task):
                async with asyncio.timeout(left):
                    return await self._handler(work)
        except TimeoutError as error:
            if left is not None and (work.work.context.time_left_s() or 0) <= 0:
                raise FaultError.of(
                    FaultType.DEADLINE_EXCEEDED, "The task's deadline passed before its answer."
                ) from error
            raise fault_of(error, self._agent) from error
        except asyncio.CancelledError:
            ended = self._cancellations.ended(task)
            if ended is None:
                raise
            current = asyncio.current_task()
            if current is not None:
                current.uncancel()
            raise ended from None
        except FaultError:
            raise
        except Exception as error:
            log.exception("%s raised on task %s", self._agent, task)
            raise fault_of(error, self._agent) from error

    def _invoked(self, task: str) -> CurrentSpan:
        return self._bus.tracer.span(
            names.invoke_agent(self._agent),
            SpanKind.INTERNAL,
            {
                names.GEN_AI_OPERATION: names.OPERATION_INVOKE_AGENT,
                names.GEN_AI_AGENT_NAME: self._agent,
                names.TASK: task,
            },
        )

    # Ending it

    async def _finish(self, delivery: Delivery, task: str, state: TaskState, **values: Any) -> None:
        record = await self._book.change(task, state=state, **values)
        if record.state == TaskState.FAILED and record.fault is not None:
            await self._dead.bury(
                _Submission.of(delivery, record, self._bus.topology.task_submit),
                record.fault,
                agent=self._agent,
                skill="submit",
                task=record.id,
                call=TASK_CALL,
            )
        duration_s = (record.updated_at - record.accepted_at).total_seconds()
        self._bus.instruments.task_ended(record.state, duration_s)
        await self._conclude(record, delivery)
        await delivery.ack()

    async def _conclude(self, record: TaskRecord, delivery: Delivery | None = None) -> None:
        """Tells everybody of a terminal state; repeating it soon doubles nothing."""
        await self._events.publish_state(record)
        failed = record.state != TaskState.SUCCEEDED
        result = CallResult(
            task=record.id,
            call=TASK_CALL,
            agent=self._agent,
            skill="submit",
            ok=not failed,
            output=None if failed else record.answer,
            fault=(record.fault or Fault(type=FaultType.CANCELLED, message="Cancelled."))
            if failed
            else None,
            usage=record.usage,
            attempts=record.attempts,
            started_at=record.accepted_at,
            finished_at=record.updated_at,
        )
        body = result.model_dump_json().encode()
        standing = await self._ledger.settle(record.id, TASK_CALL, body, 0)
        reply = None if delivery is None else reply_subject(delivery.headers)
        if reply is not None:
            await self._bus.send(reply, standing)

    async def _conclude_again(self, record: TaskRecord, delivery: Delivery | None) -> None:
        """`_conclude` for a state that somebody else may have told, however long ago.

        The outcome in the ledger is the last of what is told to all; the stream's dedupe window is
        shorter than people's patience.
        """
        entry = await self._ledger.entry(record.id, TASK_CALL)
        if entry is None or entry.result is None:
            await self._conclude(record, delivery)
            return
        reply = None if delivery is None else reply_subject(delivery.headers)
        if reply is not None:
            await self._bus.send(reply, entry.result.model_dump_json().encode())

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
            await self._conclude(record, delivery)
        await delivery.ack()

    # Cancelling it

    async def _cancelled(self, delivery: Delivery) -> None:
        request: CancelRequest
        try:
            request = read_body(TypeAdapter(CancelRequest), delivery.body, "a cancellation")
            record = await self._book.change(
                request.task,
                state=TaskState.CANCELLED,
                fault=Fault(
                    type=FaultType.CANCELLED,
                    message=f"Cancelled: {request.reason}" if request.reason else "Cancelled.",
                ),
            )
        except FaultError as error:
            if error.fault.retryable or await self._may_come(delivery, error.fault):
                growing_s = self._policy.delay_s * 2 ** min(delivery.attempt - 1, 10)
                await delivery.retry(min(growing_s, CANCEL_AGAIN_S))
                return
            await self._dead.bury(delivery, error.fault, agent=self._agent, skill="cancel")
        else:
            # Any other end is told by whoever took the task up.
            if record.state == TaskState.CANCELLED:
                await self._conclude_again(record, None)
        await delivery.ack()

    async def _may_come(self, delivery: Delivery, fault: Fault) -> bool:
        """Whether the task that a cancellation did not find may still be taken up.

        It may be queued, or be about to be delivered again. Or the cancellation overtook it, which
        is given the time of a few attempts.
        """
        if fault.type != FaultType.NOT_FOUND:
            return False
        if delivery.attempt < self._policy.max_attempts:
            return True
        stream = self._bus.topology.stream("TASKS")
        info = await self._bus.patiently(
            lambda: self._bus.js.consumer_info(stream, "task-submit"), "The queue cannot be read"
        )
        settled = info.ack_floor.stream_seq if info.ack_floor else 0
        return settled < delivery.sequence and bool(info.num_pending or info.num_ack_pending)


@dataclass(frozen=True, slots=True)
class _Submission:
    """The submission of a task that fails after it was resumed: what there is to replay."""

    subject: str
    body: bytes
    headers: Mapping[str, str]
    sequence: int
    attempt: int

    @classmethod
    def of(cls, delivery: Delivery, record: TaskRecord, subject: str) -> Undeliverable:
        """What is buried: the delivery itself, or the task's submission in its place."""
        if delivery.subject == subject or record.task is None:
            return delivery
        headers = {Header.TRACEPARENT: record.traceparent} if record.traceparent else {}
        body = record.task.model_dump_json().encode()
        return cls(subject, body, headers, delivery.sequence, delivery.attempt)


def _traceparent(context: Context) -> str | None:
    carried: dict[str, str] = {}
    inject(carried, context)
    return carried.get(Header.TRACEPARENT)


def _state_of(fault: Fault) -> TaskState:
    match fault.type:
        case FaultType.CANCELLED:
            return TaskState.CANCELLED
        case FaultType.DEADLINE_EXCEEDED:
            return TaskState.EXPIRED
        case _:
            return TaskState.FAILED


def _id_in(body: bytes) -> str | None:
    """The id that an unreadable submission carries, if that much can be read."""
    if len(body) > MAX_TASK_BYTES:
        return None
    try:
        value = json.loads(body)
        return _TOKEN.validate_python(value.get("id")) if isinstance(value, dict) else None
    except (ValueError, RecursionError, ValidationError):
        return None
