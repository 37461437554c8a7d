"""Work: one attempt at a call, as its handler's side knows it."""

from __future__ import annotations

from dataclasses import dataclass, field

from opentelemetry.trace import Span

from motet.bus.context import CallContext
from motet.bus.suspension import Suspension
from motet.errors import FaultError
from motet.messages import Usage

__all__ = ["Work"]


@dataclass(slots=True)
class Work:
    """One attempt at a call: what the handler's side knows of it."""

    context: CallContext
    attempt: int
    span: Span
    first: bool = False
    """Whether nobody can have begun this before, so that nothing that it delegates has an outcome:
    a count of attempts begins anew where a message was put back, or came back with a backup."""
    usage: Usage = field(default_factory=Usage)
    """What was spent so far, here and below."""
    wrong: FaultError | None = None
    """Why its headers cannot be followed, if so."""
    suspension: Suspension | None = None
    """How it waits for a person; None for what cannot, since it belongs to no task."""
