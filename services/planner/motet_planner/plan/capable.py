"""Capable: plans and answers of a model that can be left to itself.

The model plans all steps at once, sees all passages and results, and answers in a typed form with
quotes. Nothing that it says is changed; what it leaves open leads to another plan.
"""

from __future__ import annotations

from typing import Any

from motet_planner.arguments import arguments_of
from motet_planner.catalogue import Skill
from motet_planner.evidence import mark_of
from motet_planner.partial import field_of
from motet_planner.plan.steps import as_steps, plan_schema
from motet_planner.plan.view import known_of, shown_evidence, shown_results
from motet_planner.retrieval import offered, shown
from motet_planner.run import Run
from motet_planner.state import Draft, Outcome, PlanState, StepData

__all__ = ["Capable"]

_SHORT = 300


class Capable:
    """See `PlanProfile`."""

    async def plan(self, state: PlanState, run: Run, revision: int) -> list[StepData]:
        """All steps that the model proposes."""
        catalogue, earlier = run.catalogue, state["steps"]
        if not catalogue:
            return []
        proposal = await run.ask(
            "plan",
            plan_schema(catalogue, run.settings.max_steps, len(earlier), offered(catalogue)),
            max_tokens=run.settings.message_tokens,
            skills=catalogue.shown() + shown(catalogue),
            goal=_with_context(state),
            steps=_told(state),
        )
        return as_steps(proposal["steps"], catalogue, revision=revision, earlier=earlier)

    async def input_of(
        self, step: StepData, skill: Skill, state: PlanState, run: Run
    ) -> dict[str, Any]:
        """What the model fills in, once it has seen the results that the step needs."""
        known = known_of(step, state)
        limit = run.settings.passages_capable
        return await arguments_of(step, skill, _with_context(state), known, run, limit=limit)

    def unfinished(self, state: PlanState, run: Run) -> str | None:
        """Steps of the latest plan that failed."""
        latest = [step for step in state["steps"] if step["revision"] == state["revision"]]
        failed = [
            f"{step['what']}: {outcome.get('reason', '')}"
            for step in latest
            if (outcome := state["outcomes"].get(step["id"], {})).get("status") == "failed"
        ]
        if not failed or state["revision"] > run.settings.max_revisions:
            return None
        return "; ".join(failed)[:500]

    async def answer(self, state: PlanState, run: Run) -> Draft:
        """The model's answer, with the quotes that it rests on."""
        marks = [mark_of(key) for key in state["passages"]]
        reply = await run.ask(
            "answer",
            _answer_schema(marks),
            max_tokens=run.settings.message_tokens,
            streamed=field_of("answer"),
            goal=_with_context(state),
            evidence=shown_evidence(state, run) or "(no passages)",
            results=shown_results(state) or "(no results)",
            form=run.form,
        )
        return Draft(
            text=reply["answer"],
            answered=reply["status"] != "unanswered",
            quotes=[(each["passage"], each["text"]) for each in reply["quotes"]],
            open=[] if reply["status"] == "answered" else reply["open"],
        )


def _with_context(state: PlanState) -> str:
    context = state.get("context", "")
    return f"{context}\n\n{state['goal']}" if context else state["goal"]


def _told(state: PlanState) -> str:
    """The steps of earlier plans, and what became of each."""
    lines = [
        f"{number}. {_status(step, state['outcomes'].get(step['id'], {}), state)}"
        for number, step in enumerate(state["steps"], start=1)
    ]
    if reason := state.get("reason"):
        lines.append(f"Still open: {reason}")
    return "".join(f"\n{line}" for line in lines)


def _status(step: StepData, outcome: Outcome, state: PlanState) -> str:
    match outcome.get("status"):
        case "done" if "answer" in outcome:
            return f"done: {step['what']} = {outcome['answer'][:_SHORT]}"
        case "done":
            titles = dict.fromkeys(
                state["passages"][key]["title"] for key in outcome.get("passages", ())
            )
            return f"searched: {step['what']}; passages of {', '.join(titles) or 'no document'}"
        case "failed":
            return f"{step['skill']} failed ({outcome.get('reason', '')}): {step['what']}"
        case _:
            return f"not done: {step['what']}"


def _answer_schema(marks: list[str]) -> dict[str, Any]:
    quote: dict[str, Any] = {
        "type": "object",
        "properties": {
            "passage": {"type": "string", "enum": marks or [""]},
            "text": {"type": "string", "minLength": 1, "maxLength": 2000},
        },
        "required": ["passage", "text"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {
            "answer": {"type": "string", "minLength": 1},
            "quotes": {"type": "array", "items": quote, "maxItems": 100},
            "status": {"type": "string", "enum": ["answered", "partly", "unanswered"]},
            "open": {
                "type": "array",
                "items": {"type": "string", "minLength": 1, "maxLength": 300},
                "maxItems": 8,
            },
        },
        "required": ["answer", "quotes", "status", "open"],
        "additionalProperties": False,
    }
