"""Events: writing what happens in a task, and following it from any point.

Invariants:

- Order and sequences are the stream's alone: who follows reads its pages, and needs no consumer of
  its own, so that any number may follow.
- An event's sequence is the cursor: nothing before it is given again, nothing after it left out,
  except what the stream has dropped for its age.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator

from pydantic import ValidationError

from motet.bus.connection import Bus
from motet.bus.news import News
from motet.bus.pages import pages
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

_STATE = str(StateChanged.model_fields["kind"].default)

log = logging.getLogger(__name__)


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

    async def tell_the_end(self, task: str) -> bool:
        """Whether the events of a task tell that it has ended.

        Raises:
            FaultError: `unavailable` when the stream cannot be read.
        """
        stream, subject = (
            self._bus.topology.stream("EVENTS"),
            self._bus.topology.event(task, _STATE),
        )
        async for page in pages(self._bus, stream, subject, f"Events of {task!r} cannot be read"):
            for message in page:
                try:
                    if StateChanged.model_validate_json(message.body).state.terminal:
                        return True
                except ValidationError:
                    log.debug("event %d is of a form unknown here", message.sequence)
        return False

    async def publish_evaluation(self, record: TaskRecord) -> None:
        """Writes a task's evaluation, once."""
        if record.evaluation is not None:
            await self.publish(
                TaskScored(task=record.id, evaluation=record.evaluation),
                message_id=f"{record.id}.scored",
            )

    async def follow(self, task: str, after: int = 0) -> AsyncGenerator[tuple[int, Event]]:
        """Events of a task in order, those that are kept and then new ones, without an end.

        Going on after the sequence of the last event that was seen misses none and gives none
        twice. While the connection is lost, this waits for it.

        Args:
            task: The task.
            after: The stream sequence of the last event that was seen; 0 for all.

        Raises:
            FaultError: `unavailable` when the stream cannot be read.
        """
        stream, subject = self._bus.topology.stream("EVENTS"), self._bus.topology.event(task, ">")
        complaint = f"Events of {task!r} cannot be read"
        async with News.of(self._bus, subject) as news:
            while True:
                async for page in pages(self._bus, stream, subject, complaint, after):
                    for message in page:
                        after = message.sequence
                        news.read(message.body)
                        try:
                            event = EVENT.validate_json(message.body)
                        except ValidationError:
                            log.debug("event %d is of a kind unknown here", after)
                            continue
                        yield after, event
                await news.wait()
