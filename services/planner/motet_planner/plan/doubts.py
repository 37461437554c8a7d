"""Doubts: signs that an answer is not what the evidence says, found without a model.

A doubt decides nothing. It only has a small model look once more at its own answer, which takes a
second; an answer without a doubt is spared that.
"""

from __future__ import annotations

from typing import Literal

from motet.text.numbers import quantities
from motet.text.support import Degree, support_of
from motet.text.words import coverage, terms
from motet_planner.evidence import heading_of
from motet_planner.plan.view import asked, results_of
from motet_planner.state import PlanState

__all__ = ["Doubt", "doubt_of"]

Doubt = Literal["figure", "nothing", "words"]
"""`figure`: the answer has a number that is nowhere. `nothing`: it says no more than the question
does, and no passage says it. `words`: no passage says it for sure, or the one that does has little
of the question."""

_LITTLE = 0.5
"""Share of the question's terms under which a passage may speak of something else."""


def doubt_of(answer: str, state: PlanState) -> Doubt | None:
    """The doubt about an answer; None where a passage or a result says it."""
    goal = asked(state)
    results = " ".join(each["answer"] for each in results_of(state).values())
    known = f"{goal} {state.get('context', '')} {results}"
    passages = [f"{heading_of(each)}\n{each['text']}" for each in state["passages"].values()]
    there = {each.value for text in (known, *passages) for each in quantities(text)}
    if any(
        each.value not in there and any(map(str.isdigit, each.literal))
        for each in quantities(answer)
    ):
        return "figure"
    if results:
        return None
    saying = [
        text for text in passages if support_of(answer, text, known=known).degree == Degree.FULL
    ]
    question = state.get("spoken") or goal  # what is spoken is the question more often than not
    if any(coverage(question, text) >= _LITTLE for text in saying):
        return None
    return "words" if terms(answer) - terms(goal) else "nothing"
