"""Admission: what a mesh refuses of a task that can be read, before anybody works on it.

The client asks before it submits, so that its user hears at once, and the intake asks whoever has
submitted: a task may come from any NATS client.
"""

from __future__ import annotations

from collections.abc import Iterable

from motet.errors import FaultError
from motet.json_schema import form_problem
from motet.messages import FaultType, Task
from motet.settings import Settings

__all__ = ["check_inputs_size", "check_task"]


def check_task(task: Task, settings: Settings) -> None:
    """Refuses a task that asks for more than is given.

    Raises:
        FaultError: `too_large` for its inputs, `invalid_input` for its `answer_schema`.
    """
    check_inputs_size((each.size for each in task.inputs), settings)
    if task.answer_schema is not None:
        wrong = form_problem(task.answer_schema)
        if wrong is not None:
            raise FaultError.of(
                FaultType.INVALID_INPUT, f"The task's `answer_schema` cannot be used: {wrong}."
            )


def check_inputs_size(sizes: Iterable[int], settings: Settings) -> None:
    """Refuses inputs that are too large together.

    Raises:
        FaultError: `too_large`.
    """
    given = list(sizes)
    total, limit = sum(given), settings.task_input_bytes
    if total > limit:
        raise FaultError.of(
            FaultType.TOO_LARGE,
            f"The task's {len(given)} inputs have {total:,} bytes together, and the limit is "
            f"{limit:,} (MOTET_TASK_INPUT_BYTES): leave some out, or ingest them as documents.",
            size=total,
            limit=limit,
        )
