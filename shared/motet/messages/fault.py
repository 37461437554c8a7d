"""Faults: failures as data, so that they cross the bus and keep their cause."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field

from motet.messages.base import Value

__all__ = ["Fault", "FaultType"]


class FaultType(StrEnum):
    """The kinds of fault that Motet itself raises. An agent may add kinds of its own."""

    INVALID_INPUT = "invalid_input"
    """The body is not JSON, or does not fit the schema of its subject."""
    UNSUPPORTED_VERSION = "unsupported_version"
    """The body carries a schema version that this reader does not know."""
    TOO_LARGE = "too_large"
    """The body, or a part of it, is over a limit."""
    UNKNOWN_SKILL = "unknown_skill"
    """No agent of the mesh has the skill."""
    UNAVAILABLE = "unavailable"
    """Something that the work needs does not answer now."""
    DEADLINE_EXCEEDED = "deadline_exceeded"
    """The deadline of the task, or of the call, passed."""
    BUDGET_EXCEEDED = "budget_exceeded"
    """A limit of the task's budget is used up."""
    DEPTH_EXCEEDED = "depth_exceeded"
    """The delegation is nested deeper than the budget allows."""
    DELEGATION_CYCLE = "delegation_cycle"
    """A skill was called below itself, and has not declared that it may be."""
    CANCELLED = "cancelled"
    """Somebody asked for the work to stop."""
    REJECTED = "rejected"
    """A person who was asked said no, or nobody replied in time."""
    ALREADY_REPLIED = "already_replied"
    """Another reply to the question stands."""
    MODEL_FAILED = "model_failed"
    """The language model could not be reached, or refused."""
    MODEL_OUTPUT_INVALID = "model_output_invalid"
    """The language model answered, but not in the form that was asked, also after repairs."""
    NOT_FOUND = "not_found"
    """Something that the request names does not exist."""
    NO_EVIDENCE = "no_evidence"
    """Nothing was found on which an answer could stand."""
    INTERNAL = "internal"
    """The handler raised an exception that it did not declare."""


class Fault(Value):
    """Why something failed."""

    type: str = Field(min_length=1, max_length=64)
    """One of `FaultType`, or a kind that an agent declares."""
    message: str
    """A sentence for people: what was wrong, where, and what to do."""
    retryable: bool = False
    """Whether the same call may succeed later. A fault that is not retryable is terminal."""
    retry_after_s: float | None = Field(default=None, ge=0)
    """When to try again, in seconds from now; None leaves it to the retry policy."""
    agent: str | None = None
    """The agent that failed."""
    skill: str | None = None
    """The skill that failed, without its agent's name."""
    detail: dict[str, Any] = Field(default_factory=dict)
    """Facts for programs, such as the limit that was passed and how much was spent."""
    cause: Fault | None = None
    """The fault of a delegated call that led to this one."""
