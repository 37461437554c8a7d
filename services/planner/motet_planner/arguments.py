"""Arguments: the input of a step, once the results that it needs are there.

A small model sees one step at a time: the skill's fields, the results of the steps that it needs,
and the step. What can be had without a model is: a search takes the step itself as its query.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from motet.errors import FaultError
from motet.json_schema import problems
from motet.messages import FaultType
from motet_planner.arithmetic import expression_of
from motet_planner.catalogue import Skill
from motet_planner.cues import PRONOUN
from motet_planner.run import Run
from motet_planner.state import Outcome, StepData

__all__ = ["Known", "arguments_of", "known_of"]

Known = Sequence[tuple[str, str]]
"""Pairs of what was looked for and what was found."""

_QUERY_FIELDS = ("query", "question", "q", "text", "search")
_ARGUMENT_TOKENS = 200
_NAME_CHARACTERS = 60
"""Longest text that is taken for the name of something."""


def known_of(
    step: StepData, steps: Sequence[StepData], outcomes: Mapping[str, Outcome]
) -> list[tuple[str, str]]:
    """What the steps that `step` needs have found."""
    return [
        (each["what"], outcomes[each["id"]].get("answer", ""))
        for each in steps
        if each["id"] in step["needs"] and outcomes[each["id"]].get("status") == "found"
    ]


async def arguments_of(
    step: StepData, skill: Skill, goal: str, known: Known, run: Run
) -> dict[str, Any]:
    """The input of a step.

    Raises:
        FaultError: `model_output_invalid` when no input comes about that fits the skill's schema.
    """
    if skill.computes:
        return await expression_of(step["what"], goal, known, run)
    if (field := _query_field(skill)) is not None:
        request: dict[str, Any] = {field: await _query(step["what"], known, run)}
        if "limit" in skill.schema["properties"]:
            request["limit"] = run.settings.passages
        if (strategy := step.get("strategy")) in skill.strategies:
            request["strategy"] = strategy
    else:
        request = await run.ask(
            "arguments",
            _limited(skill),
            max_tokens=_ARGUMENT_TOKENS,
            skill=_described(skill),
            known=_shown(known),
            goal=goal,
            what=step["what"],
        )
    check_input(request, skill)
    return request


def check_input(request: Mapping[str, Any], skill: Skill) -> None:
    """Holds an input to the skill's schema.

    Raises:
        FaultError: `model_output_invalid` when it does not fit.
    """
    for place, message in problems(skill.card.input_schema, request):
        where = ".".join(str(part) for part in place) or "the input"
        raise FaultError.of(
            FaultType.MODEL_OUTPUT_INVALID,
            f"The input for {skill.name} does not fit its schema: {where}: {message}.",
        )


def _query_field(skill: Skill) -> str | None:
    """The one field that takes free text, when nothing else is required."""
    required = skill.card.input_schema.get("required", [])
    properties = skill.schema["properties"]
    if len(required) == 1 and required[0] in _QUERY_FIELDS and skill.gives_passages:
        field: str = required[0]
        return field if properties[field].get("type") == "string" else None
    return None


async def _query(what: str, known: Known, run: Run) -> str:
    """The step as a query, with what is known put in the place of words such as `that ship`."""
    if not known or all(found.casefold() in what.casefold() for _, found in known):
        return what
    if (filled := _filled(what, known)) is not None:
        return filled
    schema = {
        "type": "object",
        "properties": {"step": {"type": "string", "minLength": 1, "maxLength": 300}},
        "required": ["step"],
        "additionalProperties": False,
    }
    shown = "; ".join(f"{asked} = {found}" for asked, found in known)
    reply = await run.ask("query", schema, max_tokens=80, known=shown, what=what)
    return cast("str", reply["step"])


def _filled(what: str, known: Known) -> str | None:
    """The step with the ship's name for `that ship` or `its`; None when it is not so plain."""
    for asked, found in known:
        noun = re.match(r"[^\W\d_]+", asked)
        if noun is None or len(found) > _NAME_CHARACTERS:
            return None
        stand_in = re.compile(rf"\bthat {noun[0]}\b|{PRONOUN.pattern}", re.IGNORECASE)
        places = list(stand_in.finditer(what))
        if len(places) != 1:
            return None
        place = places[0]
        of = "'s" if place[0].casefold() in {"its", "their", "his"} else ""
        what = f"{what[: place.start()]}{found}{of}{what[place.end() :]}"
    return what


def _shown(known: Known) -> str:
    return "\n".join(f"Known: {asked} = {found}" for asked, found in known) or "Known: nothing"


def _limited(skill: Skill) -> dict[str, Any]:
    """The schema that a model fills in: no free-form length, nothing beyond the fields."""
    schema = skill.schema
    properties = {
        name: {"maxLength": 400, **field} if field.get("type") == "string" else field
        for name, field in schema["properties"].items()
    }
    return {**schema, "properties": properties}


def _described(skill: Skill) -> str:
    required = set(skill.card.input_schema.get("required", []))
    fields = ", ".join(
        f"{name} ({_kind(field)}{'' if name in required else ', may be left out'})"
        for name, field in skill.schema["properties"].items()
    )
    examples = "".join(
        f"\nExample: {example.goal} {example.input}" for example in skill.card.examples[:2]
    )
    return f"{skill.name}. {skill.card.description} Fields: {fields}{examples}"


def _kind(field: Mapping[str, Any]) -> str:
    if "enum" in field:
        return " or ".join(str(value) for value in field["enum"])
    kinds = [str(each.get("type")) for each in field.get("anyOf", ()) if each.get("type") != "null"]
    kind = str(field.get("type") or " or ".join(kinds) or "any")
    return {"string": "text"}.get(kind, kind)
