"""Endings: a task's terminal state, recorded once, and told to whoever follows.

Invariants:

- A terminal state is recorded first, then told (event, ledger, reply), then the message leaves
  its queue. Each of these can be repeated without doubling anything.
- What failed is a dead letter that holds the task as it was submitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from motet.bus.book import TaskBook
from motet.bus.connection import Bus
from motet.bus.context import reply_subject
from motet.bus.dead import DeadLetters, Undeliverable
from motet.bus.delivery import Delivery
from motet.bus.events import Events
from motet.bus.ledger import Ledger
from motet.bus.topology import TASK_CALL, Header, Topology
from motet.messages import CallResult, Fault, FaultType, TaskRecord, TaskState

__all__ = ["Endings", "state_of"]


class Endings:
    """Ends tasks."""

    def __init__(self, bus: Bus, agent: str) -> None:
        self._bus = bus
        self._agent = agent
        self._book = TaskBook(bus)
        self._ledger = Ledger(bus)
        self._events = Events(bus)
        self._dead = DeadLetters(bus)

    async def finish(self, delivery: Delivery, task: str, state: TaskState, **values: Any) -> None:
        """Ends a task whose message is worked on, and takes the message from its queue.

        Args:
            delivery: The message.
            task: The task's id.
            state: A terminal state.
            **values: Other fields of the record that change.
        """
        record = await self._book.change(task, state=state, **values)
        if record.state == TaskState.FAILED and record.fault is not None:
            await self._dead.bury(
                _Submission.of(delivery, record, self._bus.topology),
                record.fault,
                agent=self._agent,
                skill="submit",
                task=record.id,
                call=TASK_CALL,
            )
        duration_s = (record.updated_at - record.accepted_at).total_seconds()
        tenant = "default" if record.task is None else record.task.tenant
        self._bus.instruments.task_ended(record.state, duration_s, tenant, record.usage)
        await self.conclude(record, delivery)
        await delivery.ack()

    async def conclude(
        self, record: TaskRecord, delivery: Delivery | None = None, *, told: bool = False
    ) -> None:
        """Tells everybody of a terminal state; repeating it soon doubles nothing.

        Args:
            record: The task's record.
            delivery: The message whose sender may wait for the outcome.
            told: Whether the event is there.
        """
        if not told:
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

    async def conclude_again(self, record: TaskRecord, delivery: Delivery | None = None) -> None:
        """`conclude` for a state that somebody else may have told, however long ago.

        The outcome in the ledger is the last of what is told to all; the stream's dedupe window is
        shorter than people's patience, and than the age of a backup.
        """
        entry = await self._ledger.entry(record.id, TASK_CALL)
        if entry is None or entry.result is None:
            told = await self._events.tell_the_end(record.id)
            await self.conclude(record, delivery, told=told)
            return
        reply = None if delivery is None else reply_subject(delivery.headers)
        if reply is not None:
            await self._bus.send(reply, entry.result.model_dump_json().encode())


@dataclass(frozen=True, slots=True)
class _Submission:
    """The submission of a task that fails after it was resumed: what there is to replay."""

    subject: str
    body: bytes
    headers: Mapping[str, str]
    sequence: int
    attempt: int

    @classmethod
    def of(cls, delivery: Delivery, record: TaskRecord, topology: Topology) -> Undeliverable:
        """What is buried: the delivery itself, or the task's submission in its place."""
        if topology.is_submission(delivery.subject) or record.task is None:
            return delivery
        headers = {Header.TRACEPARENT: record.traceparent} if record.traceparent else {}
        body = record.task.model_dump_json().encode()
        return cls(topology.task_submit, body, headers, delivery.sequence, delivery.attempt)


def state_of(fault: Fault) -> TaskState:
    """The state in which a task ends that failed with a fault."""
    match fault.type:
        case FaultType.CANCELLED:
            return TaskState.CANCELLED
        case FaultType.DEADLINE_EXCEEDED:
            return TaskState.EXPIRED
        case _:
            return TaskState.FAILED
