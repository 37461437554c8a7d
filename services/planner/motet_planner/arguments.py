"""Arguments: the input of a step, once the results that it needs are there.

A search takes the step's own words as its query, with the results that it needs put into them.
Any other input is filled in by the model, held to the skill's schema.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from motet.errors import FaultError
from motet.json_schema import problems
from motet.messages import FaultType
from motet.text.fencing import fence
from motet_planner.catalogue import Skill
from motet_planner.run import Run
from motet_planner.state import StepData

__all__ = ["Known", "arguments_of", "check_input", "described", "query_field", "search_input"]

Known = Sequence[tuple[str, str]]
"""Pairs of what was looked for and what was found."""

_QUERY_FIELDS = ("query", "question", "q", "text", "search")
_QUERY = {
    "type": "object",
    "properties": {"query": {"type": "string", "minLength": 1, "maxLength": 1000}},
    "required": ["query"],
    "additionalProperties": False,
}
_SHORT_TOKENS = 200


async def arguments_of(
    step: StepData, skill: Skill, goal: str, known: Known, run: Run, *, limit: int
) -> dict[str, Any]:
    """The input of a step.

    Args:
        step: The step.
        skill: Its skill.
        goal: The task's goal.
        known: What the steps that it needs gave.
        run: The attempt.
        limit: Passages that a search is asked for.

    Raises:
        FaultError: `model_output_invalid` when no input comes about that fits the skill's schema.
    """
    if query_field(skill) is not None:
        query = step["what"]
        if known:
            reply = await run.ask(
                "query",
                _QUERY,
                max_tokens=_SHORT_TOKENS,
                what=query,
                goal=goal,
                known=_shown(known),
            )
            query = cast("str", reply["query"])
        return search_input(skill, query, step, limit)
    request = await run.ask(
        "arguments",
        skill.schema,
        max_tokens=run.settings.message_tokens,
        skill=described(skill),
        known=_shown(known),
        goal=goal,
        what=step["what"],
    )
    check_input(request, skill)
    return request


def search_input(skill: Skill, query: str, step: StepData, limit: int) -> dict[str, Any]:
    """The input of a search for passages."""
    field = query_field(skill)
    if field is None:
        raise ValueError(f"{skill.name} is no search")
    most = skill.schema["properties"][field].get("maxLength", len(query))
    request: dict[str, Any] = {field: query[:most]}
    if "limit" in skill.schema["properties"]:
        request["limit"] = limit
    if (strategy := step.get("strategy")) in skill.strategies:
        request["strategy"] = strategy
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


def query_field(skill: Skill) -> str | None:
    """The one field that takes free text, of a skill that gives passages and needs nothing else."""
    required = skill.card.input_schema.get("required", [])
    properties = skill.schema["properties"]
    if len(required) == 1 and required[0] in _QUERY_FIELDS and skill.gives_passages:
        field: str = required[0]
        return field if properties[field].get("type") == "string" else None
    return None


def described(skill: Skill) -> str:
    """A skill with its fields, as a model reads it."""
    required = set(skill.card.input_schema.get("required", []))
    fields = "\n".join(
        f"- {name} ({_kind(field)}{'' if name in required else ', may be left out'})"
        f"{': ' + field['description'] if 'description' in field else ''}"
        for name, field in skill.schema["properties"].items()
    )
    examples = "".join(
        f"\nExample: {example.goal} {json.dumps(example.input, ensure_ascii=False)}"
        for example in skill.card.examples[:2]
    )
    return f"{skill.name}: {skill.card.description}\n{fields}{examples}"


def _kind(field: Mapping[str, Any]) -> str:
    if "enum" in field:
        return " or ".join(str(value) for value in field["enum"])
    kinds = [str(each.get("type")) for each in field.get("anyOf", ()) if each.get("type") != "null"]
    kind = str(field.get("type") or " or ".join(kinds) or "any")
    return {"string": "text"}.get(kind, kind)


def _shown(known: Known) -> str:
    told = "\n\n".join(f"{asked}:\n{found}" for asked, found in known)
    return fence(told, label="known") if told else "Nothing is known yet."
