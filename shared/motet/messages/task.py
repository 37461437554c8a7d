"""Tasks: what people submit, and what becomes of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from motet.messages.base import Message, Timestamp, Token, Value, now
from motet.messages.blob import BlobRef
from motet.messages.budget import Budget, Usage
from motet.messages.evaluation import Evaluation
from motet.messages.fault import Fault
from motet.messages.principal import Label, Principal
from motet.messages.retrieval import Strategy

__all__ = [
    "MAX_INPUTS",
    "TERMINAL_STATES",
    "Answer",
    "CancelRequest",
    "Citation",
    "Priority",
    "Task",
    "TaskReady",
    "TaskRecord",
    "TaskState",
]


Priority = Literal["interactive", "normal", "batch"]

MAX_INPUTS = 64
"""Files that a task may come with."""

LANGUAGE_TAG = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$"
"""The form of a BCP 47 tag (RFC 5646), but for those that are private or grandfathered."""


class TaskState(StrEnum):
    """Where a task is in its life. The last four are terminal and never change."""

    SUBMITTED = "submitted"
    PLANNING = "planning"
    RUNNING = "running"
    WAITING = "waiting"
    EVALUATING = "evaluating"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def terminal(self) -> bool:
        """Whether nothing can change any more."""
        return self in TERMINAL_STATES


TERMINAL_STATES = frozenset(
    {TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED, TaskState.EXPIRED}
)


class Task(Message):
    """Something that somebody wants done. `{"goal": "..."}` is a whole task."""

    id: Token | None = None
    """Chosen by the submitter, which makes submitting idempotent; None lets the mesh choose
    `task-<sequence of the submission in the stream TASKS>`."""
    goal: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)]
    """What is wanted, in plain words."""
    inputs: tuple[BlobRef, ...] = Field(default=(), max_length=MAX_INPUTS)
    """Files of any kind that belong to the task. Documents among them are searchable for it alone,
    until it has ended. MOTET_TASK_INPUT_BYTES limits how large they are together."""
    session: Token | None = None
    """The conversation that it goes on with, or begins: a name that the submitter chooses. It
    belongs to the principal that began it."""
    answer_schema: dict[str, Any] | None = None
    """A JSON Schema (draft 2020-12) of an object, which the answer's `data` fulfils. It refers to
    nothing outside of itself, and has at most 64 KiB as JSON."""
    language: Annotated[str, StringConstraints(pattern=LANGUAGE_TAG, max_length=35)] | None = None
    """The language of the answer, as a BCP 47 tag such as `de` or `pt-BR`; None is that of the
    goal."""
    length: Literal["short", "report"] | None = None
    """How long the answer is: `short` is some sentences, `report` has sections; None leaves it to
    the planner."""
    strategy: Literal["auto", "plan", "react", "deep"] = "auto"
    """How to go about it: `plan` makes a plan and carries it out, `react` lets a model that calls
    tools decide from step to step, `deep` has it do long work with sub-agents and files; `auto`
    chooses by the goal and by what the model can do."""
    retrieval: Strategy | None = None
    """How each of its searches looks for passages; None lets the planner choose."""
    priority: Priority = "normal"
    """Which tasks are taken up first. A share of every planner's places is kept for those that
    are more urgent."""
    tenant: Token = "default"
    """On whose behalf: tenants share the planners' places evenly, however much one submits, and
    none sees another's documents."""
    access: tuple[Label, ...] = Field(default=(), max_length=64)
    """Access labels of whoever submits it: what has labels is seen by who has one of them."""
    deadline_s: float | None = Field(default=None, gt=0, le=30 * 24 * 3600)
    """Seconds from its acceptance after which it expires; None takes the mesh's default."""
    budget: Budget = Budget()
    """Limits; what is None takes the mesh's default."""
    labels: dict[str, str] = Field(default_factory=dict, max_length=32)
    """The submitter's own marks; carried along, never interpreted."""

    @property
    def principal(self) -> Principal:
        """On whose behalf it is done."""
        return Principal(tenant=self.tenant, access=self.access)


class Citation(Value):
    """Where a statement of an answer comes from."""

    number: int = Field(ge=1)
    """The number in the answer's text, as in `[1]`."""
    passage_id: str
    """The passage."""
    source: str
    """Its document."""
    title: str
    """The document's title."""
    quote: str
    """The passage's own words."""
    start: int = Field(default=0, ge=0)
    """Offset of the passage's first character in the document."""
    end: int = Field(default=0, ge=0)
    """Offset after its last character."""
    start_s: float | None = Field(default=None, ge=0)
    """Where the passage begins in a recording, in seconds; None for what was written."""
    end_s: float | None = Field(default=None, ge=0)
    """Where it ends in a recording."""
    supported: bool | None = True
    """Whether a check found the cited statement in the passage: true where it did, false where the
    passage says otherwise or a quote is not in it, null where the check could not tell."""


class Answer(Message):
    """What a task gives."""

    text: str
    """For people; citations are marked `[n]`."""
    answered: bool = True
    """False when the evidence does not hold an answer; `text` then says so."""
    citations: tuple[Citation, ...] = ()
    data: dict[str, Any] = Field(default_factory=dict)
    """For programs: what fulfils the task's `answer_schema`, where it has one; else the results of
    steps, such as a computed value."""


class TaskReady(Message):
    """Says to planners that an accepted task waits to be taken up."""

    task: Token
    sequence: int = Field(ge=1)
    """The place of its submission in the stream TASKS."""


class CancelRequest(Message):
    """Asks that a task and everything it delegated stop."""

    task: Token
    reason: str = Field(default="", max_length=1000)
    """Who asked and why."""


class TaskRecord(Message):
    """A task's state of record, in the bucket `tasks`."""

    id: Token
    task: Task | None
    """None when what was submitted could not be read."""
    state: TaskState
    sequence: int = Field(default=0, ge=0)
    """The place in the stream TASKS of the message that is worked on: the submission, or what the
    task was resumed with last."""
    answer: Answer | None = None
    """Set once succeeded."""
    fault: Fault | None = None
    """Why it failed, expired or was cancelled."""
    usage: Usage = Usage()
    """What the whole task spent."""
    attempts: int = Field(default=0, ge=0)
    """How many times a planner took that message up."""
    waits_for: tuple[Token, ...] = ()
    """Ids of the questions that a task in the state `waiting` waits for."""
    suspended: str | None = None
    """W3C trace context of the attempt that was suspended last."""
    accepted_at: Timestamp = Field(default_factory=now)
    """When the submission was stored."""
    updated_at: Timestamp = Field(default_factory=now)
    deadline: Timestamp | None = None
    """When it expires."""
    traceparent: str | None = None
    """W3C trace context of the task's root span; its trace is the task's trace."""
    evaluation: Evaluation | None = None
    """How good the outcome is; added, once, after the task has ended."""
