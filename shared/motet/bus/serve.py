"""Serving a skill: from a delivered call to its stored outcome.

Invariants, in the order in which a delivery meets them:

1. What cannot be read ends at once, as a fault with a dead letter.
2. A call whose outcome stands is answered from the ledger and does not run.
3. Cancel, deadline, depth and cycles are checked before the handler starts; a budget before a
   call is delegated and before a model is asked (see `motet.bus.budgets`).
4. A handler that fails is tried again after a growing delay, unless its fault is terminal.
5. The outcome is stored, then the caller is told, then the message is acknowledged. A call that
   failed for good is a dead letter before its outcome is stored.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from opentelemetry.trace import SpanKind
from pydantic import BaseModel, TypeAdapter

from motet.bus.blobs import Blobs
from motet.bus.bodies import fault_of, read_blob_ref, read_body
from motet.bus.cancellation import Cancellations
from motet.bus.connection import Bus
from motet.bus.consumer import Consumer
from motet.bus.context import CallContext
from motet.bus.dead import DeadLetters
from motet.bus.delivery import Delivery
from motet.bus.events import Events
from motet.bus.ledger import Entry, Hold, Ledger
from motet.bus.limits import check_limits, check_path
from motet.bus.outcomes import Outcomes, link, suspended_body
from motet.bus.pages import holds
from motet.bus.retries import RetryPolicy
from motet.bus.suspension import Suspension
from motet.bus.topology import Header
from motet.bus.tracing import attempt_of
from motet.bus.work import Work
from motet.errors import FaultError, Suspended
from motet.messages import (
    CallClaim,
    CallRetried,
    CallSuspended,
    Fault,
    FaultType,
)
from motet.telemetry import extract, fail, logs, names

__all__ = ["SkillQueue", "SkillServer", "Work"]

log = logging.getLogger(__name__)

MAX_CALL_BYTES = 1 << 20
"""Bytes of a call's own body; a larger one goes through the object store."""


