"""Events: writing what happens in a task, and following it from any point."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

from nats.errors import Error as NatsError
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import APIError
from pydantic import ValidationError

from motet.bus.connection import Bus
from motet.bus.topology import Header
from motet.errors import FaultError
from motet.messages import EVENT, Event, FaultType, PlanMade, StateChanged, TaskRecord

__all__ = ["Events"]

log = logging.getLogger(__name__)


class Events:
    """The stream of events."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def publish(self, event: Event, *, message_id: str | None = None) -> None:
        """Writes an event.

        Plans and states are stored when this returns. Others are on their way: they keep their
        order, and are lost only with the process.
        """
        subject = self._bus.topology.event(event.task, event.kind)
        body = event.model_dump_json().encode()
        if isinstance(event, StateChanged | PlanMade):
            headers = {Header.MESSAGE_ID: message_id} if message_id else None
            await self._bus.store(subject, body, headers)
        else:
            await self._bus.send(subject, body)

    async def publish_state(self, record: TaskRecord, attempt: int | None = None) -> None:
        """Writes the state of a task; a terminal one once, others once an attempt."""
        mark = "" if record.state.terminal else f".{attempt or record.attempts}"
        await self.publish(
            StateChanged(
                task=record.id,
                state=record.state,
                answer=record.answer,
                fault=record.fault,
                usage=record.usage,
            ),
            message_id=f"{record.id}.{record.state}{mark}",
        )

    async def follow(self, task: str, after: int = 0) -> AsyncIterator[tuple[int, Event]]:
        """Events of a task in order, those that are kept and then new ones, without an end.

        Args:
            task: The task.
            after: The stream sequence of the last event that was seen; 0 for all.

        Raises:
            FaultError: `unavailable` when the stream cannot be read.
        """
        topology = self._bus.topology
        while True:
            start = (
                ConsumerConfig(
                    deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=after + 1
                )
                if after
                else ConsumerConfig(deliver_policy=DeliverPolicy.ALL)
            )
            try:
                subscription = await self._bus.js.subscribe(
                    topology.event(task, ">"),
                    stream=topology.stream("EVENTS"),
                    ordered_consumer=True,
                    config=start,
                )
            except (NatsError, APIError) as error:
                raise FaultError.of(
                    FaultType.UNAVAILABLE,
                    f"Events of {task!r} cannot be read: {error or type(error).__name__}.",
                    retryable=True,
                ) from error
            try:
                while True:
                    message = await subscription.next_msg(timeout=None)
                    after = message.metadata.sequence.stream
                    try:
                        yield after, EVENT.validate_json(message.data)
                    except ValidationError:
                        log.debug("event %d is of a kind unknown here", after)
            except (TimeoutError, NatsError) as error:
                log.debug("following anew from %d: %s", after, error)
            finally:
                if self._bus.client.is_connected:
                    await subscription.unsubscribe()
