"""Small: plans and answers of a model that is asked one thing at a time.

Passages come first: the goal itself is searched for, and the model answers from whole passages.
Only where there is a doubt about its answer (see `doubts`) it looks once more, and says whether a
skill has to work the answer out or something else must be looked up. It never computes itself: it
points at figures, and a tool computes.

All requests of a task begin alike (instructions, passages, goal) and differ only in their last
lines, so a server that caches prefixes reads the passages once: there a small model's time goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from motet.errors import FaultError
from motet.messages import FaultType
from motet.text.numbers import quantities
from motet_planner.arguments import check_input, described, query_field, search_input
from motet_planner.catalogue import Skill
from motet_planner.plan.doubts import Doubt, doubt_of
from motet_planner.plan.steps import as_steps
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
        """A search for the goal first, then what the last answer called for."""
        catalogue = run.catalogue
        if (draft := state.get("draft")) is not None:
            return as_steps(
                draft.get("next", ()), catalogue, revision=revision, earlier=state["steps"]
            )
        given = bool(state["passages"]) and not state.get("spoken")
        if (evidence := catalogue.evidence) is not None:
            if given:
                return []  # The task's own documents are here, whole.
            what = " ".join(part for part in (state["goal"], state.get("spoken", "")) if part)
            first = {"skill": evidence.name, "what": what}
        elif catalogue:
            first = await self._next(state, run, "", list(catalogue))
        else:
            return []
        return as_steps([first], catalogue, revision=revision)

    async def input_of(
        self, step: StepData, skill: Skill, state: PlanState, run: Run
    ) -> dict[str, Any]:
        """The step's words for a search, figures and a formula for a computation, else fields."""
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
        """Nothing: whether something is missing shows in the answer."""
        del state, run

    async def answer(self, state: PlanState, run: Run) -> Draft:
        """The model's answer in plain text, and the next step where there is a doubt about it."""
        run.call.check()
        if (before := state.get("draft")) is not None and not _is_new(state):
            return Draft(text=before["text"], answered=before["answered"], quotes=[], open=[])
        limit = run.settings.answer_tokens * (_REPORT if run.report else 1)
        text = await run.model.text(
            self._messages("reply", state, run, form=run.form),
            max_tokens=limit,
            heard=run.call.stream,
        )
        draft = Draft(text=text.strip(), answered=True, quotes=[], open=[])
        doubt = doubt_of(draft["text"], state)
        if doubt is None:
            return draft
        choices = self._choices(state, run, doubt)
        step = await self._next(state, run, draft["text"], choices)
        if step["skill"] == _MISSING:
            draft["answered"] = False
            if state["revision"] > run.settings.max_revisions or run.catalogue.evidence is None:
                return draft
            query = (await self._asked("look", _LOOK, state, run, _QUERY_TOKENS))["query"]
            step = {"skill": run.catalogue.evidence.name, "what": query}
        if step["skill"] != _STATED and not _is_done(step, state):
            draft["open"] = [step["what"]]
            draft["next"] = [step]
        return draft

    def _choices(self, state: PlanState, run: Run, doubt: Doubt) -> list[str]:
        """What may come of an answer: a figure that is nowhere cannot be stated."""
        skills = [name for name, each in run.catalogue.items() if query_field(each) is None]
        used = {step["skill"] for step in state["steps"]}
        unused = [name for name in skills if name not in used]
        computes = any(run.catalogue[name].computes for name in unused)
        stated = [] if doubt == "figure" and computes else [_STATED]
        return [*stated, _MISSING, *unused]

    async def _next(
        self, state: PlanState, run: Run, draft: str, choices: list[str]
    ) -> dict[str, str]:
        schema = {
            "type": "object",
            "properties": {"how": {"type": "string", "enum": choices}},
            "required": ["how"],
            "additionalProperties": False,
        }
        reply = await self._asked("decide", schema, state, run, _DECIDE_TOKENS, draft=draft)
        return {"skill": reply["how"], "what": state["goal"]}

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
        question = f"Question: {state['goal']}"
        parts = [
            question,
            state.get("context", ""),
            shown_evidence(state, run),
            shown_results(state),
            question,
            wanted,
        ]
        shared = run.prompt("passages", skills=run.catalogue.shown())
        return [*shared, ("user", "\n\n".join(part for part in parts if part))]


def _is_new(state: PlanState) -> bool:
    """Whether the last plan has brought anything."""
    latest = (step["id"] for step in state["steps"] if step["revision"] == state["revision"])
    return any(state["outcomes"].get(each, {}).get("status") == "done" for each in latest)


def _is_done(step: Mapping[str, str], state: PlanState) -> bool:
    asked = {(each["skill"], each["what"].casefold()) for each in state["steps"]}
    return (step["skill"], step["what"].casefold()) in asked
