"""Small: plans and answers of a model that is asked one thing at a time.

Passages come first: the goal itself is searched for, and the model answers from whole passages.
Where the answer has to be worked out, it writes the arithmetic over figures of the passages, and a
tool computes (see `script`). Only where there is a doubt about its answer (see `doubts`), another
skill that the goal calls for is used, or the model has to quote what it stands on; where it cannot,
it words another search.

All requests of a task begin alike (instructions, passages, goal) and differ only in their last
lines, so a server that caches prefixes reads the passages once: there a small model's time goes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

from motet.text.numbers import values
from motet_planner.arguments import check_input, described, query_field, search_input
from motet_planner.catalogue import Catalogue, Skill, transcriber_of
from motet_planner.citing import literal
from motet_planner.plan.doubts import Doubt, doubt_of
from motet_planner.plan.script import Computation, computation_of
from motet_planner.plan.steps import as_steps
from motet_planner.plan.view import asked, marked, results_of, shown_evidence, shown_results
from motet_planner.run import Run
from motet_planner.state import Draft, Outcome, PlanState, StepData

__all__ = ["Small"]

_KIND_TOKENS = 16
_ROUTE_TOKENS = 32
_SCRIPT_TOKENS = 220
_SCRIPT_ENDS = ("print(",)
_QUOTE_TOKENS = 100
_ABSENT_TOKENS = 80
_QUERY_TOKENS = 80
_INPUT_TOKENS = 400
_STEPS = 2
"""Steps from which on nothing else is looked up: reading it takes longer than it is worth."""
_WIDER = 2
"""Passages more that a search is asked for in other words, or for figures to compute with."""
_RESULTS = "Say all that the results of the tools say."
_REPORT = 4
"""A report may be so many times as long as a short answer."""

_WORKED_OUT = "worked out"
_KIND = {
    "type": "object",
    "properties": {"answer": {"type": "string", "enum": ["stated", _WORKED_OUT]}},
    "required": ["answer"],
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
        what = asked(state)
        first = await self._route(what, run) if evidence is None else evidence.name
        steps = as_steps([{"skill": first, "what": what}], catalogue, revision=revision)
        if evidence is not None and (computing := await self._computing(what, run)):
            steps[0]["proposed"] = computing
        return steps

    async def input_of(
        self, step: StepData, skill: Skill, state: PlanState, run: Run
    ) -> dict[str, Any]:
        """The step's words for a search, what the draft was worked out by, else fields."""
        if query_field(skill) is not None:
            more = _WIDER if step["revision"] > 1 or "proposed" in step else 0
            return search_input(skill, step["what"], step, run.settings.passages + more)
        request = _drafted(step, state) or await self._asked(
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
        last = state["revision"] > run.settings.max_revisions
        if not last and (step := await self._worked_out(state, run)) is not None:
            return Draft(text="", answered=True, quotes=[], open=[step["skill"]], next=[step])
        draft = await self._draft(state, run)
        doubt = doubt_of(draft["text"], state)
        if doubt is None or results_of(state):
            return draft
        return await self._doubted(draft, doubt, state, run, last=last)

    async def _doubted(
        self, draft: Draft, doubt: Doubt, state: PlanState, run: Run, *, last: bool
    ) -> Draft:
        """Keeps a draft that the model can quote for; else proposes a step, or denies it."""
        again = state.get("draft", {}).get("text")
        tool = None if last or again else await self._tool(state, run)
        if tool is not None and run.catalogue[tool].connects:
            return _with_tool(draft, tool, state)
        if doubt != "nothing" and (quote := await self._quoted(draft["text"], state, run)):
            return {**draft, "quotes": [quote]}
        if tool is not None:
            return _with_tool(draft, tool, state)
        return await self._without(draft, state, run, last=last)

    async def _computing(self, what: str, run: Run) -> str | None:
        """The skill that computes, where the answer is not stated but follows from figures."""
        skill = next((each for each in run.catalogue.values() if each.computes), None)
        if skill is None:
            return None
        reply = await run.ask("worked_out", _KIND, max_tokens=_KIND_TOKENS, goal=what)
        return skill.name if reply["answer"] == _WORKED_OUT else None

    async def _worked_out(self, state: PlanState, run: Run) -> dict[str, Any] | None:
        """A step that computes, where the passages have the figures for it."""
        seen = state.get("draft") is not None and not _is_new(state)
        if seen or results_of(state) or not state["passages"]:
            return None
        steps = state["steps"]
        skill = steps[0].get("proposed") if steps else await self._computing(asked(state), run)
        if skill is None or run.catalogue.find(skill) is None:
            return None
        script = await run.model.text(
            self._messages("script", state, run), max_tokens=_SCRIPT_TOKENS, stop=_SCRIPT_ENDS
        )
        computation = computation_of(script)
        if computation is None or not computation.rests_on(_given(state)):
            return None
        return {"skill": skill, "what": asked(state), "input": computation.request}

    async def _draft(self, state: PlanState, run: Run) -> Draft:
        """The answer to what there is; the one before where nothing new came."""
        before = state.get("draft")
        if before is not None and before["text"] and not _is_new(state):
            text = before["text"]
        else:
            limit = run.settings.answer_tokens * (_REPORT if run.report else 1)
            text = await self._said("reply", state, run, limit)
        return Draft(text=_with_result(text, state), answered=True, quotes=[], open=[])

    async def _tool(self, state: PlanState, run: Run) -> str | None:
        """A skill that neither searches nor computes and that the goal calls for, if any."""
        used = {step["skill"] for step in state["steps"]}
        evidence = run.catalogue.evidence
        if all(skill.computes or skill == evidence for skill in _simple(run.catalogue).values()):
            return None
        name = await self._route(asked(state), run)
        skill = run.catalogue[name]
        return None if name in used or skill.computes or skill == evidence else name

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
        names = [name for name in _simple(catalogue) if name != heard]
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

    async def _quoted(self, answer: str, state: PlanState, run: Run) -> tuple[str, str] | None:
        """The words that an answer stands on, with their passage's mark; None where none says it.

        Asked to copy them, a small model finds nothing for most of what it made up; asked whether a
        passage says it, it says `yes` to nearly all.
        """
        run.call.check()
        messages = self._messages("quote", state, run, answer=answer)
        words = (await run.model.text(messages, max_tokens=_QUOTE_TOKENS)).strip().strip('"')
        for mark, passage in marked(state, run).items():
            if found := literal(words, passage["text"]):
                return mark, found
        return None

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
        shared = run.prompt("passages")
        return [*shared, ("user", "\n\n".join(part for part in parts if part))]


def _outcome(step: StepData, state: PlanState) -> Outcome:
    return state["outcomes"].get(step["id"], {})


def _with_tool(draft: Draft, tool: str, state: PlanState) -> Draft:
    return {**draft, "open": [tool], "next": [{"skill": tool, "what": asked(state)}]}


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


def _drafted(step: StepData, state: PlanState) -> dict[str, Any] | None:
    """The input that the draft has for a step; None where it is still to be filled in."""
    draft = state.get("draft")
    proposed = () if draft is None else draft.get("next", ())
    return next((each.get("input") for each in proposed if each["skill"] == step["skill"]), None)


def _simple(catalogue: Catalogue) -> Catalogue:
    """The skills that a small model can fill in: what they require are single values."""
    return Catalogue(skill for skill in catalogue.values() if skill.computes or _is_flat(skill))


def _is_flat(skill: Skill) -> bool:
    properties = skill.schema["properties"]
    required = (properties.get(name, {}) for name in skill.schema.get("required", ()))
    return not any(each.get("type") in ("array", "object") or "$ref" in each for each in required)


def _given(state: PlanState) -> set[Decimal]:
    """The numbers of the passages, the conversation and the goal."""
    passages = (each["text"] for each in state["passages"].values())
    return values("\n".join([asked(state), state.get("context", ""), *passages]))


def _with_result(text: str, state: PlanState) -> str:
    """The answer, or the computation as it stands where the answer does not say its result."""
    for key, result in results_of(state).items():
        request = state["outcomes"][key].get("input", {})
        if "expression" not in request:
            continue
        computation = Computation.of(request)
        if not computation.is_told(result["answer"], text):
            return f"{computation.working} = {result['answer']}"
    return text


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
    """Whether the last plan's steps gave a result, or a passage that no earlier step gave."""
    before = [step for step in state["steps"] if step["revision"] < state["revision"]]
    known = {key for step in before for key in _outcome(step, state).get("passages", ())}
    latest = (_outcome(step, state) for step in state["steps"] if step not in before)
    return any(
        "answer" in each or not known.issuperset(each.get("passages", ()))
        for each in latest
        if each.get("status") == "done"
    )


def _is_done(step: Mapping[str, str], state: PlanState) -> bool:
    asked = {(each["skill"], each["what"].casefold()) for each in state["steps"]}
    return (step["skill"], step["what"].casefold()) in asked
