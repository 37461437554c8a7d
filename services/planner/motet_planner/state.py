"""State: what the strategy `plan` knows of a task, as it is kept in checkpoints.

Only plain JSON values, so that a checkpoint written by one version of the service is readable by
another, and nothing is pickled.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from motet_planner.evidence import PassageData

__all__ = ["Change", "Draft", "Outcome", "PlanState", "StepData", "StepStatus"]

StepStatus = Literal["prepared", "done", "failed", "skipped"]
"""`prepared` has its input, `done` its output; `skipped` needs a step that failed."""


class StepData(TypedDict):
    """One step of a plan."""

    id: str
    """`s1`, `s2`, … in the first plan, `r2s1`, … in the second: never reused, because the ledger
    returns the outcome of a step that it knows."""
    skill: str
    """`agent.skill`."""
    what: str
    """What the step finds out or does, understandable by itself."""
    needs: list[str]
    """Ids of steps whose results it takes."""
    revision: int
    input: NotRequired[dict[str, Any]]
    """The skill's input where it was planned; left out where the results of other steps decide."""
    strategy: NotRequired[str]
    """How a search looks; left out where whoever searches decides."""
    proposed: NotRequired[str]
    """Of the first search: the skill that computes, where the goal seems to call for it."""


class Outcome(TypedDict, total=False):
    """The result of a step."""

    status: StepStatus
    input: dict[str, Any]
    output: Any
    """The skill's output; left out when it is passages."""
    passages: list[str]
    """Ids of the passages that it gave."""
    answer: str
    """The output in few words; empty for passages."""
    fault: dict[str, Any]
    reason: str
    """Why it failed or was skipped, as a phrase."""


class Draft(TypedDict):
    """An answer as the model gave it."""

    text: str
    answered: bool
    quotes: list[tuple[str, str]]
    """Pairs of a passage's mark and the words that the model says it found there."""
    open: list[str]
    """What is still to be found, in the model's words."""
    next: NotRequired[list[dict[str, Any]]]
    """Steps that the model would take next: `skill`, `what`, and `input` where it is known; left
    out where a plan decides."""


def _merge(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    return {**old, **new}


class PlanState(TypedDict):
    """The state of the graph."""

    v: Literal[2]
    """Version of this type. What began under another is not gone on with."""
    goal: str
    context: NotRequired[str]
    """What the task brings along, for the model to read: the conversation, inputs, transcripts."""
    spoken: NotRequired[str]
    """What is said in the task's recordings."""
    revision: int
    """How many plans were made."""
    steps: list[StepData]
    """All steps of all revisions."""
    outcomes: Annotated[dict[str, Outcome], _merge]
    """By step id."""
    passages: Annotated[dict[str, PassageData], _merge]
    """By passage id."""
    reason: NotRequired[str | None]
    """Why a new plan is wanted; None when none is."""
    draft: NotRequired[Draft]
    answer: NotRequired[dict[str, Any]]
    """The `motet.messages.Answer`."""


class Change(TypedDict, total=False):
    """What a node changes of the state."""

    context: str
    revision: int
    steps: list[StepData]
    outcomes: dict[str, Outcome]
    passages: dict[str, PassageData]
    reason: str | None
    draft: Draft
    answer: dict[str, Any]
