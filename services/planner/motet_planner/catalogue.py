"""Catalogue: the skills of the living agents, as a planner sees them.

What a skill is good for is read from its card only, so that an agent nobody has heard of is used
as well as Motet's own: a skill whose output has `passages` gives evidence, one whose input has
`expression` and `variables` computes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from motet.messages import AgentCard, SkillCard

__all__ = ["Catalogue", "Skill", "catalogue_of", "transcriber_of"]

ADVANCED = "x-motet-advanced"
"""Marks a property of an input that a user may set and a planner is not shown."""

_DEFINITION = "#/$defs/"
_SHOWN = 160
"""Characters of a description that a planner is shown: the first sentence, as a rule."""


@dataclass(frozen=True)
class Skill:
    """One skill that a plan may use."""

    name: str
    """`agent.skill`."""
    card: SkillCard

    @property
    def tool_name(self) -> str:
        """Its name as models that call tools take it."""
        return self.name.replace(".", "__")[:64]

    @property
    def gives_passages(self) -> bool:
        """Whether its output is evidence that is to be read."""
        given = self.card.output_schema.get("properties", {})
        return "passages" in given and "paths" not in given

    @property
    def connects(self) -> bool:
        """Whether its output tells paths between named things, with passages that state them."""
        return {"passages", "paths"} <= set(self.card.output_schema.get("properties", {}))

    @property
    def computes(self) -> bool:
        """Whether it takes an expression over named values."""
        return {"expression", "variables"} <= set(self.card.input_schema.get("properties", {}))

    @property
    def strategies(self) -> tuple[str, ...]:
        """The ways to search that its input lets one choose from, for a skill that searches."""
        field = self.card.input_schema.get("properties", {}).get("strategy", {})
        if not self.gives_passages:
            return ()
        kinds = [field, *field.get("anyOf", ())]
        return tuple(str(each) for kind in kinds for each in kind.get("enum", ()))

    @property
    def summary(self) -> str:
        """The first sentence of its description."""
        first = re.split(r"(?<=[.!?])\s", self.card.description.strip(), maxsplit=1)[0]
        return first if len(first) <= _SHOWN else first[: _SHOWN - 1].rsplit(" ", 1)[0] + "…"

    @property
    def schema(self) -> dict[str, Any]:
        """Its input's JSON Schema without what is not a planner's to choose.

        That is the version, and what the card marks as for users only; a definition that nothing
        refers to any more is left out too.
        """
        schema = dict(self.card.input_schema)
        required = set(schema.get("required", ()))
        schema["properties"] = {
            name: field
            for name, field in schema.get("properties", {}).items()
            if name in required or not (name == "v" or field.get(ADVANCED))
        }
        schema["additionalProperties"] = False
        if "$defs" in schema:
            kept = _referred(schema)
            schema["$defs"] = {name: each for name, each in schema["$defs"].items() if name in kept}
            if not kept:
                del schema["$defs"]
        return schema


def _referred(schema: Mapping[str, Any]) -> set[str]:
    """Names of the definitions that a schema refers to, also through each other."""
    definitions = schema["$defs"]
    waiting: list[Any] = [{key: part for key, part in schema.items() if key != "$defs"}]
    found: set[str] = set()
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += part
        elif isinstance(part, Mapping):
            waiting += part.values()
            name = str(part.get("$ref", "")).removeprefix(_DEFINITION)
            if name in definitions and name not in found:
                found.add(name)
                waiting.append(definitions[name])
    return found


class Catalogue(Mapping[str, Skill]):
    """Skills by full name, in alphabetical order."""

    def __init__(self, skills: Iterable[Skill]) -> None:
        self._skills = {skill.name: skill for skill in sorted(skills, key=lambda each: each.name)}

    def __getitem__(self, name: str) -> Skill:
        return self._skills[name]

    def __iter__(self) -> Any:
        return iter(self._skills)

    def __len__(self) -> int:
        return len(self._skills)

    def find(self, name: str) -> Skill | None:
        """The skill of that name; the second half of a name is enough where it fits only one."""
        name = name.strip()
        if name in self._skills:
            return self._skills[name]
        fitting = [skill for skill in self.values() if skill.card.name == name.rpartition(".")[2]]
        return fitting[0] if len(fitting) == 1 else None

    @property
    def evidence(self) -> Skill | None:
        """The first skill that gives passages for a query."""
        return next((skill for skill in self.values() if skill.gives_passages), None)

    def shown(self) -> str:
        """The list that a model reads."""
        return "\n".join(f"- {skill.name}: {skill.summary}" for skill in self.values())


def transcriber_of(cards: Iterable[AgentCard]) -> str | None:
    """The first skill that takes a recording and gives its text, planned with or not."""
    return next(
        (
            f"{card.name}.{skill.name}"
            for card in cards
            for skill in card.skills
            if "audio" in skill.input_schema.get("required", [])
            and "text" in skill.output_schema.get("properties", {})
        ),
        None,
    )


def catalogue_of(cards: Iterable[AgentCard], *, own: str) -> Catalogue:
    """The plannable skills of agents other than `own`."""
    return Catalogue(
        Skill(f"{card.name}.{skill.name}", skill)
        for card in cards
        if card.name != own
        for skill in card.skills
        if skill.plannable
    )
