"""docs/how-to/control-costs.md: its commands run, its snippet stops, its numbers are the code's."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from motet.agent import Agent, Call
from motet.embedded.services import environment
from motet.messages import Answer, Budget, FaultType, Schedule, Task, TaskState, Usage
from motet.models.cache import _MAX_BYTES
from motet.settings import Settings
from motet.testing import ScriptedModel, TestMesh
from motet_evaluator.settings import EvaluatorSettings
from motet_graph.settings import GraphSettings
from motet_planner.settings import PlannerSettings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "control-costs.md").read_text("utf-8")
CENT = Usage(cost_usd=0.01, input_tokens=10, output_tokens=10, model_calls=1)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


COMMANDS = [shlex.split(line) for block in blocks("sh") for line in block.splitlines()]


def thinker(name: str, thoughts: int) -> Agent:
    """An agent that asks a model for each task, a cent a time."""
    model = ScriptedModel({"text": "hm"}, usage=CENT)
    agent = Agent(name, "Thinks.")

    async def think() -> str:
        for number in range(thoughts):
            await model.text([("user", f"think {number}")], max_tokens=1)
        return "thought"

    if name == "planner":

        @agent.task
        async def run(task: Task, call: Call) -> Answer:
            return Answer(text=await think())
    else:

        @agent.skill("look_up", "Looks up.")
        async def look_up(request: Task, call: Call) -> str:
            return await think()

    return agent


async def motet(mesh: TestMesh, *words: str) -> str:
    """What a command writes that must succeed."""
    ran = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "motet.cli", *words),
        env={**environment(mesh.settings), "MOTET_MODEL": "openai:none"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await ran.communicate()
    assert ran.returncode == 0, (words, err.decode())
    return out.decode().strip()


@pytest.fixture
async def submitted(mesh: TestMesh) -> str:
    """The id of the task that the page submits, under a planner which wants more than it may."""
    await mesh.join(thinker("planner", 3))
    (words,) = (words for words in COMMANDS if words[:2] == ["motet", "submit"])
    return await motet(mesh, *words[1:])


async def test_the_budget_of_the_page_stops_a_task(mesh: TestMesh, submitted: str) -> None:
    record = await mesh.motet.task(submitted).result(20)
    assert record.task is not None
    assert record.task.budget == Budget(cost_usd=0.02, tokens=20000, calls=20)
    assert record.state == TaskState.FAILED
    assert record.fault is not None
    assert record.fault.type == FaultType.BUDGET_EXCEEDED
    assert record.usage.cost_usd == pytest.approx(0.02)


async def test_the_other_commands_run(mesh: TestMesh, submitted: str) -> None:
    await mesh.motet.task(submitted).result(20)
    await mesh.motet.schedules.add(Schedule(id="morning", cron="0 7 * * *", task=Task(goal="x")))
    others = [words for words in COMMANDS if words[1] != "submit"]
    assert {words[1] for words in others} == {"result", "trace", "cancel", "schedules"}
    for words in others:
        arguments = [submitted if word == "TASK" else word for word in words[1:]]
        if words[1] == "result":  # its status is that of the task, which has failed
            task = await mesh.motet.submit(Task(goal="x", budget=Budget(cost_usd=1)))
            await task.result(20)
            arguments[1] = task.id
            assert json.loads(await motet(mesh, *arguments))["usage"]["cost_usd"] > 0
        elif words[1] != "trace":  # it reads files of a mesh whose services write some
            await motet(mesh, *arguments)
    (paused,) = await mesh.motet.schedules.list()
    assert not paused.enabled


def test_the_body_of_the_page_is_a_task() -> None:
    (body,) = blocks("json")
    assert Task.model_validate_json(body).budget == Budget(cost_usd=0.02, tokens=20000, calls=20)


async def test_the_share_of_the_page_stops_its_sub_tree(mesh: TestMesh) -> None:
    (snippet,) = blocks("python")
    names: dict[str, Any] = {"__name__": "research"}
    exec(compile(snippet, "control-costs.md", "exec", dont_inherit=True), names)
    await mesh.join(names["agent"])
    await mesh.join(thinker("library", 3))
    record = await (await mesh.motet.submit("x")).result(20)
    assert record.fault is not None
    assert record.fault.type == FaultType.BUDGET_EXCEEDED
    assert record.fault.detail["allowed"] == 0.02


async def test_a_limit_that_a_task_brings_along_is_no_matter_of_the_defaults(
    mesh: TestMesh,
) -> None:
    model = ScriptedModel({"text": "hm"}, usage=Usage(cost_usd=5, model_calls=1))
    agent = Agent("planner", "Thinks.")

    @agent.task
    async def run(task: Task, call: Call) -> Answer:
        return Answer(text=await model.text([("user", "think")], max_tokens=1))

    await mesh.join(agent)
    dear = await mesh.motet.submit(Task(goal="x", budget=Budget(cost_usd=1000)))
    assert (await dear.result(20)).state == TaskState.SUCCEEDED
    plain = await mesh.motet.submit("x")
    assert (await plain.result(20)).state == TaskState.FAILED


def test_the_defaults_are_the_codes() -> None:
    rows = dict(re.findall(r"^\| `(MOTET_TASK_\w+)` \| ([\d.]+) \|$", PAGE, re.MULTILINE))
    assert len(rows) == 4
    settings = Settings(_env_file=None)
    for variable, default in rows.items():
        assert getattr(settings, variable.removeprefix("MOTET_").lower()) == float(default)


def test_every_variable_is_one() -> None:
    kinds = (Settings, PlannerSettings, EvaluatorSettings, GraphSettings)
    known = {
        f"{kind.model_config.get('env_prefix')}{name}".upper()
        for kind in kinds
        for name in kind.model_fields
    }
    assert set(re.findall(r"MOTET_\w+", PAGE)) <= known
    assert f"{_MAX_BYTES >> 20} MiB" in PAGE


def test_metrics_alert_and_dashboards_are_there() -> None:
    folder = ROOT / "deploy"
    dashboards = "".join(
        file.read_text() for file in (folder / "grafana" / "dashboards").glob("*.json")
    )
    for metric in re.findall(r"increase\((\w+)\[", PAGE):
        assert metric in dashboards
    titles = re.findall(r"\*([A-Z][\w, ]+)\*", PAGE.replace("**", ""))
    assert titles == ["Models, tokens and cost", "Tenants"]
    for title in titles:
        assert f'"title": "Motet: {title.lower()}"' in dashboards, title
    rules = yaml.safe_load((folder / "prometheus" / "rules" / "motet.yml").read_text())
    (alert,) = [
        rule
        for group in rules["groups"]
        for rule in group["rules"]
        if rule.get("alert") == "MotetCostBurns"
    ]
    assert alert["expr"] == "sum(increase(motet_cost_total[1h])) > 10"
