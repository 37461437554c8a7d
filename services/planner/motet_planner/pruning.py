"""Pruning: steps that a small model adds to a plan although nothing is gained by them.

They are told by their words alone, so a sound plan of a strong model passes unchanged:

- a tool's step that asks for nothing but what the searches that it needs already find;
- a search for a part of what another search finds, when nothing else needs that part;
- a search for the whole, when a chain of searches leads there step by step.
"""

from __future__ import annotations

from collections.abc import Sequence

from motet_planner.catalogue import Catalogue
from motet_planner.cues import asks_to_compute
from motet_planner.state import StepData
from motet_planner.words import coverage, terms

__all__ = ["without_needless"]

_SAME = 0.75
"""Share of a tool step's words that its searches have, from which it adds nothing."""


def without_needless(steps: Sequence[StepData], catalogue: Catalogue) -> list[StepData]:
    """The steps that add something, with their needs; at least one of them."""
    searches = {step["id"] for step in steps if catalogue[step["skill"]].gives_passages}
    kept = [step for step in steps if not _adds_nothing(step, steps, searches)]
    _loosen(kept, searches)
    for step in list(kept):
        if step["id"] in searches and _is_covered(step, kept, searches):
            kept.remove(step)
    return kept


def _needed(steps: Sequence[StepData]) -> set[str]:
    return {need for step in steps for need in step["needs"]}


def _adds_nothing(step: StepData, steps: Sequence[StepData], searches: set[str]) -> bool:
    """Whether a tool's step only repeats the one search that it needs."""
    if step["id"] in searches or len(step["needs"]) != 1 or step["id"] in _needed(steps):
        return False
    if asks_to_compute(step["what"]):
        return False
    found = " ".join(
        each["what"] for each in steps if each["id"] in step["needs"] and each["id"] in searches
    )
    return bool(found) and coverage(step["what"], found) >= _SAME


def _loosen(steps: Sequence[StepData], searches: set[str]) -> None:
    """Takes a need from a search whose words have all of the needed search's: it stands alone."""
    by_id = {step["id"]: step for step in steps}
    for step in steps:
        if step["id"] in searches:
            step["needs"] = [
                need
                for need in step["needs"]
                if not (need in searches and terms(by_id[need]["what"]) <= terms(step["what"]))
            ]


def _is_covered(step: StepData, steps: Sequence[StepData], searches: set[str]) -> bool:
    """Whether a search that nobody needs is a part of another one, or the whole of a chain."""
    needed = _needed(steps)
    if step["id"] in needed:
        return False
    mine = terms(step["what"])
    for other in steps:
        if other is step or other["id"] not in searches:
            continue
        theirs = terms(other["what"])
        if mine <= theirs and not step["needs"]:
            return True
        if theirs <= mine and other["id"] in needed and other["id"] not in step["needs"]:
            return any(other["id"] in each["needs"] and each["id"] in searches for each in steps)
    return False
