"""What a graph's paths say becomes a finding with quotes."""

from __future__ import annotations

from typing import Any

import pytest

from motet.testing import ScriptedModel
from motet_planner.connecting import connection
from tests.unit.planner.scripted import SEARCH, Bench, FakeCall, passage, skill_card, step

LEADS = passage(
    "The Optics Workshop keeps all lenses. It is led by Ana Roth, who came in 2016.",
    id="p1",
    source="a.md",
)
KEEPS = passage(
    "Its upkeep is the task of the Optics Workshop.", id="p2", source="b.md", title="Lyra"
)
PATH = {
    "entities": ["Ana Roth", "Optics Workshop", "Lyra"],
    "statements": [
        {
            "subject": "Optics Workshop",
            "predicate": "is led by",
            "object": "Ana Roth",
            "passages": ["p1"],
        },
        {"subject": "Optics Workshop", "predicate": "upkeep", "object": "Lyra", "passages": ["p2"]},
    ],
}
SCHEMA = {"paths": {}, "passages": {}}


def test_each_statement_is_quoted_from_its_passage() -> None:
    found = connection({"paths": [PATH]}, [LEADS, KEEPS])  # type: ignore[list-item]
    assert found.get("status") == "found"
    assert found.get("answer") == "Optics Workshop is led by Ana Roth; Optics Workshop upkeep Lyra"
    assert [quote["text"] for quote in found.get("quotes", [])] == [
        "It is led by Ana Roth, who came in 2016.",
        "Its upkeep is the task of the Optics Workshop.",
    ]


@pytest.mark.parametrize(
    "paths",
    [
        [],
        [{"entities": [], "statements": []}],
        [{**PATH, "statements": [{**PATH["statements"][0], "passages": ["p2"]}]}],  # type: ignore[dict-item]
        [{**PATH, "statements": [{**PATH["statements"][0], "object": "Mint"}]}],  # type: ignore[dict-item]
    ],
)
def test_what_no_passage_states_is_not_told(paths: list[dict[str, Any]]) -> None:
    found = connection({"paths": paths}, [LEADS, KEEPS])  # type: ignore[list-item]
    assert found.get("status") == "missing"


async def test_a_connection_is_found_without_reading() -> None:
    card = skill_card("graph.paths", "Connects.", {"start": "string", "end": "string"}, "paths")
    card = card.model_copy(
        update={
            "skills": (
                card.skills[0].model_copy(
                    update={"output_schema": {"type": "object", "properties": SCHEMA}}
                ),
            )
        }
    )
    call = FakeCall(
        {"graph.paths": lambda _: {"paths": [PATH], "passages": [LEADS, KEEPS]}},
        agents=[SEARCH, card],
    )
    model = ScriptedModel(
        {
            "plan": {"steps": [step("graph.paths", "connection between Ana Roth and Lyra")]},
            "arguments": {"start": "Ana Roth", "end": "Lyra"},
            "text": "Ana Roth leads the Optics Workshop [1], which has the upkeep of Lyra [2].",
        }
    )

    answer = await Bench().answer("How is Ana Roth connected with Lyra?", call, model)

    assert answer.answered
    assert [each.source for each in answer.citations] == ["a.md", "b.md"]
    assert "read" not in [each.name for each in model.asked]
