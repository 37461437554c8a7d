"""Small: plans and answers of a model that is asked one thing at a time.

Passages come first: the goal itself is searched for, and the model answers from whole passages.
Only where there is a doubt about its answer (see `doubts`), a skill that the goal calls for works
it out, or the model judges once more whether the passages give what is asked, and words another
search. It never computes itself: it points at figures, and a tool computes.

All requests of a task begin alike (instructions, passages, goal) and differ only in their last
lines, so a server that caches prefixes reads the passages once: there a small model's time goes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from motet.errors import FaultError
from motet.messages import FaultType
from motet.text.fencing import fence
from motet.text.numbers import quantities
from motet.text.words import coverage
from motet_planner.arguments import check_input, described, query_field, search_input
from motet_planner.catalogue import Skill, transcriber_of
from motet_planner.evidence import heading_of
from motet_planner.plan.doubts import doubt_of
from motet_planner.plan.steps import as_steps
from motet_planner.plan.view import marked, results_of, shown_evidence, shown_results
from motet_planner.run import Run
from motet_planner.state import Draft, Outcome, PlanState, StepData

__all__ = ["Small"]

_ROUTE_TOKENS = 32
_JUDGE_TOKENS = 100
_ABSENT_TOKENS = 80
_QUERY_TOKENS = 80
_INPUT_TOKENS = 400
_MOST_FIGURES = 16
_TRIES = 2
_STEPS = 2
"""Steps from which on nothing else is looked up: reading it takes longer than it is worth."""
_JUDGED, _JUDGED_CHARACTERS = 2, 1200
"""Passages, and characters of them, that an answer is held against."""
_RESULTS = "Say all that the results of the tools say."
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
_JUDGEMENT = {
    "type": "object",
    "properties": {
        "asked": {"type": "string", "maxLength": 100},
        "told": {"type": "string", "maxLength": 100},
        "same": {"type": "string", "enum": ["yes", "no"]},
    },
    "required": ["asked", "told", "same"],
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
        catalogue, evidence = run.catalogue, run.catalogue.evidence
        if (draft := state.get("draft")) is not None:
            proposed = draft.get("next", ())
            return as_steps(proposed, catalogue, revision=revision, earlier=state["steps"])
        if not catalogue or (state["passages"] and not state.get("spoken")):
            return []  # There is nobody to ask, or the task's own documents are here, whole.
        what = " ".join(part for part in (state["goal"], state.get("spoken", "")) if part)
        skill = await self._route(what, run)
        first = skill if evidence is None else evidence.name
        steps = as_steps([{"skill": first, "what": what}], catalogue, revision=revision)
        if skill != first:
            steps[0]["proposed"] = skill
        return steps

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
                "fill", _usual(skill), state, run, _INPUT_TOKENS, skill=described(skill)
            )
        check_input(request, skill)
        return request

    def unfinished(self, state: PlanState, run: Run) -> str | None:
        """Nothing: whether something is missing shows in the answer."""
        del state, run

    async def answer(self, state: PlanState, run: Run) -> Draft:
        """The model's answer in plain text, and the next step where there is a doubt about it.

        What a path between named things states is an answer by itself.
        """
        if connection := _connection(state, run):
            await run.call.stream(connection)
            return Draft(text=connection, answered=True, quotes=[], open=[])
        draft = await self._draft(state, run)
        doubt = doubt_of(draft["text"], state)
        if doubt is None:
            return draft
        last = state["revision"] > run.settings.max_revisions
        tool = None if last else _proposed(state)
        if tool is not None and (doubt != "words" or run.catalogue[tool].connects):
            return _with_tool(draft, tool, state)
        judged = doubt != "nothing" and not results_of(state)
        if results_of(state) or (judged and await self._judged(draft["text"], state, run)):
            return draft
        if tool is not None:
            return _with_tool(draft, tool, state)
        return await self._without(draft, state, run, last=last)

    async def _draft(self, state: PlanState, run: Run) -> Draft:
        """The answer to what there is; the one before where nothing new came."""
        if (before := state.get("draft")) is not None and not _is_new(state):
            text = before["text"]
        else:
            limit = run.settings.answer_tokens * (_REPORT if run.report else 1)
            text = await self._said("reply", state, run, limit)
        return Draft(text=text, answered=True, quotes=[], open=[])

    async def _without(self, draft: Draft, state: PlanState, run: Run, *, last: bool) -> Draft:
        """Another search, or that the passages do not give it."""
        if not last and run.catalogue.evidence is not None and len(state["steps"]) < _STEPS:
            query = (await self._asked("look", _LOOK, state, run, _QUERY_TOKENS))["query"]
            step = {"skill": run.catalogue.evidence.name, "what": query}
            if not _is_done(step, state):
                return {**draft, "open": [query], "next": [step]}
        text = await self._said("absent", state, run, _ABSENT_TOKENS)
        return Draft(text=text, answered=False, quotes=[], open=[])

    async def _said(self, task: str, state: PlanState, run: Run, limit: int) -> str:
        run.call.check()
        told = _RESULTS if results_of(state) else ""
        messages = self._messages(task, state, run, form=f"{told} {run.form}".strip())
        text = await run.model.text(messages, max_tokens=limit, heard=run.call.stream)
        return text.strip()

    async def _route(self, goal: str, run: Run) -> str:
        """The skill that a goal calls for, told by the examples on the cards."""
        catalogue = run.catalogue
        evidence = catalogue.evidence
        heard = transcriber_of(run.call.cards())  # recordings are taken in beforehand
        names = [name for name in catalogue if name != heard]
        schema = {
            "type": "object",
            "properties": {"skill": {"type": "string", "enum": names}},
            "required": ["skill"],
            "additionalProperties": False,
        }
        search = next(iter(catalogue)) if evidence is None else evidence.name
        *shared, asked = run.prompt("route", skills=catalogue.shown(), search=search, goal=goal)
        cards = [(catalogue[name], catalogue[name].card.examples[:1]) for name in names]
        examples = [
            turn
            for skill, first in cards
            for example in first
            for turn in (
                ("user", f"Goal: {example.goal}"),
                ("assistant", json.dumps({"skill": skill.name})),
            )
        ]
        run.call.check()
        reply = await run.model.structured(
            [*shared, *examples, asked], schema, name="route", max_tokens=_ROUTE_TOKENS
        )
        return cast("str", reply["skill"])

    async def _judged(self, answer: str, state: PlanState, run: Run) -> bool:
        """Whether the passages that are nearest to an answer give what is asked.

        Naming what is asked and what is told before it decides makes a small model say `yes` to the
        wrong property half as often.
        """
        said = f"{state['goal']} {answer}"
        texts = [f"({heading_of(each)}) {each['text']}" for each in state["passages"].values()]
        nearest = sorted(texts, key=lambda text: -coverage(said, text))[:_JUDGED]
        reply = await run.ask(
            "judge",
            _JUDGEMENT,
            max_tokens=_JUDGE_TOKENS,
            question=state["goal"],
            text=fence("\n".join(nearest)[:_JUDGED_CHARACTERS], label="text"),
            answer=answer,
        )
        return reply["same"] == "yes"

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
                if values and (values[0] in given or figure["value"] in told):
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


def _outcome(step: StepData, state: PlanState) -> Outcome:
    return state["outcomes"].get(step["id"], {})


def _with_tool(draft: Draft, tool: str, state: PlanState) -> Draft:
    return {**draft, "open": [tool], "next": [{"skill": tool, "what": state["goal"]}]}


def _connection(state: PlanState, run: Run) -> str:
    """What a path states, in the documents' words and with marks; empty where no skill gave one."""
    marks = {passage["id"]: mark for mark, passage in marked(state, run).items()}
    for outcome in state["outcomes"].values():
        output: Any = outcome.get("output")
        paths: list[dict[str, Any]] = output.get("paths", []) if isinstance(output, dict) else []
        told: list[str] = []
        for each in paths[0]["statements"] if paths else []:
            said = " ".join(str(each[part]) for part in ("subject", "predicate", "object"))
            cited = "".join(f"[{marks[key]}]" for key in each["passages"] if key in marks)
            told.append(f"{said} {cited}.")
        if told:
            return " ".join(told)
    return ""


def _proposed(state: PlanState) -> str | None:
    """The skill that the goal alone seems to call for, unless it was used."""
    used = {step["skill"] for step in state["steps"]}
    named = (step.get("proposed") for step in state["steps"])
    return next((each for each in named if each is not None and each not in used), None)


def _usual(skill: Skill) -> dict[str, Any]:
    """The skill's schema with the fields that are required or that its examples have.

    A small model fills in whatever field it is shown; a card without examples leaves it all.
    """
    schema = skill.schema
    shown = {name for example in skill.card.examples for name in example.input}
    kept = shown | set(schema.get("required", ()))
    if not shown:
        return schema
    fields = {name: each for name, each in schema["properties"].items() if name in kept}
    return {**schema, "properties": fields}


def _is_new(state: PlanState) -> bool:
    """Whether the last plan has brought anything."""
    latest = (step for step in state["steps"] if step["revision"] == state["revision"])
    return any(_outcome(step, state).get("status") == "done" for step in latest)


def _is_done(step: Mapping[str, str], state: PlanState) -> bool:
    asked = {(each["skill"], each["what"].casefold()) for each in state["steps"]}
    return (step["skill"], step["what"].casefold()) in asked
