"""The agent: each tool is a skill, described for a small planner."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from motet_tool_executor import ToolRegistry
from motet_tool_executor.app import agent, tool_executor
from motet_tool_executor.catalog import own_tools

SKILLS = ["calculate", "convert", "dates", "table_lookup", "table_aggregate"]
TOOLS = {each.name: each for each in own_tools(lambda: datetime(2026, 12, 1, tzinfo=UTC))}


def environment(**more: str) -> Mapping[str, str]:
    return {"PYTHONPATH": ":".join(sys.path), **more}


@pytest.mark.parametrize("name", SKILLS)
def test_a_card_is_short_and_names_every_input_that_matters(name: str) -> None:
    card = agent.skills[name].card
    assert len(card.description) <= 360
    assert len(card.examples) == 2
    assert card.plannable
    assert not card.side_effects
    for field in card.input_schema.get("required", []):
        assert f"`{field}`" in card.description
    for example in card.examples:
        assert set(example.input) <= set(card.input_schema["properties"])


@pytest.mark.parametrize(
    "name, results",
    [
        ("calculate", [{"value": "27.55102040816326530612244898"}, {"value": "712.572"}]),
        ("convert", [{"value": "42.1648128"}, {"value": "176.6666666666666666666666667"}]),
        ("dates", [{"date": "2025-08-01"}, {"days": 30}]),
        ("table_lookup", [{"table": {"columns": ["Revenue"], "rows": [["980"]]}},
                          {"table": {"columns": ["Product"], "rows": [["Lamp"]]}}]),
        ("table_aggregate", [{"value": "1590", "rows": 2}, {"value": "2", "rows": 2}]),
    ],
)  # fmt: skip
def test_the_examples_of_a_card_work(name: str, results: list[dict[str, Any]]) -> None:
    tool = TOOLS[name]
    for example, expected in zip(tool.examples, results, strict=True):
        given = tool(tool.input.model_validate(example.input)).model_dump(mode="json")
        assert expected.items() <= given.items()


def test_every_tool_is_a_skill_with_its_own_types() -> None:
    assert list(agent.skills) == SKILLS
    for name, skill in agent.skills.items():
        assert skill.request is TOOLS[name].input
        assert skill.response is TOOLS[name].output
        assert skill.concurrency == TOOLS[name].limits.concurrency


def test_an_agent_can_be_made_of_other_tools() -> None:
    assert list(tool_executor(ToolRegistry([TOOLS["dates"]])).skills) == ["dates"]


def test_a_mistake_of_set_up_is_told_in_a_sentence() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "motet_tool_executor"],
        env=environment(MOTET_TOOL_EXECUTOR_DISABLED="calculat"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "MOTET_TOOL_EXECUTOR_DISABLED names 'calculat', which is no tool" in done.stderr
    assert "Traceback" not in done.stderr
