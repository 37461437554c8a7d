"""Queueing: the message that says that a task is ready, in the queue of its priority and tenant."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from motet.bus.book import TaskBook
from motet.bus.connection import Bus
from motet.bus.provisioning import ensure_consumer
from motet.bus.topology import Header
from motet.errors import FaultError, SetupError
from motet.messages import FaultType, Task, TaskReady, new_id

__all__ = ["Queueing"]


class Queueing:
    """Puts accepted tasks into their queues."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._book = TaskBook(bus)
        self._made: set[str] = set()

    async def queue(
        self, task_id: str, task: Task, place: int, headers: Mapping[str, str], *, again: bool
    ) -> None:
        """Queues a task, notes the message in its record, and wakes the planners.

        Args:
            task_id: The task's id.
            task: What was submitted.
            place: The place in the stream TASKS of the message that the record names.
            headers: What its attempts need of the submission's headers.
            again: Whether to do so although the stream may remember that it was done.

        Raises:
            FaultError: `unavailable`; not to be tried again where the server has as many queues as
                it takes.
        """
        topology = self._bus.topology
        subject = topology.task_ready(task.priority, task.tenant)
        if subject not in self._made:
            await self._make(task)
            self._made.add(subject)
        mark = new_id() if again else f"ready.{task_id}.{place}"
        ready = TaskReady(task=task_id, sequence=place)
        stored = await self._bus.store(
            subject, ready.model_dump_json().encode(), {**headers, Header.MESSAGE_ID: mark}
        )
        await self._book.queued(task_id, place, stored.sequence)
        await self._bus.send(topology.task_awake(task.priority, task.tenant), b"")

    async def _make(self, task: Task) -> None:
        topology, complaint = (
            self._bus.topology,
            f"The queue of tenant {task.tenant!r} cannot be made",
        )
        make = partial(
            ensure_consumer,
            self._bus.js,
            topology.stream("TASKS"),
            topology.ready_consumer(task.priority, task.tenant),
        )
        try:
            await self._bus.patiently(make, complaint)
        except SetupError as error:
            raise FaultError.of(
                FaultType.UNAVAILABLE,
                f"{complaint}. {error} A stream takes so many consumers, and each tenant and "
                "priority with a task within an hour is one.",
            ) from error
