"""Events: writing what happens in a task, and following it from any point."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from functools import partial

from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.api import ConsumerConfig, DeliverPolicy
from pydantic import ValidationError

from motet.bus.connection import Bus
from motet.bus.topology import Header
from motet.messages import (
    EVENT,
    Event,
    PersonAsked,
    PersonReplied,
    PlanMade,
    StateChanged,
    TaskRecord,
    TaskScored,
    new_id,
)

__all__ = ["Events"]

_STORED = (StateChanged, PlanMade, PersonAsked, PersonReplied, TaskScored)
"""Events that are stored before anything follows from them."""

log = logging.getLogger(__name__)

CONNECTION_CHECK_S = 1.0
"""Seconds between two looks at whether the connection was lost and is back."""


class Events:
    """The stream of events."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def publish(self, event: Event, *, message_id: str | None = None) -> None:
        """Writes an event.

        Plans, states, questions, replies and scores are stored when this returns. Others are on
        their way: they keep their order, and are lost only with the process.
        """
        subject = self._bus.topology.event(event.task, event.kind)
        body = event.model_dump_json().encode()
        if isinstance(event, _STORED):
            # Under an id, so that storing it again after a lost acknowledgement does not double it.
            await self._bus.store(subject, body, {Header.MESSAGE_ID: message_id or new_id()})
        else:
            await self._bus.send(subject, body)

    async def publish_state(self, record: TaskRecord, attempt: int | None = None) -> None:
        """Writes the state of a task; a terminal one once, others once an attempt."""
        attempt = attempt or record.attempts
        mark = "" if record.state.terminal else f".{record.sequence}.{attempt}"
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

    async def publish_evaluation(self, record: TaskRecord) -> None:
        """Writes a task's evaluation, once."""
        if record.evaluation is not None:
            await self.publish(
                TaskScored(task=record.id, evaluation=record.evaluation),
                message_id=f"{record.id}.scored",
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
            connections = self._bus.connections
            subscription = await self._bus.patiently(
                partial(
                    self._bus.js.subscribe,
                    topology.event(task, ">"),
                    stream=topology.stream("EVENTS"),
                    ordered_consumer=True,
                    config=start,
                ),
                f"Events of {task!r} cannot be read",
            )
            try:
                # The consumer behind a subscription does not outlive its connection.
                while self._bus.connections == connections:
                    try:
                        message = await subscription.next_msg(timeout=CONNECTION_CHECK_S)
                    except NatsTimeoutError:
                        continue
                    after = message.metadata.sequence.stream
                    try:
                        yield after, EVENT.validate_json(message.data)
                    except ValidationError:
                        log.debug("event %d is of a kind unknown here", after)
            except NatsError as error:
                log.debug("following anew from %d: %s", after, error)
            finally:
                if self._bus.client.is_connected:
                    await subscription.unsubscribe()
