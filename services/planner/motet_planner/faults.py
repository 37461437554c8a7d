"""Faults: which of them end a task, and which are only those of a step."""

from __future__ import annotations

from motet.errors import FaultError
from motet.messages import FaultType
from motet_planner.run import Run

__all__ = ["raise_if_ending"]

_ENDING = {FaultType.CANCELLED, FaultType.BUDGET_EXCEEDED, FaultType.DEPTH_EXCEEDED}
"""Faults of the task itself: no other step helps."""


def raise_if_ending(error: FaultError, run: Run) -> None:
    """Ends the task on a fault of its own; the fault of a step is the strategy's to deal with."""
    if error.fault.type in _ENDING:
        raise error
    run.call.check()
