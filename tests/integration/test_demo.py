"""The demo: right only if every task is, and gone without a trace however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from motet.embedded.needs import missing_weights
from motet.settings import Settings
from tests.integration.command_line import CommandLine

pytestmark = pytest.mark.timeout(120)

REPOSITORY = Path(__file__).parents[2]

PLANNER = """
    import asyncio
    from motet.agent import Agent, Call
    from motet.messages import Answer, Citation, Message, PlanMade, PlannedStep, SearchResult, Task

    class Query(Message):
        query: str

    agent = Agent("planner", "Answers what it can look up")

    @agent.task
    async def run(task: Task, call: Call) -> Answer:
        step = PlannedStep(id="s1", skill="retriever.search", purpose="Look it up")
        await call.publish(PlanMade(task=call.task, steps=(step,)))
        if "wait" in task.goal:
            await asyncio.sleep(600)
        query = Query(query=task.goal)
        found = await call.delegate("retriever.search", query, SearchResult, step="s1")
        if not found.passages:
            return Answer(text="The documents do not say.", answered=False)
        [passage] = found.passages
        citation = Citation(
            number=1, passage_id=passage.id, source=passage.source, title=passage.title,
            quote=passage.text,
        )
        return Answer(text=f"{passage.text} [1]", citations=(citation,))
"""

RETRIEVER = """
    from motet.agent import Agent, Call
    from motet.messages import (
        DocumentsRequest, DocumentsResult, IngestRequest, IngestResult, Passage, SearchRequest,
        SearchResult,
    )

    agent = Agent("retriever", "Keeps documents in memory")
    documents = {}

    @agent.skill("ingest", "Takes documents", plannable=False)
    async def ingest(request: IngestRequest, call: Call) -> IngestResult:
        documents.update({document.source: document.text for document in request.documents})
        return IngestResult(items=tuple(
            IngestResult.Item(source=document.source, status="added", passages=1)
            for document in request.documents
        ))

    @agent.skill("documents", "Lists documents", plannable=False)
    async def listed(request: DocumentsRequest, call: Call) -> DocumentsResult:
        return DocumentsResult(documents=())

    @agent.skill("search", "Finds the document that has the last word of the query")
    async def search(request: SearchRequest, call: Call) -> SearchResult:
        word = request.query.rstrip("?").split()[-1]
        return SearchResult(passages=tuple(
            Passage(id=source, source=source, title=source, text=text, position=0, start=0,
                    end=len(text))
            for source, text in documents.items() if word in text
        ))
"""

IDLE = """
    from motet.agent import Agent

    agent = Agent("{name}", "Does nothing here")
"""
EVALUATOR = """
    from motet.agent import Agent, Call
    from motet.messages import Evaluation, TaskRecord

    agent = Agent("evaluator", "Gives no scores, at once")

    @agent.on_finished()
    async def evaluate(record: TaskRecord, call: Call) -> None:
        await call.evaluate(Evaluation())
"""
OTHERS = ("graph", "speech", "tool_executor")


@pytest.fixture
def motet(tmp_path: Path) -> CommandLine:
    """A user whose services are simple ones, and whose temporary files are in a folder."""
    (tmp_path / "temporary").mkdir()
    (tmp_path / "examples" / "documents").mkdir(parents=True)
    (tmp_path / "examples" / "documents" / "dome.md").write_text("The dome weighs 12 tonnes.")
    idle = {name: IDLE.format(name=name) for name in OTHERS}
    services = CommandLine.make(
        tmp_path, planner=PLANNER, retriever=RETRIEVER, evaluator=EVALUATOR, **idle
    )
    return services.with_(TMPDIR=str(tmp_path / "temporary"))


def examples(motet: CommandLine, *tasks: dict[str, object]) -> str:
    folder = motet.folder / "examples"
    (folder / "tasks.json").write_text(json.dumps(tasks))
    return str(folder)


RIGHT = {
    "goal": "What is the weight of the dome?",
    "expect": {"contains": ["12 tonnes"], "sources": ["dome.md"]},
}
UNANSWERABLE = {"goal": "Who painted the telescope?", "expect": {"answered": False}}
WRONG = {"goal": "What is the height of the dome?", "expect": {"contains": ["30 metres"]}}
ENDLESS = {"goal": "Now wait", "expect": {}}


def test_it_shows_everything_and_ends_with_0_when_all_is_right(motet: CommandLine) -> None:
    done = motet("demo", "--examples", examples(motet, RIGHT, UNANSWERABLE))
    assert done.returncode == 0, done.stdout + done.stderr
    shown = done.stdout
    for expected in (
        "The mesh is up",
        "1 document: 1 added; 1 passage",
        "Task 1 of 2",
        "plan, 1 step",
        "✓  retriever.search s1",
        "The dome weighs 12 tonnes. [1]",
        "[1] dome.md",
        "“The dome weighs 12 tonnes.”",
        "retriever.search (s1)",
        "The documents do not say.",
        "2 of 2 tasks right",
    ):
        assert expected in shown, shown
    assert max(map(len, shown.splitlines())) <= 80
    assert list((motet.folder / "temporary").iterdir()) == []


def test_it_ends_with_1_when_one_is_wrong_and_says_which(motet: CommandLine) -> None:
    done = motet("demo", "--examples", examples(motet, RIGHT, WRONG))
    assert done.returncode == 1
    assert "✗  2  the answer lacks '30 metres'" in done.stdout
    assert "1 of 2 tasks right" in done.stdout
    assert "The mesh's folder is kept:" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_it_is_interrupted(motet: CommandLine, number: signal.Signals) -> None:
    with motet.started("demo", "--examples", examples(motet, ENDLESS)) as process:
        assert process.stdout is not None
        while "plan, 1 step" not in process.stdout.readline():
            assert process.poll() is None
        owned = psutil.Process(process.pid).children(recursive=True)
        assert len(owned) >= 5
        process.send_signal(number)
        assert process.wait(30) == (-number if number == signal.SIGKILL else 128 + number)
        _, alive = psutil.wait_procs(owned, timeout=30)
    assert [one for one in alive if one.status() != psutil.STATUS_ZOMBIE] == []
    if number != signal.SIGKILL:
        assert list((motet.folder / "temporary").iterdir()) == []


def test_a_service_that_dies_ends_it_with_a_sentence(motet: CommandLine) -> None:
    with motet.started("demo", "--examples", examples(motet, ENDLESS)) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        while "plan, 1 step" not in process.stdout.readline():
            assert process.poll() is None
        [planner] = [
            child
            for child in psutil.Process(process.pid).children()
            if "test_planner" in child.cmdline()
        ]
        planner.kill()
        assert process.wait(30) == 3
        assert "planner was ended by SIGKILL" in process.stderr.read()


@pytest.mark.timeout(600)
def test_the_demo_itself_is_right_with_the_local_model(tmp_path: Path) -> None:
    settings = Settings(model="local:qwen2.5-coder-1.5b")
    if missing := missing_weights(settings):
        pytest.skip(f"weights are not here: run `motet models pull {' '.join(missing)}`")
    kept = {k: v for k, v in os.environ.items() if not k.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-m", "motet.cli", "demo"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        env={**kept, "MOTET_MODEL": settings.model, "TMPDIR": str(tmp_path)},
        timeout=570,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 of 4 tasks right" in done.stdout