SkillHandler = Callable[[Any, Work], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class SkillQueue:
    """Which calls are served, and how."""

    agent: str
    skill: str
    request: type[BaseModel]
    """The input type."""
    max_attempts: int | None = None
    """Deliveries before a call becomes a dead letter; None takes the mesh's."""
    concurrency: int | None = None
    """Calls at once in this process; None takes the mesh's."""
    timeout_s: float | None = None
    """Seconds that one attempt may take; None leaves it to the deadline."""
    recursive: bool = False
    """Whether the skill may be called below itself."""


@dataclass(frozen=True, slots=True)
class _Active:
    """A call that is served now."""

    sequence: int
    """The message that is worked on."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class SkillServer:
    """Serves one skill from its durable consumer."""

    def __init__(
        self,
        bus: Bus,
        queue: SkillQueue,
        handler: SkillHandler,
        cancellations: Cancellations,
        *,
        instance: str,
    ) -> None:
        self._bus = bus
        self._agent, self._skill = agent, skill = queue.agent, queue.skill
        self._request = TypeAdapter(queue.request)
        self._handler = handler
        self._cancellations = cancellations
        self._instance = instance
        self._active: dict[tuple[str, str], _Active] = {}
        self._policy = RetryPolicy.of(bus.settings, queue.max_attempts)
        self._timeout_s = queue.timeout_s
        self._recursive = queue.recursive
        self._ledger = Ledger(bus)
        self._blobs = Blobs(bus)
        self._outcomes = Outcomes(bus, agent, skill)
        self._events = Events(bus)
        self._dead = DeadLetters(bus)
        self._subject = bus.topology.call(agent, skill)
        self._stream = bus.topology.stream("CALLS")
        self._consumer = Consumer(
            bus,
            "CALLS",
            f"{agent}-{skill}",
            self._deliver,
            concurrency=queue.concurrency or bus.settings.concurrency,
        )

    async def start(self) -> None:
        """Begins to take calls."""
        await self._consumer.start()

    async def stop(self, grace_s: float) -> None:
        """Takes no more calls, and ends or hands back those that run."""
        await self._consumer.stop(grace_s)

    async def _deliver(self, delivery: Delivery) -> None:
        wrong: FaultError | None = None
        try:
            context = CallContext.read(delivery.headers, delivery.sequence, delivery.stored_at)
        except FaultError as error:
            context, wrong = CallContext.salvage(delivery.headers, delivery.sequence), error
        around = extract(delivery.headers)
        attempt = attempt_of(
            around, delivery.headers, self._stream, delivery.sequence, delivery.attempt
        )
        opened = self._bus.tracer.span(
            names.process(self._subject),
            SpanKind.CONSUMER,
            {
                names.MESSAGING_SYSTEM: names.MESSAGING_SYSTEM_NATS,
                names.MESSAGING_OPERATION_TYPE: names.OPERATION_PROCESS,
                names.MESSAGING_OPERATION_NAME: names.OPERATION_PROCESS,
                names.MESSAGING_DESTINATION_NAME: self._subject,
                names.MESSAGING_MESSAGE_ID: context.call,
                names.TASK: context.task,
                names.CALL: context.call,
                names.AGENT: self._agent,
                names.SKILL: self._skill,
                names.ATTEMPT: delivery.attempt,
                names.QUEUE_WAIT_S: round(time.time() - delivery.stored_at, 6),
            },
            context=around,
            links=attempt.links,
            span_id=attempt.span_id,
        )
        bound = logs.bind(
            task=context.task, call=context.call, agent=self._agent, skill=self._skill
        )
        try:
            with opened as span:
                first = delivery.first and context.fresh
                work = Work(context, delivery.attempt, span, first, wrong=wrong)
                work.suspension = Suspension() if context.watched else None
                await self._serve(delivery, work)
        finally:
            logs.release(bound)

    async def _serve(self, delivery: Delivery, work: Work) -> None:
        """Serves a call, but not beside itself.

        A message may come while its call is at work here: published again because its
        acknowledgement was lost, or delivered again by a server that was restarted. The first is
        dropped, since the message that is worked on stays in its queue; the second waits.
        """
        call = (work.context.task, work.context.call)
        known = False
        while (earlier := self._active.get(call)) is not None:
            if earlier.sequence != delivery.sequence and await self._queued(earlier.sequence):
                await self._reuse(delivery, work)
                return
            known = True
            await earlier.ended.wait()
        active = self._active[call] = _Active(delivery.sequence)
        try:
            await self._serve_alone(delivery, work, known=known)
        finally:
            del self._active[call]
            active.ended.set()

    async def _serve_alone(self, delivery: Delivery, work: Work, *, known: bool) -> None:
        context = work.context
        entry = None
        if known or not delivery.first or not context.fresh:
            entry = await self._ledger.entry(context.task, context.call)
        if entry is not None and await self._known(delivery, work, entry):
            return
        hold = Hold(
            self._ledger,
            CallClaim(
                task=context.task,
                call=context.call,
                sequence=delivery.sequence,
                attempt=delivery.attempt,
                instance=self._instance,
            ),
            entry.revision if entry is not None else 0,
            self._bus.settings.ack_wait_s / 3,
        )
        started = datetime.now(UTC)
        try:
            body = await self._attempt(delivery, work, hold, started)
        except Suspended as suspended:
            body = suspended_body(work, suspended)
        except FaultError as error:
            delay_s = self._policy.next_delay_s(error.fault, delivery.attempt)
            fault = self._outcomes.own(error.fault)
            fail(work.span, error)
            if delay_s is not None and self._in_time(context, delay_s):
                await self._retry(delivery, work, fault, delay_s)
                return
            body = self._outcomes.failed(work, fault, started)
            if fault.type != FaultType.CANCELLED:
                await self._dead.bury(
                    delivery,
                    fault,
                    agent=self._agent,
                    skill=self._skill,
                    task=context.task,
                    call=context.call,
                )
        standing = await self._ledger.settle(context.task, context.call, body, hold.revision)
        await self._tell(context, standing)
        await delivery.ack()

    async def _attempt(
        self, delivery: Delivery, work: Work, hold: Hold, started: datetime
    ) -> bytes:
        """Runs a call once, and gives its outcome as JSON.

        Raises:
            FaultError: The attempt failed.
        """
        begun = time.monotonic()
        instruments = self._bus.instruments
        waited_s = time.time() - delivery.stored_at if delivery.attempt == 1 else None
        instruments.call_started(self._agent, self._skill, waited_s)
        outcome = "handed_back"
        try:
            async with hold:
                output = await self._run(delivery, work)
                body = await self._outcomes.succeeded(work, output, started)
            outcome = "ok"
        except Suspended:
            outcome = "suspended"
            raise
        except FaultError as error:
            outcome = error.fault.type
            raise
        finally:
            duration_s = time.monotonic() - begun
            instruments.call_ended(self._agent, self._skill, outcome, duration_s)
        return body

    async def _known(self, delivery: Delivery, work: Work, entry: Entry) -> bool:
        """Ends a delivery whose call has an outcome, or is being worked on elsewhere."""
        if entry.result is not None:
            await self._tell(work.context, entry.result.model_dump_json().encode())
        elif isinstance(entry.record, CallSuspended):
            link(work, entry.record)
            return False
        elif isinstance(entry.record, CallClaim):
            first = entry.record.sequence
            if first == delivery.sequence or not await self._queued(first):
                return False
        await self._reuse(delivery, work)
        return True

    async def _reuse(self, delivery: Delivery, work: Work) -> None:
        """Ends a delivery whose call ran, or runs, for another."""
        work.span.set_attribute(names.REUSED, True)
        self._bus.instruments.call_reused(self._agent, self._skill)
        await delivery.ack()

    async def _queued(self, sequence: int) -> bool:
        """Whether a message is still in the queue.

        Raises:
            FaultError: `unavailable` when nobody says so in time.
        """
        return await holds(self._bus, "CALLS", sequence)

    async def _run(self, delivery: Delivery, work: Work) -> Any:
        """Checks, reads and handles a call.

        Raises:
            FaultError: The attempt failed, whatever was raised.
        """
        context = work.context
        if work.wrong is not None:
            raise work.wrong
        ended = await self._cancellations.ended_by_now(context.task, delivery.stored_at)
        if ended is not None:
            raise ended
        if delivery.attempt > self._policy.max_attempts:
            raise FaultError.of(
                FaultType.INTERNAL,
                f"{self._agent}.{self._skill} died, or lost its message, in each of "
                f"{self._policy.max_attempts} attempts.",
            )
        check_limits(context)
        if not self._recursive:
            check_path(context, f"{self._agent}.{self._skill}")
        request = await self._read(delivery)
        attributes = {
            names.GEN_AI_OPERATION: names.OPERATION_INVOKE_AGENT,
            names.GEN_AI_AGENT_NAME: self._agent,
            names.SKILL: self._skill,
            names.TASK: context.task,
            names.CALL: context.call,
        }
        with (
            self._bus.tracer.span(names.invoke_agent(self._agent), SpanKind.INTERNAL, attributes),
            self._cancellations.running(context.task),
        ):
            return await self._handle(request, work)

    async def _handle(self, request: Any, work: Work) -> Any:
        left = work.context.time_left_s()
        limits = [limit for limit in (left, self._timeout_s) if limit is not None]
        try:
            async with asyncio.timeout(min(limits, default=None)):
                return await self._handler(request, work)
        except TimeoutError as error:
            if left is not None and (work.context.time_left_s() or 0) <= 0:
                raise FaultError.of(
                    FaultType.DEADLINE_EXCEEDED,
                    f"{self._agent}.{self._skill} was stopped at its deadline.",
                ) from error
            raise fault_of(error, f"{self._agent}.{self._skill}") from error
        except asyncio.CancelledError:
            ended = self._cancellations.ended(work.context.task)
            if ended is None:
                raise
            current = asyncio.current_task()
            if current is not None:
                current.uncancel()
            raise ended from None
        except FaultError:
            raise
        except Exception as error:
            log.exception("%s.%s raised", self._agent, self._skill)
            raise fault_of(error, f"{self._agent}.{self._skill}") from error

    async def _read(self, delivery: Delivery) -> Any:
        body = delivery.body
        reference = delivery.headers.get(Header.BLOB)
        if reference is not None:
            body = await self._blobs.get(read_blob_ref(reference))
        elif len(body) > MAX_CALL_BYTES:
            raise FaultError.of(
                FaultType.TOO_LARGE,
                f"The body for {self._agent}.{self._skill} has {len(body)} bytes; at most "
                f"{MAX_CALL_BYTES} are taken. Put it into the object store, and a reference into "
                f"the header {Header.BLOB!r}.",
            )
        return read_body(self._request, body, f"{self._agent}.{self._skill}")

    async def _retry(self, delivery: Delivery, work: Work, fault: Fault, delay_s: float) -> None:
        await delivery.retry(delay_s)
        self._bus.instruments.call_retried(self._agent, self._skill, fault.type)
        if work.context.watched:
            await self._events.publish(
                CallRetried(
                    task=work.context.task,
                    call=work.context.call,
                    skill=f"{self._agent}.{self._skill}",
                    attempt=delivery.attempt,
                    delay_s=delay_s,
                    fault=fault,
                )
            )

    async def _tell(self, context: CallContext, outcome: bytes) -> None:
        if context.reply is not None:
            await self._bus.send(context.reply, outcome)

    def _in_time(self, context: CallContext, delay_s: float) -> bool:
        left = context.time_left_s()
        return left is None or delay_s < left
