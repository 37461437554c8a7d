"""Approvals: what a person is asked while a task waits, and what that person said.

A question is kept in the bucket `approvals` under `<task>.<id>`, and under `<task>.<id>.reply` once
more with its reply. The reply is what a client publishes on `motet.task.resume`: `{"task": ...,
"question": ..., "decision": "approve"}` is a whole reply.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from motet.messages.base import Message, Name, Timestamp, Token, Value, now

__all__ = ["ApprovalRecord", "Decision", "Default", "Question", "Reply"]

Decision = Literal["approve", "edit", "reject", "respond"]
"""`approve` and `edit` are for approvals, `respond` is for answers, `reject` is for both."""

_DECISIONS = {"approval": {"approve", "edit", "reject"}, "answer": {"respond", "reject"}}


class Default(Value):
    """What holds when nobody has replied in time."""

    decision: Decision = "reject"
    value: Any = None
    """As in a reply."""


class Question(Value):
    """Something that a person decides or knows."""

    kind: Literal["approval", "answer"]
    """Whether something may be done, or what somebody must say."""
    prompt: str = Field(min_length=1, max_length=4000)
    """For the person: what is asked, in a sentence."""
    name: Name = "question"
    """Tells the questions of one call apart."""
    value: Any = None
    """What an approval is for, as JSON, such as the input of a skill; a reply may edit it."""
    value_schema: dict[str, Any] = Field(default_factory=dict)
    """JSON Schema of an edited value, or of an answer; empty takes any."""
    options: tuple[str, ...] = Field(default=(), max_length=100)
    """The answers to choose from; empty leaves the answer free."""
    timeout_s: float | None = Field(default=None, gt=0, le=30 * 24 * 3600)
    """Seconds after which the default holds; None waits for as long as the task may."""
    default: Default = Default()
    """What holds then."""

    @model_validator(mode="after")
    def _default_fits(self) -> Self:
        if not self.allows(self.default.decision):
            raise ValueError(f"a question of kind {self.kind!r} takes no default {self.default!r}")
        return self

    def allows(self, decision: Decision) -> bool:
        """Whether a reply may decide so."""
        return decision in _DECISIONS[self.kind]


class Reply(Message):
    """What a person said to a question."""

    task: Token
    question: Token
    """The question's id."""
    decision: Decision
    value: Any = None
    """With `edit` the value to go on with, with `respond` the answer."""
    by: str = Field(default="", max_length=200)
    """Who said it."""
    reason: str = Field(default="", max_length=4000)
    """Why."""
    at: Timestamp | None = None
    """When; None takes the moment at which the reply was stored."""


class ApprovalRecord(Message):
    """A question and its reply, in the bucket `approvals`."""

    id: Token
    """The question's id, unique within its task."""
    task: Token
    call: Token
    """The call that asks; `task` for the task itself."""
    skill: str
    """`agent.skill` of that call."""
    question: Question
    asked_at: Timestamp = Field(default_factory=now)
    expires_at: Timestamp | None = None
    """When the default holds."""
    reply: Reply | None = None
    """None while the question is open."""

    @property
    def key(self) -> str:
        """Where it is kept, and how people name it: `<task>.<id>`."""
        return f"{self.task}.{self.id}"
