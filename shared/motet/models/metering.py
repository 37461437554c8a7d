"""Metering: who pays for what a model is asked."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol

from motet.messages import Usage

__all__ = ["Meter", "meter"]


class Meter(Protocol):
    """Pays for models, within its budget. A running `Call` is one."""

    @property
    def agent(self) -> str:
        """The agent that asks, for metrics."""
        ...

    @property
    def skill(self) -> str:
        """Its skill, for metrics."""
        ...

    def reserve(self, tokens: int) -> None:
        """Asks whether `tokens` more may be spent; raises a `FaultError` when not."""

    def spend(self, usage: Usage) -> None:
        """Notes what was spent; raises a `FaultError` when that was too much."""


meter: ContextVar[Meter | None] = ContextVar("motet_meter", default=None)
"""The meter of the current call; None pays for everything."""
