"""Finished tasks: telling an agent, durably, of each task that has ended.

The terminal states in the stream EVENTS are delivered like calls: to one replica of the agent,
again if it dies, and to the dead letters after the last attempt.

Invariants:

- Nothing waits for what runs here: the task's answer was given before.
- An event is acknowledged after its handler has returned, so that every finished task is handled,
  maybe more than once: what a handler does must bear repetition.
- A handler stands in the task's own trace, below the attempt that gave the answer, or below the
  root where none did.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from opentelemetry.trace import SpanKind
from pydantic import ValidationError

from motet.bus.bodies import bounded, fault_of
from motet.bus.book import TaskBook
from motet.bus.connection import Bus
from motet.bus.consumer import Consumer
from motet.bus.context import CallContext
from motet.bus.dead import DeadLetters
from motet.bus.delivery import Delivery
from motet.bus.retries import RetryPolicy
from motet.bus.topology import TASK_CALL, Header, call_id
from motet.bus.tracing import attempt_of, earlier_attempt
from motet.bus.work import Work
from motet.errors import FaultError
from motet.messages import ANYBODY, FaultType, StateChanged, TaskRecord, TaskState
from motet.telemetry import CurrentSpan, extract, fail, logs, names

__all__ = ["FINISHED", "FinishedHandler", "FinishedQueue", "FinishedServer"]

log = logging.getLogger(__name__)

FINISHED = "finished"
"""In the place of a skill's name: what handles finished tasks."""

FinishedHandler = Callable[[TaskRecord, Work], Awaitable[None]]
"""Does something with a task that has ended."""


@dataclass(frozen=True, slots=True)
class FinishedQueue:
    """How finished tasks are handled."""

    agent: str
    max_attempts: int | None = None
    """Deliveries before a task becomes a dead letter here; None takes the mesh's."""
    concurrency: int | None = None
    """Tasks at once in this process; None takes the mesh's."""
    timeout_s: float | None = None
    """Seconds that one attempt may take."""


