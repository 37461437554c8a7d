"""The book of tasks: their states of record, changed by compare-and-set.

A terminal state never changes; what is added to a terminal record, once, is its evaluation. A
record is kept for a while after the task's end, and then its id may be used anew.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pydantic import ValidationError

from motet.bus.connection import Bus
from motet.bus.kv import Bucket
from motet.errors import FaultError
from motet.messages import Evaluation, FaultType, TaskRecord, TaskState

__all__ = ["Taken", "TaskBook"]

log = logging.getLogger(__name__)


class Taken(NamedTuple):
    """A task that somebody takes up."""

    record: TaskRecord
    first: bool
    """Whether nobody did before, with whatever message."""


class TaskBook:
    """The records of tasks."""

    def __init__(self, bus: Bus) -> None:
        self._bucket = Bucket(bus, "tasks")
        self._max_age_s = bus.settings.tasks_max_age_s

    async def get(self, task: str) -> TaskRecord | None:
        """A task's record; None when there is no such task."""
        item = await self._bucket.get(task)
        return None if item is None else TaskRecord.model_validate_json(item.value)

    async def create(self, record: TaskRecord) -> TaskRecord:
        """Writes a new record, unless there is one: returns the record that stands."""
        if await self._put(record, 0):
            return record
        standing = await self.get(record.id)
        return standing if standing is not None else record

    async def change(self, task: str, **values: Any) -> TaskRecord:
        """Changes a record that is not terminal.

        Returns:
            The record that stands: a terminal one is returned as it was.

        Raises:
            FaultError: `not_found`.
        """
        while True:
            item = await self._bucket.get(task)
            if item is None:
                raise FaultError.of(FaultType.NOT_FOUND, f"There is no task {task!r}.")
            record = TaskRecord.model_validate_json(item.value)
            if record.state.terminal:
                return record
            changed = record.model_copy(update={**values, "updated_at": datetime.now(UTC)})
            if await self._put(changed, item.revision):
                return changed

    async def queued(self, task: str, place: int, sequence: int) -> None:
        """Notes the message that a task waits by, unless it was taken up already.

        Args:
            task: Its id.
            place: The place in the stream TASKS of the message that the record names so far.
            sequence: The place of the message that is to bring the task up.
        """
        while True:
            item = await self._bucket.get(task)
            record = None if item is None else TaskRecord.model_validate_json(item.value)
            if item is None or record is None or record.state.terminal or record.sequence != place:
                return
            values = {"sequence": sequence, "updated_at": datetime.now(UTC)}
            if await self._put(record.model_copy(update=values), item.revision):
                return

    async def take(self, task: str, submission: int, sequence: int, attempts: int) -> Taken | None:
        """Begins to work on a task for the message at `sequence` of the stream TASKS.

        Args:
            task: Its id.
            submission: The place of the submission that the message stands for.
            sequence: The message's own place.
            attempts: How many times it was delivered.

        Returns:
            The record, unchanged if it is terminal or waits; None when the task is worked on for
            another message, or there is none.
        """
        while True:
            item = await self._bucket.get(task)
            record = None if item is None else TaskRecord.model_validate_json(item.value)
            if item is None or record is None:
                return None
            if record.state.terminal:
                return Taken(record, first=False)
            if record.sequence not in (submission, sequence):
                return None
            if record.state == TaskState.WAITING:
                return Taken(record, first=False)
            values = {"sequence": sequence, "attempts": attempts, "updated_at": datetime.now(UTC)}
            changed = record.model_copy(update=values)
            if await self._put(changed, item.revision):
                return Taken(changed, first=not record.attempts and attempts == 1)

    async def resume(self, task: str, sequence: int) -> TaskRecord | None:
        """Has a waiting task go on with the message at `sequence` of the stream TASKS.

        Returns:
            The record; None when the task does not wait, so that another message was faster.
        """
        while True:
            item = await self._bucket.get(task)
            record = None if item is None else TaskRecord.model_validate_json(item.value)
            if item is None or record is None:
                return None
            if record.state == TaskState.RUNNING and record.sequence == sequence:
                return record  # written before, and the acknowledgement was lost
            if record.state != TaskState.WAITING:
                return None
            values = {"state": TaskState.RUNNING, "sequence": sequence, "waits_for": ()}
            changed = record.model_copy(update={**values, "updated_at": datetime.now(UTC)})
            if await self._put(changed, item.revision):
                return changed

    async def evaluate(self, task: str, evaluation: Evaluation) -> TaskRecord:
        """Adds an evaluation to the record of a task that has ended.

        Returns:
            The record that stands: one that was evaluated before is returned as it was.

        Raises:
            FaultError: `not_found`, `invalid_input` when the task has not ended.
        """
        while True:
            item = await self._bucket.get(task)
            if item is None:
                raise FaultError.of(FaultType.NOT_FOUND, f"There is no task {task!r}.")
            record = TaskRecord.model_validate_json(item.value)
            if not record.state.terminal:
                raise FaultError.of(
                    FaultType.INVALID_INPUT, f"Task {task!r} has not ended: {record.state}."
                )
            if record.evaluation is not None:
                return record
            changed = record.model_copy(update={"evaluation": evaluation})
            if await self._put(changed, item.revision):
                return changed

    async def page(self, after: int) -> tuple[list[TaskRecord], int]:
        """Some records, those that changed longest ago first.

        Args:
            after: Where the page before ended; 0 for the first.

        Returns:
            The records that can be read, and where the page ends; 0 when it is the last.

        Raises:
            FaultError: `unavailable` when the bucket cannot be read.
        """
        items, after = await self._bucket.page(after)
        records: list[TaskRecord] = []
        for item in items:
            try:
                records.append(TaskRecord.model_validate_json(item.value))
            except ValidationError as error:
                log.warning("the record of task %s cannot be read: %s", item.key, error)
        return records, after

    async def list(self) -> list[TaskRecord]:
        """Every record, newest first."""
        records = [
            TaskRecord.model_validate_json(item.value) for item in await self._bucket.items()
        ]
        return sorted(records, key=lambda record: record.accepted_at, reverse=True)

    async def _put(self, record: TaskRecord, revision: int) -> bool:
        """Writes a record over a revision; returns whether that was the newest."""
        ttl_s = self._max_age_s if record.state.terminal else None
        body = record.model_dump_json().encode()
        return await self._bucket.put(record.id, body, revision, ttl_s=ttl_s) is not None
