"""`motet eval`: a dataset against a mesh."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import textwrap
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from motet.agent import Agent, Call
from motet.cli.eval_dataset import EvalItem
from motet.cli.eval_report import Gate, summaries
from motet.cli.evaluate import evaluate_all
from motet.embedded.services import environment
from motet.errors import FaultError
from motet.messages import Answer, Scored, Task, TaskRecord
from motet.testing import TestMesh
from motet_evaluator.app import agent as evaluator
from tests.integration.test_evaluator_agent import LetterEmbedder, planner, retriever


def item(goal: str, **known: Any) -> EvalItem:
    return EvalItem.read({"goal": goal, **known}, "here")


@pytest.fixture
async def evaluating(mesh: TestMesh) -> TestMesh:
    await mesh.join(evaluator, context={"embedder": LetterEmbedder()})
    await mesh.join(retriever())
    return mesh


async def test_each_question_is_asked_and_scored_and_one_that_fails_stops_no_other(
    evaluating: TestMesh,
) -> None:
    await evaluating.join(planner())
    done: list[str] = []
    outcomes = await evaluate_all(
        evaluating.motet,
        [
            item("The tower is 38 metres high", reference="38 metres", relevant=["tower.md"]),
            item("fail"),
            item("The tower is 60 metres high", relevant={"ferry": 1}),
        ],
        done=lambda outcome: done.append(outcome.item.goal),
    )
    assert [outcome.failed for outcome in outcomes] == [False, True, False]
    assert sorted(done) == sorted(outcome.item.goal for outcome in outcomes)
    assert outcomes[1].fault is not None
    assert outcomes[1].fault.message == "Broken."
    found = summaries(outcomes)
    assert found["recall@5"].values == (1.0, 1.0)
    assert found["mrr"].values == (0.5, 1.0)  # by document, then by passage
    assert found["context_recall"].values == (1.0, 1.0)
    first, second = found["faithfulness"].values
    assert first > 0.9
    assert second < 0.2
    assert found["faithfulness"].not_applicable == 1
    assert len(found["latency_s"].values) == 3
    assert Gate("mrr", 0.7).met(found["mrr"])
    assert not Gate("mrr", 0.8).met(found["mrr"])
    assert not Gate("judged.faithfulness", 0.0).met(found.get("judged.faithfulness"))


async def test_no_more_run_at_once_than_was_asked_for(evaluating: TestMesh) -> None:
    agent = Agent("planner", "Plans.")
    running = most = 0

    @agent.task
    async def run(task: Task, call: Call) -> Answer:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await call.delegate("retriever.search", {"query": task.goal}, step="look")
        running -= 1
        return Answer(text="None.")

    await evaluating.join(agent)
    items = [item(f"question {number}") for number in range(6)]
    outcomes = await evaluate_all(evaluating.motet, items, concurrency=2)
    assert not any(outcome.failed for outcome in outcomes)
    assert most <= 2


async def test_a_question_that_takes_too_long_is_a_failure(evaluating: TestMesh) -> None:
    agent = Agent("planner", "Plans.")

    @agent.task
    async def run(task: Task, _call: Call) -> Answer:
        if task.goal == "slow":
            await asyncio.Event().wait()
        raise FaultError.of("broken", "Broken.")

    await evaluating.join(agent)
    (outcome,) = await evaluate_all(evaluating.motet, [item("slow")], timeout_s=0.5)
    assert outcome.fault is not None
    assert outcome.fault.type == "deadline_exceeded"
    assert outcome.record is not None
    assert outcome.record.state == "expired"


async def test_who_stops_the_evaluation_stops_its_tasks(evaluating: TestMesh) -> None:
    agent = Agent("planner", "Plans.")
    begun = asyncio.Event()

    @agent.task
    async def run(_task: Task, _call: Call) -> Answer:
        begun.set()
        await asyncio.Event().wait()
        return Answer(text="never")

    await evaluating.join(agent)
    evaluation = asyncio.create_task(evaluate_all(evaluating.motet, [item("slow")]))
    await asyncio.wait_for(begun.wait(), 20)
    evaluation.cancel()
    with pytest.raises(asyncio.CancelledError):
        await evaluation
    (task,) = await evaluating.motet.tasks()
    ended = await evaluating.motet.task(task.id).result(20)
    assert ended.state == "cancelled"


async def motet_eval(mesh: TestMesh, *arguments: str) -> tuple[int, str, str]:
    """Runs `motet eval` as its users do: its status, and what it wrote."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "motet.cli", "eval", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment(mesh.settings), "COLUMNS": "100"},
    )
    written, told = await process.communicate()
    assert process.returncode is not None
    return process.returncode, written.decode(), told.decode()


