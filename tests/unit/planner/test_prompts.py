"""Prompts: each can be filled in, names none of Motet's skills, and can be replaced by tenant."""

from __future__ import annotations

import json
import re
from pathlib import Path
from string import Template

import pytest

from motet.testing import ScriptedModel
from motet_planner.prompts import PROMPTS
from motet_planner.settings import PlannerSettings
from tests.unit.planner.scripted import Bench, FakeCall, gives, passage

AGENTS = ("retriever", "graph", "tool_executor", "speech", "evaluator")
DEMO = Path(__file__).parents[3] / "examples" / "tasks.json"


@pytest.mark.parametrize("name", PROMPTS.names())
def test_it_can_be_filled_in(name: str) -> None:
    prompt = PROMPTS.load(name)
    names = {each for _, text in prompt.sections for each in Template(text).get_identifiers()}

    messages = prompt.messages(**{each: f"<{each}>" for each in names})

    told = " ".join(text for _, text in messages)
    assert all(f"<{each}>" in told for each in names)
    assert prompt.purpose.endswith(".")


@pytest.mark.parametrize("name", PROMPTS.names())
def test_it_names_no_skill_of_motets_own(name: str) -> None:
    told = " ".join(text for _, text in PROMPTS.load(name).sections)

    assert not [agent for agent in AGENTS if re.search(rf"\b{agent}(\.|__)", told)]


@pytest.mark.parametrize("name", PROMPTS.names())
def test_it_has_nothing_of_the_demos_tasks(name: str) -> None:
    told = set(
        re.findall(r"\w{4,} \w{4,} \w{4,}", " ".join(t for _, t in PROMPTS.load(name).sections))
    )
    goals = " ".join(task["goal"] for task in json.loads(DEMO.read_text()))

    assert not told & set(re.findall(r"\w{4,} \w{4,} \w{4,}", goals))


async def test_a_tenants_prompt_takes_the_place_of_the_built_in_one(tmp_path: Path) -> None:
    own = tmp_path / "default" / "reply.v7.md"
    own.parent.mkdir()
    own.write_text(
        "---\nname: reply\nversion: 7\npurpose: Ours.\n---\n# user\nAnswer in rhyme. $form"
    )
    model = ScriptedModel(
        {"worked_out": {"answer": "stated"}, "text": "The tower is 38 metres high."},
        profile="small",
    )
    call = FakeCall({"retriever.search": gives(passage("The tower is 38 metres high."))})

    bench = Bench(settings=PlannerSettings(prompts_dir=tmp_path))
    await bench.answer("How high is the tower?", call, model)

    assert "Answer in rhyme." in model.asked[-1].last
