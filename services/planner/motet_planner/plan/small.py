"""Small: plans and answers of a model that is asked one thing at a time.

Passages come first: the goal itself is searched for, and the model decides whether the passages give
the answer, whether a skill has to work it out, or whether something else must be looked up. It never
computes itself: it points at figures, and a tool computes.

All requests of a task begin alike (instructions, passages, goal) and differ only in their last lines,
so a server that caches prefixes reads the passages once. That is where a small model's time goes.
"""

from __future__ import annotations

from typing import Any, cast

from motet.errors import FaultError
from motet.messages import FaultType
from motet.text.numbers import quantities
from motet_planner.arguments import check_input, described, query_field, search_input
from motet_planner.catalogue import Skill
from motet_planner.plan.steps import step_id
from motet_planner.plan.view import shown_evidence, shown_results
from motet_planner.run import Run
from motet_planner.state import Draft, PlanState, StepData

__all__ = ["Small"]

_STATED, _MISSING = "stated", "missing"
_DECIDE_TOKENS = 24
_QUERY_TOKENS = 80
_INPUT_TOKENS = 400
_MOST_FIGURES = 16
_TRIES = 2
_REPORT = 4
"""A report may be so many times as long as a short answer."""

_FIGURES: dict[str, Any] = {
    "type": "object",
    "properties": {
        "figures": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,40}$"},
                    "value": {"type": "string", "minLength": 1, "maxLength": 40},
                },
                "required": ["name", "value"],
                "additionalProperties": False,
            },
            "maxItems": _MOST_FIGURES,
        },
        "formula": {"type": "string", "minLength": 1, "maxLength": 300},
    },
    "required": ["figures", "formula"],
    "additionalProperties": False,
}
_LOOK = {
    "type": "object",
    "properties": {"query": {"type": "string", "minLength": 1, "maxLength": 200}},
    "required": ["query"],
    "additionalProperties": False,
}


class Small:
    """See `PlanProfile`."""

    async def plan(self, state: PlanState, run: Run, revision: int) -> list[StepData]:
        """A search for the goal first; then what the model decides when it has seen passages."""
        catalogue = run.catalogue
        evidence = catalogue.evidence
        if revision == 1 and evidence is not None:
            return [_step(evidence, state["goal"], revision)]
        skills = [name for name, each in catalogue.items() if query_field(each) is None]
        choices = [_STATED, *([_MISSING] if evidence is not None else []), *skills]
        if len(choices) == 1:
            return []
        schema = {
            "type": "object",
            "properties": {"how": {"type": "string", "enum": choices}},
            "required": ["how"],
            "additionalProperties": False,
        }
        how = (await self._asked("decide", schema, state, run, _DECIDE_TOKENS))["how"]
        if how == _STATED:
            return []
        if how != _MISSING:
            return [_step(catalogue[how], state["goal"], revision)]
        query = (await self._asked("look", _LOOK, state, run, _QUERY_TOKENS))["query"]
        asked = {step["what"].casefold() for step in state["steps"]}
        if evidence is None or query.casefold() in asked:
            return []
        return [_step(evidence, query, revision)]

    async def input_of(
        self, step: StepData, skill: Skill, state: PlanState, run: Run
    ) -> dict[str, Any]:
        """The step's words for a search, figures and a formula for a computation, else its fields."""
        if query_field(skill) is not None:
            return search_input(skill, step["what"], step, run.settings.passages)
        if skill.computes:
            request = await self._computation(state, run)
        else:
            request = await self._asked(
                "fill", skill.schema, state, run, _INPUT_TOKENS, skill=described(skill)
            )
        check_input(request, skill)
        return request

    def unfinished(self, state: PlanState, run: Run) -> str | None:
        """Passages that nobody has looked at, as long as there may be another plan."""
        if state["revision"] > run.settings.max_revisions:
            return None
        latest = [step for step in state["steps"] if step["revision"] == state["revision"]]
        searched = any(
            "answer" not in state["outcomes"].get(step["id"], {}) for step in latest
        )
        return "passages were found" if searched else None

    async def answer(self, state: PlanState, run: Run) -> Draft:
        """The model's answer, in plain text."""
        messages = self._messages("reply", state, run, form=run.form)
        run.call.check()
        limit = run.settings.answer_tokens * (_REPORT if run.report else 1)
        text = await run.model.text(messages, max_tokens=limit, heard=run.call.stream)
        return Draft(text=text.strip(), answered=True, quotes=[], open=[])

    async def _computation(self, state: PlanState, run: Run) -> dict[str, Any]:
        """An expression over figures that stand in the passages, the results or the goal.

        Raises:
            FaultError: `model_output_invalid` when the model points at none.
        """
        told = " ".join(
            [
                state["goal"],
                state.get("context", ""),
                shown_results(state),
                *(each["text"] for each in state["passages"].values()),
            ]
        )
        given = {each.value for each in quantities(told)}
        problem, wrong = "", list[str]()
        for _ in range(_TRIES):
            reply = await self._asked(
                "figures", _FIGURES, state, run, _INPUT_TOKENS, problem=problem
            )
            variables: dict[str, str] = {}
            wrong = []
            for figure in cast("list[dict[str, str]]", reply["figures"]):
                values = [each.value for each in quantities(figure["value"])]
                if len(values) == 1 and values[0] in given:
                    variables[figure["name"]] = format(values[0], "f")
                else:
                    wrong.append(figure["value"])
            if not wrong:
                return {"expression": reply["formula"], "variables": variables}
            problem = f"\nNot in the passages: {', '.join(wrong)}."
        raise FaultError.of(
            FaultType.MODEL_OUTPUT_INVALID,
            f"The model pointed at figures that no passage has: {', '.join(wrong)}.",
        )

    async def _asked(
        self,
        task: str,
        schema: dict[str, Any],
        state: PlanState,
        run: Run,
        max_tokens: int,
        **values: str,
    ) -> dict[str, Any]:
        run.call.check()
        return await run.model.structured(
            self._messages(task, state, run, **values), schema, name=task, max_tokens=max_tokens
        )

    def _messages(
        self, task: str, state: PlanState, run: Run, **values: str
    ) -> list[tuple[str, str]]:
        """A request about the passages: its beginning is the same whatever the task is."""
        (_, wanted) = run.prompt(task, **values)[-1]
        parts = [
            shown_evidence(state, run),
            state.get("context", ""),
            f"Question: {state['goal']}",
            shown_results(state),
            wanted,
        ]
        shared = run.prompt("passages", skills=run.catalogue.shown())
        return [*shared, ("user", "\n\n".join(part for part in parts if part))]


def _step(skill: Skill, what: str, revision: int) -> StepData:
    id_ = step_id(revision, 1)
    return StepData(id=id_, skill=skill.name, what=what, needs=[], revision=revision)
