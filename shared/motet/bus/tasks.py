"""Tasks: taking them up, doing them, and going on with them after a person has replied.

Invariants:

- A submission that is acknowledged to its publisher becomes a record, and ends in one terminal
  state, which never changes.
- A task is worked on for one message, which its record names: a second one changes nothing.
- A message leaves its queue when the task has ended, and that was told; or when it waits.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from opentelemetry.trace import Link, SpanKind
from pydantic import TypeAdapter

from motet.bus.bodies import bounded, fault_of, read_body
from motet.bus.book import Taken, TaskBook
from motet.bus.cancel_requests import CancelRequests
from motet.bus.cancellation import Cancellations
from motet.bus.connection import Bus
from motet.bus.consumer import Consumer
from motet.bus.context import CallContext
from motet.bus.dead import DeadLetters
from motet.bus.delivery import Delivery
from motet.bus.endings import Endings, state_of
from motet.bus.events import Events
from motet.bus.intake import Intake
from motet.bus.lost_tasks import LostTasks
from motet.bus.orphans import Orphans
from motet.bus.queue_watch import QueueWatch
from motet.bus.queueing import Queueing
from motet.bus.ready import ReadyQueues
from motet.bus.retries import RetryPolicy
from motet.bus.scheduler import Scheduler
from motet.bus.suspension import Suspension
from motet.bus.topology import TASK_CALL, Header
from motet.bus.tracing import attempt_of
from motet.bus.waiting import Waiting
from motet.bus.work import Work
from motet.errors import FaultError, Suspended
from motet.messages import (
    Answer,
    Budget,
    Fault,
    FaultType,
    Task,
    TaskReady,
    TaskRecord,
    TaskState,
)
from motet.telemetry import (
    CurrentSpan,
    extract,
    fail,
    logs,
    names,
    span_context_of,
    traceparent_of,
)

__all__ = ["TaskHandler", "TaskServer", "TaskWork"]

log = logging.getLogger(__name__)

_READY: TypeAdapter[TaskReady] = TypeAdapter(TaskReady)


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
        self._events = Events(bus)
        self._dead = DeadLetters(bus)
        self._policy = RetryPolicy.of(bus.settings)
        self._endings = Endings(bus, agent)
        self._waiting = Waiting(bus, self._endings.conclude_again)
        concurrency = bus.settings.concurrency
        self._queues = ReadyQueues(bus, self._ready, concurrency=concurrency)
        self._resumptions = Consumer(
            bus, "TASKS", "task-resume", self._resumed, concurrency=concurrency
        )
        queueing = Queueing(bus)
        self._takers = (
            Intake(bus, agent, self._endings, queueing),
            CancelRequests(bus, agent, self._endings),
            self._queues,
            self._resumptions,
        )
        self._sweepers = (
            Orphans(bus),
            Scheduler(bus),
            LostTasks(bus, self._endings, queueing),
            self._waiting,
            QueueWatch(bus),
        )

    async def start(self) -> None:
        """Begins to take tasks."""
        for each in (*self._takers, *self._sweepers):
            await each.start()

    async def stop(self, grace_s: float) -> None:
        """Takes no more tasks, and ends or hands back those that run."""
        for sweeper in self._sweepers:
            await sweeper.stop()
        await asyncio.gather(*(taker.stop(grace_s) for taker in self._takers))

    # Taking a task up

    async def _ready(self, delivery: Delivery) -> None:
        try:
            ready: TaskReady = read_body(_READY, delivery.body, "a task that is ready")
        except FaultError as error:
            await self._dead.bury(delivery, error.fault, agent=self._agent, skill="ready")
            await delivery.ack()
            return
        taken = await self._book.take(
            ready.task, ready.sequence, delivery.sequence, delivery.attempt
        )
        if taken is None:
            log.info("task %s is worked on for another message", ready.task)
        elif taken.record.state.terminal:
            await self._endings.conclude_again(taken.record, delivery)
        elif taken.record.state == TaskState.WAITING:
            await self._waiting.look(taken.record)
        elif taken.record.task is not None:
            await self._begin(delivery, taken.record.task, taken)
            return
        await delivery.ack()

    async def _begin(
        self, delivery: Delivery, task: Task, taken: Taken, links: tuple[Link, ...] = ()
    ) -> None:
        """Does a task once, unless it has killed whoever tried."""
        if delivery.attempt > self._policy.max_attempts:
            fault = Fault(
                type=FaultType.INTERNAL,
                message=f"The planner died in each of {self._policy.max_attempts} attempts.",
            )
            await self._endings.finish(delivery, taken.record.id, TaskState.FAILED, fault=fault)
            return
        await self._attempt(delivery, task, taken, links)

    async def _attempt(
        self, delivery: Delivery, task: Task, taken: Taken, links: tuple[Link, ...] = ()
    ) -> None:
        """Does a task once, from the start or from where it was suspended."""
        record = taken.record
        headers, topology = dict(delivery.headers), self._bus.topology
        resumed = delivery.subject == topology.task_resume
        # What a task was published on, rather than the queue that it waited in.
        subject = delivery.subject if resumed else topology.task_submit
        around = extract({**headers, Header.TRACEPARENT: record.traceparent or ""})
        stream = topology.stream("TASKS")
        attempt = attempt_of(around, headers, stream, delivery.sequence, delivery.attempt)
        opened = self._bus.tracer.span(
            names.process(subject),
            SpanKind.CONSUMER,
            {
                names.MESSAGING_SYSTEM: names.MESSAGING_SYSTEM_NATS,
                names.MESSAGING_OPERATION_TYPE: names.OPERATION_PROCESS,
                names.MESSAGING_OPERATION_NAME: names.OPERATION_PROCESS,
                names.MESSAGING_DESTINATION_NAME: delivery.subject,
                names.MESSAGING_DESTINATION_TEMPLATE: subject,
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
            principal=task.principal,
            resumed=delivery.sequence if resumed else 0,
        )
        bound = logs.bind(task=record.id, agent=self._agent)
        try:
            with opened as span:
                work = Work(
                    context,
                    delivery.attempt,
                    span,
                    taken.first,
                    record.usage,
                    suspension=Suspension(),
                )
                await self._do(delivery, TaskWork(task, record, work))
        finally:
            logs.release(bound)

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
        record = await self._book.change(record.id, attempts=delivery.attempt)
        if record.state.terminal:
            # Whoever ended it for this message may have died before it was told.
            await self._endings.conclude_again(record)
            await delivery.ack()
            return
        await self._events.publish_state(record)
        earlier = span_context_of(record.suspended or "")
        links = (Link(earlier, {names.LINK: names.LINK_RESUME}),) if earlier else ()
        await self._begin(delivery, task, Taken(record, first=False), links)

    # Doing it

    async def _do(self, delivery: Delivery, work: TaskWork) -> None:
        try:
            answer = await self._measured(delivery, work)
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
                self._bus.instruments.call_retried(self._agent, "submit", fault.type)
                await self._book.change(work.record.id, usage=work.work.usage)
                await delivery.retry(delay_s)
                return
            state = state_of(fault)
            await self._endings.finish(
                delivery, work.record.id, state, fault=fault, usage=work.work.usage
            )
        else:
            await self._endings.finish(
                delivery,
                work.record.id,
                TaskState.SUCCEEDED,
                answer=answer,
                usage=work.work.usage,
            )

    async def _measured(self, delivery: Delivery, work: TaskWork) -> Answer:
        """`_handle` in the metrics, as the skill `submit`."""
        begun = time.monotonic()
        instruments = self._bus.instruments
        waited_s = time.time() - delivery.stored_at if delivery.attempt == 1 else None
        instruments.call_started(self._agent, "submit", waited_s)
        outcome = "handed_back"
        try:
            answer = await self._handle(work)
            outcome = "ok"
        except Suspended:
            outcome = "suspended"
            raise
        except FaultError as error:
            outcome = error.fault.type
            raise
        finally:
            duration_s = time.monotonic() - begun
            instruments.call_ended(self._agent, "submit", outcome, duration_s)
        return answer

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
