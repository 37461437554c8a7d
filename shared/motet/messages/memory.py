"""Memory: what agents keep from one task to the next, and find again.

A memory belongs to the tenant on whose behalf it is kept, and within it to a user, a session and an
agent, as far as these are given. Whoever shall not see another's memories gives them access labels:
the other fields say where to look, and are not a lock.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from motet.messages.base import Message, Timestamp, Value
from motet.messages.principal import Label

__all__ = [
    "ConversationRequest",
    "ConversationResult",
    "ForgetMemoriesRequest",
    "ForgetMemoriesResult",
    "Memory",
    "RecallRequest",
    "RecallResult",
    "RememberRequest",
    "RememberResult",
    "Turn",
]

Whose = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
"""The name of a user, a session or an agent."""


class Memory(Value):
    """Something that is remembered."""

    id: str
    """Identifies it; what is remembered again under its id replaces it."""
    text: str
    """What is remembered."""
    user: str | None = None
    """Whom it is about."""
    session: str | None = None
    """The conversation that it is from."""
    agent: str | None = None
    """The agent that keeps it."""
    role: Literal["user", "assistant"] | None = None
    """Who said it, where it is a turn of a conversation."""
    labels: tuple[Label, ...] = ()
    """Access labels: who has one of these sees it; empty means everybody of its tenant."""
    time: Timestamp
    """The moment that it is of."""
    score: float = 0.0
    """The score that it is ordered by, where something was asked; higher is better."""


class RememberRequest(Message):
    """Keeps a memory."""

    text: str = Field(min_length=1, max_length=20_000)
    """What to remember."""
    id: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_.:-]{1,200}$")
    """What identifies it; None makes one that is the same each time that the call is tried."""
    user: Whose | None = None
    """Whom it is about."""
    session: Whose | None = None
    """The conversation that it is from."""
    agent: Whose | None = None
    """The agent that keeps it."""
    role: Literal["user", "assistant"] | None = None
    """Who said it, where it is a turn of a conversation."""
    labels: tuple[Label, ...] = Field(default=(), max_length=32)
    """Access labels: who has one of these sees it."""
    time: Timestamp | None = None
    """The moment that it is of; None takes now."""

    @model_validator(mode="after")
    def _turn_of_a_session(self) -> Self:
        if self.role is not None and self.session is None:
            raise ValueError("a turn ('role') belongs to a 'session'")
        return self


class RememberResult(Message):
    """What was kept."""

    id: str
    status: Literal["added", "replaced", "unchanged"]


class RecallRequest(Message):
    """Looks for memories."""

    query: str | None = Field(default=None, min_length=1, max_length=4000)
    """What to look for, in plain words; None lists the newest."""
    user: Whose | None = None
    """Only what is about this user."""
    session: Whose | None = None
    """Only what is from this conversation."""
    agent: Whose | None = None
    """Only what this agent keeps."""
    since: Timestamp | None = None
    """Only what is of this moment, or later."""
    until: Timestamp | None = None
    """Only what is of before this moment."""
    half_life_days: float | None = Field(default=None, gt=0, le=36_500)
    """Days in which a memory's age halves its score; None does not look at age."""
    limit: int = Field(default=5, ge=1, le=100)
    """How many at most."""


class RecallResult(Message):
    """Memories: best first where something was asked, else newest first."""

    memories: tuple[Memory, ...]


class ForgetMemoriesRequest(Message):
    """Removes memories for good: those that are named, or all that fit everything that is given."""

    ids: tuple[str, ...] = Field(default=(), max_length=1000)
    """Only these; empty means all that fit."""
    user: Whose | None = None
    """Only what is about this user."""
    session: Whose | None = None
    """Only what is from this conversation."""
    agent: Whose | None = None
    """Only what this agent keeps."""
    until: Timestamp | None = None
    """Only what is of before this moment."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not any((self.ids, self.user, self.session, self.agent, self.until)):
            raise ValueError(
                "say what to forget: give 'ids', 'user', 'session', 'agent' or 'until'"
            )
        return self


class ForgetMemoriesResult(Message):
    """What was removed."""

    ids: tuple[str, ...]
    """At most the first 1,000."""
    count: int = Field(ge=0)
    """How many there were."""


class Turn(Value):
    """What one side of a conversation said."""

    role: Literal["user", "assistant"]
    text: str
    time: Timestamp


class ConversationRequest(Message):
    """Reads a conversation as far as it fits a window."""

    session: Whose
    tokens: int = Field(default=2000, ge=100, le=100_000)
    """What summary and turns have together at most, as the retriever estimates tokens."""


class ConversationResult(Message):
    """The newest turns, and what was said before them."""

    turns: tuple[Turn, ...]
    """In order of time."""
    summary: str = ""
    """What the older turns say, where there are any."""
    summarised: int = Field(default=0, ge=0)
    """How many turns the summary stands for."""
