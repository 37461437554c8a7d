"""Events: everything that happens in a task, in order.

Published on `motet.event.<task>.<kind>`; the stream sequence is the cursor from which a reader
goes on. `Event` is the discriminated union of all kinds.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from motet.messages.approval import Decision, Question
from motet.messages.base import Message, Timestamp, Token, Value, now
from motet.messages.budget import Usage
from motet.messages.evaluation import Evaluation
from motet.messages.fault import Fault
from motet.messages.task import Answer, TaskState

__all__ = [
    "EVENT",
    "CallFinished",
    "CallRetried",
    "CallStarted",
    "Event",
    "PersonAsked",
    "PersonReplied",
    "PlanMade",
    "PlannedStep",
    "Progress",
    "StateChanged",
    "Streamed",
    "TaskScored",
]


class _Event(Message):
    task: Token
    at: Timestamp = Field(default_factory=now)


class StateChanged(_Event):
    """The task entered a state."""

    kind: Literal["state"] = "state"
    state: TaskState
    answer: Answer | None = None
    fault: Fault | None = None
    usage: Usage = Usage()


class PlannedStep(Value):
    """One step of a plan."""

    id: Token
    skill: str
    """`agent.skill`."""
    purpose: str
    """What the step is for, in a phrase."""
    needs: tuple[str, ...] = ()
    """Steps whose results it takes."""
    strategy: str | None = None
    """How a search looks for passages; None leaves it to whoever searches."""


class PlanMade(_Event):
    """The planner decided, or decided anew, what to do."""

    kind: Literal["plan"] = "plan"
    revision: int = Field(default=1, ge=1)
    """1 for the first plan."""
    steps: tuple[PlannedStep, ...]
    reason: str | None = None
    """Why the plan was made anew."""


class CallStarted(_Event):
    """A call was handed over."""

    kind: Literal["call_started"] = "call_started"
    call: Token
    parent: Token | None = None
    """The call that delegated it; None for the task itself."""
    caller: str
    """The delegating agent."""
    skill: str
    """`agent.skill`."""
    step: str
    """The caller's own name for it."""


class CallRetried(_Event):
    """An attempt failed and another will follow."""

    kind: Literal["call_retried"] = "call_retried"
    call: Token
    skill: str
    attempt: int
    """The attempt that failed, from 1."""
    delay_s: float
    """Seconds until the next."""
    fault: Fault


class CallFinished(_Event):
    """A call has its outcome."""

    kind: Literal["call_finished"] = "call_finished"
    call: Token
    skill: str
    ok: bool
    fault: Fault | None = None
    duration_s: float = Field(ge=0)
    """Seconds from hand-over to outcome, as the caller saw it."""
    usage: Usage = Usage()


class Progress(_Event):
    """Something that a handler wants known while it works."""

    kind: Literal["progress"] = "progress"
    call: Token
    skill: str
    message: str
    """For people."""
    data: dict[str, Any] = Field(default_factory=dict)
    """For programs."""


class Streamed(_Event):
    """A piece of a text that a handler gives away while it is being written, such as a model's.

    It is for whoever watches: what counts is the call's outcome. The pieces of one attempt, put
    together by `offset`, are the text so far; those of an attempt after which another one comes do
    not belong to it.
    """

    kind: Literal["streamed"] = "streamed"
    call: Token
    skill: str
    attempt: int = Field(default=1, ge=1)
    """The attempt at the call, from 1."""
    offset: int = Field(ge=0)
    """Characters of the attempt's text before this piece."""
    text: str


class PersonAsked(_Event):
    """A call needs a person's word before it goes on."""

    kind: Literal["asked"] = "asked"
    call: Token
    skill: str
    id: Token
    """The question's id, for the reply."""
    question: Question
    expires_at: Timestamp | None = None
    """When the question's default holds."""


class PersonReplied(_Event):
    """A question has its reply."""

    kind: Literal["replied"] = "replied"
    id: Token
    """The question's id."""
    decision: Decision
    by: str
    reason: str = ""


class TaskScored(_Event):
    """The task has ended, and was evaluated since."""

    kind: Literal["scored"] = "scored"
    evaluation: Evaluation


Event = Annotated[
    StateChanged
    | PlanMade
    | CallStarted
    | CallRetried
    | CallFinished
    | Progress
    | Streamed
    | PersonAsked
    | PersonReplied
    | TaskScored,
    Field(discriminator="kind"),
]

EVENT: TypeAdapter[Event] = TypeAdapter(Event)
"""Reads any event."""