async def test_the_command(evaluating: TestMesh, tmp_path: Path) -> None:
    await evaluating.join(planner())
    dataset = tmp_path / "questions.jsonl"
    questions = [{"goal": "The tower is 38 metres high", "relevant": ["tower.md"]}]
    dataset.write_text("\n".join(map(json.dumps, questions)))

    status, written, told = await motet_eval(evaluating, str(dataset), "--min", "mrr=0.5", "--json")
    assert status == 0, told
    said = json.loads(written)
    assert said["metrics"]["mrr"]["mean"] == 0.5
    assert said["items"][0]["evaluation"]["scores"]["recall@2"]["value"] == 1.0
    assert said["missed"] == []

    status, written, _ = await motet_eval(evaluating, str(dataset), "--min", "mrr=0.6")
    assert status == 1
    assert "missed: mrr is 0.500; it must be >= 0.6" in written
    assert "citation_accuracy" in written

    dataset.write_text('{"goal": "fail"}\n{"goal": "The tower is 38 metres high"}\n')
    status, written, _ = await motet_eval(evaluating, str(dataset))
    assert status == 1
    assert "1: Broken. (broken)" in written

    status, _, told = await motet_eval(evaluating, str(tmp_path / "none.csv"))
    assert status == 2
    assert "cannot be read" in told


async def test_the_command_without_an_evaluator(mesh: TestMesh, tmp_path: Path) -> None:
    dataset = tmp_path / "questions.jsonl"
    dataset.write_text('{"goal": "x"}')
    status, _, told = await motet_eval(mesh, str(dataset))
    assert status == 4
    assert "No evaluator lives in this mesh" in told


PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "evaluate-answers.md"


async def test_the_commands_of_the_how_to(evaluating: TestMesh, tmp_path: Path) -> None:
    await evaluating.join(planner())
    page = PAGE.read_text(encoding="utf-8")
    (questions,) = re.findall(r"```jsonl\n(.*?)```", page, re.DOTALL)
    (tmp_path / "questions.jsonl").write_text(questions, encoding="utf-8")
    commands = re.findall(r"^\$ motet eval questions\.jsonl(.*)$", page, re.MULTILINE)
    assert len(commands) == 3
    for options in commands:
        status, _, told = await motet_eval(
            evaluating, str(tmp_path / "questions.jsonl"), *options.split()
        )
        # This planner says what it was asked again, which no gate lets through.
        assert status == ("--min" in options), told


async def test_the_snippets_of_the_how_to(evaluating: TestMesh) -> None:
    await evaluating.join(planner())
    page = PAGE.read_text(encoding="utf-8")
    first, second = re.findall(r"```python\n(.*?)```", page, re.DOTALL)

    @asynccontextmanager
    async def opened() -> AsyncGenerator[Any]:
        yield evaluating.motet

    kept: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()
    names: dict[str, Any] = {
        "Agent": Agent,
        "Call": Call,
        "TaskRecord": TaskRecord,
        "Motet": SimpleNamespace(open=opened),
        "print": lambda *values: kept.put_nowait(values),
    }
    exec(second, names)
    await evaluating.join(names["agent"])
    exec("async def snippet():\n" + textwrap.indent(first, "    "), names)
    await names["snippet"]()
    async with asyncio.timeout(20):
        told = [await kept.get(), await kept.get()]
    assert any(isinstance(each[0], Scored) for each in told)
    assert any(each[1] == "succeeded" for each in told)
