"""Skills as tools, where a mesh would only blur it: names, schemas, steps."""

from __future__ import annotations

import re
from typing import Any

from motet.adapters.skills import NAME_LENGTH, skill_tools
from motet.messages import AgentCard, SkillCard


class Client:
    """A client that knows agents."""

    def __init__(self, *names: str, schema: dict[str, Any] | None = None) -> None:
        self._names = names
        self._schema = schema or {"type": "object", "properties": {}}

    async def agents(self) -> list[AgentCard]:
        return [
            AgentCard(
                name=name.partition(".")[0],
                description="An agent.",
                version="1",
                instance="1",
                skills=(
                    SkillCard(
                        name=name.partition(".")[2],
                        description="A skill.",
                        input_schema=self._schema,
                        output_schema={},
                    ),
                ),
            )
            for name in self._names
        ]


async def names_of(*skills: str) -> dict[str, str]:
    client: Any = Client(*skills)
    return {tool.skill: tool.name for tool in await skill_tools(client, None, None)}


async def test_a_tool_is_named_by_its_skill() -> None:
    assert await names_of("weather.now") == {"weather.now": "weather__now"}


async def test_names_are_never_too_long_and_never_the_same() -> None:
    long = "a" * 40
    skills = ("a__b.c", "a.b__c", f"{long}.{long}", f"{long}.{long[:-1]}b", "b.c")
    names = await names_of(*skills)
    assert set(names) == set(skills)
    assert len(set(names.values())) == len(skills)
    assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in names.values())
    assert all(len(name) <= NAME_LENGTH for name in names.values())
    # A name says the same skill in every process and at any time.
    assert names["b.c"] == "b__c"
    assert {names[skill] for skill in skills[:4]} == set((await names_of(*skills[:4])).values())


async def test_a_model_sees_nothing_of_the_version_of_a_schema() -> None:
    schema = {
        "properties": {"v": {"const": 1}, "at": {"$ref": "#/$defs/Place"}},
        "required": ["at"],
        "$defs": {"Place": {"type": "string"}},
    }
    client: Any = Client("weather.now", schema=schema)
    (tool,) = await skill_tools(client, None, None)
    assert tool.schema == {
        "type": "object",
        "properties": {"at": {"$ref": "#/$defs/Place"}},
        "required": ["at"],
        "$defs": {"Place": {"type": "string"}},
    }
