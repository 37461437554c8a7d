"""State: what the planner knows of a task, as it is kept in checkpoints.

Only plain JSON values, so that a checkpoint written by one version of the service is readable by
another, and nothing is pickled.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

__all__ = ["Change", "Outcome", "PassageData", "PlanState", "Quote", "Standing", "StepData"]

Standing = Literal["full", "partial", "none"]
"""How far what was found answers a goal."""


class PassageData(TypedDict):
    """A passage as a skill gave it; see `motet.messages.Passage`."""

    id: str
    source: str
    title: str
    text: str
    section: NotRequired[list[str]]
    start: NotRequired[int]
    end: NotRequired[int]
    start_s: NotRequired[float | None]
    end_s: NotRequired[float | None]


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
    strategy: NotRequired[str]
    """How a search looks; left out where whoever searches decides."""


class Quote(TypedDict):
    """Words of a passage on which a finding stands."""

    passage: str
    """The passage's id."""
    text: str
    """Literally in the passage."""
    shown: str
    """The same as a model reads it, a table row with the names of its columns."""


class Outcome(TypedDict, total=False):
    """What became of a step."""

    status: Literal["prepared", "ran", "found", "missing", "failed", "skipped"]
    """`prepared` has its input, `ran` its output, `found` also what the output says for the step;
    `missing` means that the output does not say it."""
    input: dict[str, Any]
    output: Any
    """The skill's output; left out when it is passages."""
    passages: list[str]
    """Ids of the passages that it gave."""
    answer: str
    """What was found, in few words."""
    quotes: list[Quote]
    shown: list[str]
    """Lines that were read in vain, so that they are not read again for the same thing."""
    fault: dict[str, Any]
    reason: str
    """Why it is missing, failed or skipped, as a phrase."""


def _merge(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    return {**old, **new}


class PlanState(TypedDict):
    """The state of the graph."""

    goal: str
    """With what the task's recordings say, once they were heard."""
    inputs: NotRequired[list[dict[str, Any]]]
    """The task's files, as `motet.messages.BlobRef`."""
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
    standing: NotRequired[Standing]
    """How far what was found answers the goal, once that is decided."""
    draft: NotRequired[str]
    """The answer's text before its citations are checked."""
    answer: NotRequired[dict[str, Any]]
    """The `motet.messages.Answer`."""


class Change(TypedDict, total=False):
    """What a node changes of the state."""

    goal: str
    revision: int
    steps: list[StepData]
    outcomes: dict[str, Outcome]
    passages: dict[str, PassageData]
    reason: str | None
    standing: Standing
    draft: str
    answer: dict[str, Any]
