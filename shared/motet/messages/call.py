"""Calls: work that one agent delegates to another, and its outcome.

The body of a call is the skill's own input type; who calls, for which task, until when and with
what budget rides in headers. The outcome is a `CallResult`, written once to the ledger.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from motet.messages.base import Message, Timestamp, Token, now
from motet.messages.blob import BlobRef
from motet.messages.budget import Usage
from motet.messages.fault import Fault

__all__ = ["CallClaim", "CallResult", "CallSuspended", "DeadLetter"]


class CallResult(Message):
    """The one outcome of a call."""

    kind: Literal["result"] = "result"
    task: Token
    call: Token
    agent: str
    skill: str
    ok: bool
    output: Any = None
    """The skill's output as JSON, when `ok` and small enough to travel."""
    blob: BlobRef | None = None
    """The output in the object store, when it is large."""
    fault: Fault | None = None
    """Why there is no output."""
    usage: Usage = Usage()
    """What the call and everything below it spent."""
    attempts: int = Field(default=1, ge=0)
    """Deliveries that it took; 0 when it was never handled."""
    resumed: int = Field(default=0, ge=0)
    """The resumption of its task in which it ended (its place in the stream TASKS); 0 when that
    was before the first."""
    started_at: Timestamp = Field(default_factory=now)
    """When the last attempt began."""
    finished_at: Timestamp = Field(default_factory=now)
    late: bool = False
    """Whether it came after its caller had given up at the deadline: kept, and not applied."""

    @model_validator(mode="after")
    def _fault_or_output(self) -> Self:
        if self.ok == (self.fault is not None):
            raise ValueError("a result has a fault exactly when it is not ok")
        return self


class CallClaim(Message):
    """Who is at work on a call that takes long; replaced by its `CallResult`."""

    kind: Literal["claim"] = "claim"
    task: Token
    call: Token
    sequence: int
    """The stream sequence of the message that is being handled: any other message with this
    call's id is a duplicate."""
    attempt: int
    instance: str
    """The process that is at work."""


class CallSuspended(Message):
    """A call that has no outcome before a person has replied; replaced by its `CallResult`.

    Nobody is at work on it. Its caller is suspended in turn, and issues it again later.
    """

    kind: Literal["suspended"] = "suspended"
    task: Token
    call: Token
    questions: tuple[Token, ...]
    """What it, and everything below it, waits for."""
    resumed: int = Field(default=0, ge=0)
    """The resumption of its task in which it was suspended, as in a `CallResult`."""
    usage: Usage = Usage()
    """What was spent, here and below, before it was suspended."""
    traceparent: str | None = None
    """The attempt that was suspended."""


class DeadLetter(Message):
    """What could not be done, and why, ready to be replayed."""

    subject: str
    """Where the message was published."""
    stream: str
    sequence: int
    """Its place in that stream."""
    body: str
    """The message's bytes, Base64."""
    body_blob: BlobRef | None = None
    """The bytes in the object store, when they are too many; `body` is then empty."""
    headers: dict[str, str] = Field(default_factory=dict)
    fault: Fault
    attempts: int
    task: str | None = None
    call: str | None = None
    at: Timestamp = Field(default_factory=now)
