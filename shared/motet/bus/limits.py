"""Limits of a call that its headers tell: time, depth, and the skills above it.

What is spent is limited by accounts: see `motet.bus.budgets`.
"""

from __future__ import annotations

import time

from motet.bus.context import CallContext
from motet.errors import FaultError
from motet.messages import FaultType

__all__ = ["check_limits", "check_path"]


def check_limits(context: CallContext) -> None:
    """Refuses a call that has no time or depth left.

    Raises:
        FaultError: `deadline_exceeded`, `depth_exceeded`.
    """
    if context.deadline is not None and time.time() >= context.deadline:
        raise FaultError.of(
            FaultType.DEADLINE_EXCEEDED, "The deadline passed while the call was queued."
        )
    if context.budget.depth is not None and context.depth > context.budget.depth:
        raise FaultError.of(
            FaultType.DEPTH_EXCEEDED,
            f"Delegation is {context.depth} levels deep; the limit is {context.budget.depth}.",
            limit=context.budget.depth,
            depth=context.depth,
        )


def check_path(context: CallContext, skill: str) -> None:
    """Refuses a call of a skill that is at work above it.

    Raises:
        FaultError: `delegation_cycle`.
    """
    if skill in context.path:
        path = [*context.path[context.path.index(skill) :], skill]
        raise FaultError.of(
            FaultType.DELEGATION_CYCLE,
            f"{skill} was called below itself: {' > '.join(path)}. Declare it `recursive=True` if "
            "it is meant to be.",
            path=path,
        )
