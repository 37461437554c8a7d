"""The book of tasks: their states of record, changed by compare-and-set.

A terminal state never changes; what is added to a terminal record, once, is its evaluation.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from motet.bus.connection import Bus
from motet.bus.kv import Bucket
from motet.errors import FaultError
from motet.messages import Evaluation, FaultType, TaskRecord, TaskState

__all__ = ["TaskBook"]


class TaskBook:
    """The records of tasks."""

    def __init__(self, bus: Bus) -> None:
        self._bucket = Bucket(bus, "tasks")

    async def get(self, task: str) -> TaskRecord | None:
        """A task's record; None when there is no such task."""
        item = await self._bucket.get(task)
        return None if item is None else TaskRecord.model_validate_json(item.value)

    async def create(self, record: TaskRecord) -> TaskRecord:
        """Writes a new record, unless there is one: returns the record that stands."""
        if await self._bucket.put(record.id, record.model_dump_json().encode(), 0) is not None:
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
            body = changed.model_dump_json().encode()
            if await self._bucket.put(task, body, item.revision) is not None:
                return changed

    async def take(
        self, task: str, submission: int, sequence: int, attempts: int
    ) -> TaskRecord | None:
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
                return record
            if record.sequence not in (submission, sequence):
                return None
            if record.state == TaskState.WAITING:
                return record
            values = {"sequence": sequence, "attempts": attempts, "updated_at": datetime.now(UTC)}
            changed = record.model_copy(update=values)
            body = changed.model_dump_json().encode()
            if await self._bucket.put(task, body, item.revision) is not None:
                return changed

    async def resume(self, task: str, sequence: int) -> TaskRecord | None:
        """Has a waiting task go on with the message at `sequence` of the stream TASKS.

        Returns:
            The record; None when the task does not wait, so that another message was faster.
        """
        while True:
            item = await self._bucket.get(task)
            record = None if item is None else TaskRecord.model_validate_json(item.value)
            if item is None or record is None or record.state != TaskState.WAITING:
                return None
            values = {"state": TaskState.RUNNING, "sequence": sequence, "waits_for": ()}
            changed = record.model_copy(update={**values, "updated_at": datetime.now(UTC)})
            body = changed.model_dump_json().encode()
            if await self._bucket.put(task, body, item.revision) is not None:
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
            body = changed.model_dump_json().encode()
            if await self._bucket.put(task, body, item.revision) is not None:
                return changed

    async def list(self) -> list[TaskRecord]:
        """Every record, newest first."""
        records = [
            TaskRecord.model_validate_json(item.value) for item in await self._bucket.items()
        ]
        return sorted(records, key=lambda record: record.accepted_at, reverse=True)
