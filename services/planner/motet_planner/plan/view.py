"""View: a plan's state as models and answers read it."""

from __future__ import annotations

import json
from typing import Any

from motet.text.fencing import fence
from motet_planner.evidence import PassageData, mark_of, shown_passages
from motet_planner.run import Run
from motet_planner.state import PlanState, StepData

__all__ = ["asked", "known_of", "marked", "results_of", "shown_evidence", "shown_results"]


def asked(state: PlanState) -> str:
    """The goal, with what is said in the task's recordings: often the question itself."""
    return " ".join(part for part in (state["goal"], state.get("spoken", "")) if part)


def marked(state: PlanState, run: Run) -> dict[str, PassageData]:
    """The passages by the marks that the profile's model cites: numbers for a small one."""
    passages = list(state["passages"].values())
    if run.capability.profile == "small":
        return {str(number): each for number, each in enumerate(passages, 1)}
    return {mark_of(each["id"]): each for each in passages}


def shown_evidence(state: PlanState, run: Run) -> str:
    """The passages that there are, in the order in which they came; empty where there are none.

    Each search's passages have a fence of their own, so that what was shown before stays letter by
    letter the same when more is found: a server that caches prefixes reads only what is new.
    """
    marks = {passage["id"]: mark for mark, passage in marked(state, run).items()}
    found = [state["outcomes"].get(step["id"], {}).get("passages", []) for step in state["steps"]]
    searched = {key for batch in found for key in batch}
    given = [key for key in state["passages"] if key not in searched]
    shown: set[str] = set()
    fences: list[str] = []
    for batch in (given, *found):
        new = [key for key in dict.fromkeys(batch) if key in marks and key not in shown]
        shown.update(new)
        if new:
            fences.append(shown_passages((marks[key], state["passages"][key]) for key in new))
    return "\n".join(fences)


def results_of(state: PlanState) -> dict[str, dict[str, Any]]:
    """What the steps gave that are no searches, for programs and for the model, by step id."""
    return {
        step["id"]: {
            "skill": step["skill"],
            "what": step["what"],
            "answer": outcome["answer"],
            "output": outcome.get("output"),
        }
        for step in state["steps"]
        if (outcome := state["outcomes"].get(step["id"], {})).get("status") == "done"
        and "answer" in outcome
    }


def shown_results(state: PlanState) -> str:
    """The same as a model reads it; empty where there are none."""
    lines = [
        f"{each['skill']} ({each['what']}): {_input(state, key)}{each['answer']}"
        for key, each in results_of(state).items()
    ]
    return fence("\n".join(lines), label="results") if lines else ""


def _input(state: PlanState, step: str) -> str:
    """What a step was given, before its result: a model that reads `1250` must know of what."""
    given = state["outcomes"][step].get("input")
    return f"{json.dumps(given, ensure_ascii=False)} gave " if given else ""


def known_of(step: StepData, state: PlanState) -> list[tuple[str, str]]:
    """What the steps that `step` needs gave: pairs of what was asked and what was found."""
    known: list[tuple[str, str]] = []
    for each in state["steps"]:
        outcome = state["outcomes"].get(each["id"], {})
        if each["id"] not in step["needs"] or outcome.get("status") != "done":
            continue
        texts = [state["passages"][key]["text"] for key in outcome.get("passages", ())]
        known.append((each["what"], "\n\n".join([*filter(None, [outcome.get("answer")]), *texts])))
    return known
