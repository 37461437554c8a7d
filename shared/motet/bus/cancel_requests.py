"""Requests to cancel a task: its record says so, and everybody who works for it hears of it.

A cancellation may overtake its task: it waits until the task was taken in.
"""

from __future__ import annotations

from functools import partial

from pydantic import TypeAdapter

from motet.bus.bodies import read_body
from motet.bus.book import TaskBook
from motet.bus.connection import Bus
from motet.bus.consumer import Consumer
from motet.bus.dead import DeadLetters
from motet.bus.delivery import Delivery
from motet.bus.endings import Endings
from motet.bus.intake import SUBMISSIONS
from motet.bus.retries import RetryPolicy
from motet.errors import FaultError
from motet.messages import CancelRequest, Fault, FaultType, TaskState

__all__ = ["CancelRequests"]

CANCEL_AGAIN_S = 1.0
"""The longest wait before a cancellation looks again for its task, which is still queued."""

_REQUEST: TypeAdapter[CancelRequest] = TypeAdapter(CancelRequest)


class CancelRequests:
    """Cancels tasks on request."""

    def __init__(self, bus: Bus, agent: str, endings: Endings) -> None:
        self._bus = bus
        self._agent = agent
        self._book = TaskBook(bus)
        self._dead = DeadLetters(bus)
        self._endings = endings
        self._policy = RetryPolicy.of(bus.settings)
        self._consumer = Consumer(
            bus, "TASKS", "task-cancel", self._cancelled, concurrency=bus.settings.concurrency
        )

    async def start(self) -> None:
        """Begins to hear of cancellations."""
        await self._consumer.start()

    async def stop(self, grace_s: float) -> None:
        """Hears no more."""
        await self._consumer.stop(grace_s)

    async def _cancelled(self, delivery: Delivery) -> None:
        try:
            request: CancelRequest = read_body(_REQUEST, delivery.body, "a cancellation")
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
                await self._endings.conclude_again(record)
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
        return any([await self._holds_earlier(f"task-{kind}", delivery) for kind in SUBMISSIONS])

    async def _holds_earlier(self, durable: str, delivery: Delivery) -> bool:
        """Whether a queue of submissions holds one from before the cancellation."""
        stream = self._bus.topology.stream("TASKS")
        info = await self._bus.patiently(
            partial(self._bus.js.consumer_info, stream, durable), "The queue cannot be read"
        )
        settled = info.ack_floor.stream_seq if info.ack_floor else 0
        return settled < delivery.sequence and bool(info.num_pending or info.num_ack_pending)
