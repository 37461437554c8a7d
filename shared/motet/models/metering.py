"""Metering: who pays for what a model is asked."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol

from motet.messages import Usage

__all__ = ["Meter", "Room", "free", "meter", "paid"]


class Room(Protocol):
    """What one request may cost."""

    output_tokens: int
    """Tokens that the answer may have; fewer than were asked for where the budget ends."""
    spent: Usage
    """What the request has cost; whoever asks sets it as soon as that is known."""


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

    def reserve(self, least: Usage, most: Usage) -> AbstractAsyncContextManager[Room]:
        """Reserves what a request may cost, and settles it with what it did cost.

        `least` is the request with an answer of one token, `most` with the longest. Raises a
        `FaultError` when `least` is more than is left, and when more was spent than may be.
        """
        ...


meter: ContextVar[Meter | None] = ContextVar("motet_meter", default=None)
"""The meter of the current call; None pays for everything."""


@asynccontextmanager
async def paid(least: Usage, most: Usage) -> AsyncGenerator[Room]:
    """A request to a model, paid by the meter of the current call.

    Raises:
        FaultError: What the meter raises.
    """
    payer = meter.get()
    async with free(most) if payer is None else payer.reserve(least, most) as room:
        yield room


@asynccontextmanager
async def free(most: Usage) -> AsyncGenerator[Room]:
    """A request that has no limit."""
    yield _Free(most.output_tokens)


@dataclass
class _Free:
    output_tokens: int
    spent: Usage = field(default_factory=Usage)