class FinishedServer:
    """Handles finished tasks from an agent's durable consumer."""

    def __init__(self, bus: Bus, queue: FinishedQueue, handler: FinishedHandler) -> None:
        self._bus = bus
        self._agent = queue.agent
        self._timeout_s = queue.timeout_s
        self._handler = handler
        self._policy = RetryPolicy.of(bus.settings, queue.max_attempts)
        self._book = TaskBook(bus)
        self._dead = DeadLetters(bus)
        self._subject = bus.topology.event("*", "state")
        self._consumer = Consumer(
            bus,
            "EVENTS",
            bus.topology.finished_consumer(queue.agent).durable_name or "",
            self._deliver,
            concurrency=queue.concurrency or bus.settings.concurrency,
        )

    async def start(self) -> None:
        """Begins to hear of finished tasks."""
        await self._consumer.start()

    async def stop(self, grace_s: float) -> None:
        """Hears no more; what runs ends within `grace_s` seconds or is handed back."""
        await self._consumer.stop(grace_s)

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            event = StateChanged.model_validate_json(delivery.body)
        except ValidationError:
            log.debug("event %d is of a form unknown here", delivery.sequence)
            await delivery.ack()
            return
        record = await self._book.get(event.task) if event.state.terminal else None
        if record is None:
            await delivery.ack()
            return
        bound = logs.bind(task=record.id, agent=self._agent, skill=FINISHED)
        try:
            await self._process(delivery, record)
        finally:
            logs.release(bound)

    async def _process(self, delivery: Delivery, record: TaskRecord) -> None:
        headers = {Header.TRACEPARENT: self._parent(record)}
        around = extract(headers)
        stream = self._bus.topology.stream("EVENTS")
        attempt = attempt_of(around, headers, stream, delivery.sequence, delivery.attempt)
        context = CallContext(
            task=record.id,
            call=call_id(record.id, TASK_CALL, f"{self._agent}.{FINISHED}"),
            parent=TASK_CALL,
            depth=1,
            deadline=None if self._timeout_s is None else time.time() + self._timeout_s,
            principal=ANYBODY if record.task is None else record.task.principal,
        )
        opened = self._bus.tracer.span(
            names.process(self._subject),
            SpanKind.CONSUMER,
            {
                names.MESSAGING_SYSTEM: names.MESSAGING_SYSTEM_NATS,
                names.MESSAGING_OPERATION_TYPE: names.OPERATION_PROCESS,
                names.MESSAGING_OPERATION_NAME: names.OPERATION_PROCESS,
                names.MESSAGING_DESTINATION_NAME: delivery.subject,
                names.MESSAGING_DESTINATION_TEMPLATE: self._subject,
                names.TASK: record.id,
                names.CALL: context.call,
                names.AGENT: self._agent,
                names.SKILL: FINISHED,
                names.ATTEMPT: delivery.attempt,
                names.QUEUE_WAIT_S: round(time.time() - delivery.stored_at, 6),
            },
            context=around,
            links=attempt.links,
            span_id=attempt.span_id,
        )
        with opened as span:
            await self._settle(delivery, record, Work(context, delivery.attempt, span))

    def _parent(self, record: TaskRecord) -> str:
        """The `traceparent` below which the handler stands.

        Only the attempt that succeeded has ended for certain, and so is recorded.
        """
        root = record.traceparent or ""
        if record.state != TaskState.SUCCEEDED:
            return root
        stream = self._bus.topology.stream("TASKS")
        headers = {Header.TRACEPARENT: root}
        return earlier_attempt(headers, stream, record.sequence, record.attempts) or root

    async def _settle(self, delivery: Delivery, record: TaskRecord, work: Work) -> None:
        begun = time.monotonic()
        instruments = self._bus.instruments
        waited_s = time.time() - delivery.stored_at if delivery.attempt == 1 else None
        instruments.call_started(self._agent, FINISHED, waited_s)
        outcome = "handed_back"
        try:
            await self._handle(delivery, record, work)
            outcome = "ok"
        except FaultError as error:
            outcome = error.fault.type
            fault = bounded(error.fault)
            fail(work.span, error)
            delay_s = self._policy.next_delay_s(fault, delivery.attempt)
            if delay_s is not None:
                instruments.call_retried(self._agent, FINISHED, fault.type)
                await delivery.retry(delay_s)
                return
            await self._dead.bury(
                delivery,
                fault,
                agent=self._agent,
                skill=FINISHED,
                task=record.id,
                call=work.context.call,
            )
        finally:
            instruments.call_ended(self._agent, FINISHED, outcome, time.monotonic() - begun)
        await delivery.ack()

    async def _handle(self, delivery: Delivery, record: TaskRecord, work: Work) -> None:
        """Runs the handler.

        Raises:
            FaultError: The attempt failed, whatever was raised.
        """
        name = f"{self._agent}.{FINISHED}"
        if delivery.attempt > self._policy.max_attempts:
            raise FaultError.of(
                FaultType.INTERNAL,
                f"{name} died, or lost its message, in each of {self._policy.max_attempts} "
                "attempts.",
            )
        try:
            with self._invoked(work.context):
                async with asyncio.timeout(self._timeout_s):
                    await self._handler(record, work)
        except FaultError:
            raise
        except Exception as error:
            log.exception("%s raised", name)
            raise fault_of(error, name) from error

    def _invoked(self, context: CallContext) -> CurrentSpan:
        return self._bus.tracer.span(
            names.invoke_agent(self._agent),
            SpanKind.INTERNAL,
            {
                names.GEN_AI_OPERATION: names.OPERATION_INVOKE_AGENT,
                names.GEN_AI_AGENT_NAME: self._agent,
                names.SKILL: FINISHED,
                names.TASK: context.task,
                names.CALL: context.call,
            },
        )
