"""The script of `helm test`, on a mesh: it passes when that works, else says what is wrong."""

from __future__ import annotations

import runpy
from collections.abc import Awaitable, Callable

import pytest

from motet.agent import Agent, Call
from motet.messages import Answer, Task
from motet.models import chat_model
from motet.testing import TestMesh
from motet_planner.app import agent as planner
from tests.helm.chart import CHART

Problem = Callable[[set[str], str], Awaitable[str | None]]


def calculator(text: str) -> Agent:
    """Stands for a planner with a model."""
    agent = Agent("planner", "Answers.")

    @agent.task
    async def answer(_task: Task, _call: Call) -> Answer:
        return Answer(text=text)

    return agent


@pytest.fixture
def problem(mesh: TestMesh, monkeypatch: pytest.MonkeyPatch) -> Problem:
    """The script's own function, with the mesh's address in its environment."""
    monkeypatch.setenv("MOTET_NATS_URL", mesh.settings.nats_url)
    monkeypatch.setenv("MOTET_NAMESPACE", mesh.settings.namespace)
    script = runpy.run_path(str(CHART / "files" / "try_task.py"))
    found: Problem = script["problem"]
    found.__globals__["AGENTS_WITHIN_S"] = 2.0  # type: ignore[attr-defined]
    return found


async def test_without_a_model_the_planner_says_so_and_that_is_right(
    mesh: TestMesh, problem: Problem
) -> None:
    settings = mesh.settings.model_copy(update={"model": "none"})
    await mesh.join(planner, settings=settings, context={"model": chat_model(settings)})
    assert await problem({"planner"}, "failed") is None


async def test_an_answer_must_be_the_right_one(mesh: TestMesh, problem: Problem) -> None:
    running = await mesh.join(calculator("It is 409.5."))
    assert await problem({"planner"}, "succeeded") is None
    assert await problem({"planner"}, "failed") == (
        "without a model it should have failed, and named the model"
    )
    await mesh.leave(running)
    await mesh.join(calculator("It is 410."))
    assert await problem({"planner"}, "succeeded") == "its answer should have been 409.5"


async def test_an_agent_that_is_not_there_is_named(mesh: TestMesh, problem: Problem) -> None:
    await mesh.join(calculator("409.5"))
    assert await problem({"planner", "speech"}, "succeeded") == (
        "these agents are not there: speech"
    )
