"""Concluding: how far the goal is answered, and the answer as the task gives it.

A goal is answered in full when every step of the latest plan found something. When one did not, it
is only if the passages that were found state the answer all the same: by their words, by the kind
of thing they give, and by the model's judgement. In doubt it is not: an answer that says what was
not found is worth more than a wrong one.
"""

from __future__ import annotations

from typing import Any

from motet.errors import FaultError
from motet.messages import Answer, Fault
from motet_planner.citing import check_citations
from motet_planner.composing import findings_of
from motet_planner.kinds import kind_of
from motet_planner.reading import judge
from motet_planner.run import Run
from motet_planner.state import PlanState, Standing, StepData
from motet_planner.words import coverage

__all__ = ["answer_of", "is_enough", "raise_if_failed", "standing_of"]

_MUCH = 0.5
"""Share of the goal's words that passages must have to answer it although a step found nothing."""


async def is_enough(state: PlanState, run: Run) -> bool:
    """Whether the passages that were found answer the goal without the steps that did not work."""
    findings = findings_of(state["steps"], state["outcomes"], state["passages"])
    quoted = [each.quote for each in findings if each.quote is not None]
    if not quoted:
        return False
    goal = state["goal"]
    text = " ".join(quote["shown"] for quote in quoted)
    titles = " ".join(state["passages"][quote["passage"]]["title"] for quote in quoted)
    kind = kind_of(goal)
    if kind is not None and not kind.is_in(text):
        return False
    if coverage(goal, f"{titles} {text}") < _MUCH:
        return False
    return await judge(goal, text, "; ".join(each.says for each in findings), run)


async def standing_of(state: PlanState, run: Run) -> Standing:
    """How far what was found answers the goal."""
    if not _results(state):
        return "none"
    if not _unmet(state) or await is_enough(state, run):
        return "full"
    # What only a reworded plan found is beside the point: the goal's own parts were not found.
    first = [step for step in state["steps"] if step["revision"] == 1]
    return "partial" if any(_found(state, step) for step in first) else "none"


async def answer_of(state: PlanState, run: Run) -> Answer:
    """The answer, with citations that were checked."""
    draft = state.get("draft", "")
    understood = {"goal": state["goal"]} if state.get("inputs") else {}
    if not state["steps"]:
        return Answer(text=draft, data={"grounded": False, **understood})
    unmet = [] if state.get("standing") == "full" else _unmet(state)
    looked = "; ".join(dict.fromkeys(step["what"] for step in unmet))
    data: dict[str, Any] = {
        "steps": _results(state),
        "missing": [each["what"] for each in unmet],
        **understood,
    }
    if not draft:
        text = f"The documents do not give an answer to this. Nothing was found for: {looked}."
        return Answer(text=text, answered=False, data=data)
    passages = state["passages"]
    findings = findings_of(state["steps"], state["outcomes"], passages)
    checked = await check_citations(draft, state["goal"], findings, passages, run)
    text = checked.text
    if unmet:
        text = f"This can be answered only in part. {text} Nothing was found for: {looked}."
    if checked.problems:
        data["corrections"] = list(checked.problems)
    return Answer(text=text, answered=not unmet, citations=checked.citations, data=data)


def raise_if_failed(state: PlanState) -> None:
    """Ends a task for which nothing was found because skills failed.

    Raises:
        FaultError: The last step's fault, with it as the cause.
    """
    if any(outcome.get("status") == "missing" for outcome in state["outcomes"].values()):
        return
    faults = [
        Fault.model_validate(outcome["fault"])
        for outcome in state["outcomes"].values()
        if "fault" in outcome
    ]
    if faults:
        last = faults[-1]
        raise FaultError.of(
            last.type,
            f"No step of the plan could be carried out; the last to fail said: {last.message}",
            retryable=last.retryable,
            cause=last,
            revisions=state["revision"],
        )


def _found(state: PlanState, step: StepData) -> bool:
    return state["outcomes"].get(step["id"], {}).get("status") == "found"


def _unmet(state: PlanState) -> list[StepData]:
    """Steps of the latest plan that came to nothing."""
    latest = max(step["revision"] for step in state["steps"])
    steps = [step for step in state["steps"] if step["revision"] == latest]
    return [step for step in steps if not _found(state, step)]


def _results(state: PlanState) -> dict[str, Any]:
    """What steps gave, for programs."""
    return {
        step["id"]: {
            "skill": step["skill"],
            "what": step["what"],
            "answer": outcome.get("answer", ""),
            **({"output": outcome["output"]} if "output" in outcome else {}),
        }
        for step in state["steps"]
        if (outcome := state["outcomes"].get(step["id"], {})).get("status") == "found"
    }
