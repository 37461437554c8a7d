"""A task's own files in a mesh: found by that task alone, and gone after it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from faststream import FastStream

from motet.agent import Agent, Call
from motet.bus import Blobs, Caller
from motet.client import Motet
from motet.direct import DirectCalls
from motet.errors import FaultError
from motet.messages import (
    Answer,
    BlobRef,
    Document,
    DocumentsRequest,
    DocumentsResult,
    EraseRequest,
    EraseResult,
    ForgetRequest,
    ForgetResult,
    GraphIngestRequest,
    GraphIngestResult,
    IngestRequest,
    IngestResult,
    Principal,
    ReadRequest,
    ReadResult,
    SearchRequest,
    SearchResult,
    Task,
    TaskState,
    new_id,
)
from motet.models.capability import Capability
from motet.testing import ScriptedModel
from motet.testing.mesh import TestMesh
from motet_planner.inputs import erase, take_in
from motet_planner.run import Run
from motet_planner.settings import PlannerSettings
from motet_retriever.app import agent as retriever
from motet_retriever.migration import Indexes
from tests.embedder import LetterEmbedder
from tests.unit.retriever.files import pdf_file, xlsx_file

LEASE = "The rent of the boathouse is 900 euros a month."
HANDBOOK = "The rent of a bicycle is 4 euros an hour."


def own(text: str = LEASE, source: str = "input:lease.txt") -> IngestRequest:
    return IngestRequest(documents=(Document(source=source, text=text),), scope="task")


async def found(calls: DirectCalls | Motet, **options: object) -> set[str]:
    """Sources of what a search finds; each is a call of its own."""
    request = SearchRequest.model_validate({"query": "rent", "limit": 20, **options})
    if isinstance(calls, Motet):
        result = await calls.call("retriever.search", request, SearchResult)
    else:
        result = await calls.call("retriever.search", request, SearchResult, step=new_id())
    return {passage.source for passage in result.passages}


@pytest.fixture
async def joined(mesh: TestMesh) -> TestMesh:
    await mesh.join(retriever, context={"embedder": LetterEmbedder()})
    handbook = Document(source="handbook.txt", text=HANDBOOK)
    await mesh.motet.call("retriever.ingest", IngestRequest(documents=(handbook,)))
    return mesh


async def test_a_tasks_documents_are_found_in_it_alone(joined: TestMesh) -> None:
    motet = joined.motet
    async with motet.together("one") as one, motet.together("two") as two:
        first = await one.call("retriever.ingest", own(), IngestResult, step="ingest")
        assert [(item.status, item.characters) for item in first.items] == [("added", len(LEASE))]
        assert await found(one) == {"handbook.txt", "input:lease.txt"}
        assert await found(one, scope="task", strategy="basic") == {"input:lease.txt"}
        assert await found(one, scope="tenant", mode="sparse") == {"handbook.txt"}
        assert await found(two) == {"handbook.txt"}
        assert await found(two, sources=["input:lease.txt"]) == set()
        assert await found(two, scope="task") == set()
        assert await found(motet) == {"handbook.txt"}
        listed = await motet.call("retriever.documents", DocumentsRequest(), DocumentsResult)
        assert [each.source for each in listed.documents] == ["handbook.txt"]

        request = ReadRequest(source="input:lease.txt")
        read = await one.call("retriever.read", request, ReadResult, step="read")
        assert (read.text, read.next) == (LEASE, None)
        assert read.passages[0].id
        with pytest.raises(FaultError, match="There is no document"):
            await two.call("retriever.read", request, ReadResult, step="read")

        erased = await one.call("retriever.erase", EraseRequest(), EraseResult, step="erase")
        assert (erased.documents, erased.passages) == (1, 1)
        assert await found(one) == {"handbook.txt"}
        with pytest.raises(FaultError, match="erased"):
            await one.call("retriever.ingest", own(), IngestResult, step="again")


async def test_no_other_tenant_has_a_task_of_that_id(joined: TestMesh) -> None:
    """Who names the task of another tenant, in whatever way, is in a task of its own."""

    def calls(principal: Principal) -> DirectCalls:
        return DirectCalls(joined.bus, Caller(joined.bus, "test"), "t1", principal)

    red, blue = (calls(Principal(tenant=tenant)) for tenant in ("red", "blue"))
    await red.call("retriever.ingest", own(), IngestResult, step="red")
    assert await found(red, scope="task") == {"input:lease.txt"}
    assert await found(blue, scope="all") == set()
    erased = await blue.call("retriever.erase", EraseRequest(), EraseResult, step="blue")
    assert erased.documents == 0


async def test_the_graph_is_not_told(joined: TestMesh) -> None:
    told: list[str] = []
    graph = Agent("graph", "Would know of documents")

    @graph.skill("ingest", "Takes documents", plannable=False)
    async def ingest(request: GraphIngestRequest, call: Call) -> GraphIngestResult:
        told.extend(each.source for each in request.documents)
        return GraphIngestResult(items=())

    @graph.skill("forget", "Forgets documents", plannable=False)
    async def forget(request: ForgetRequest, call: Call) -> ForgetResult:
        told.extend(request.sources)
        return ForgetResult(items=())

    await joined.join(graph)
    await joined.motet.wait_for_agents({"graph"}, 10)
    async with joined.motet.together("one") as one:
        await one.call("retriever.ingest", own(), IngestResult, step="ingest")
        await one.call("retriever.erase", EraseRequest(), EraseResult, step="erase")
        assert told == []
        known = IngestRequest(documents=(Document(source="a.txt", text="Anna knows Bo."),))
        await one.call("retriever.ingest", known, IngestResult, step="known")
    assert told == ["a.txt"]


def planner(finish: Callable[[Call], Awaitable[None]]) -> Agent:
    """An agent that takes a task's files in, answers what its search finds, and does `finish`."""
    made = Agent("planner", "Reads what a task comes with")

    @made.task
    async def run(task: Task, call: Call) -> Answer:
        capability = Capability(profile="capable", calls_tools=True, why="")
        attempt = Run(call, ScriptedModel({}), PlannerSettings(), capability)
        inputs = await take_in(task.inputs, attempt)
        request = SearchRequest(query=task.goal, limit=20)
        hits = await call.delegate("retriever.search", request, SearchResult, step="search")
        await finish(call)
        texts = [each.text or "" for each in inputs.documents]
        return Answer(
            text="\n".join(texts),
            data={"found": sorted({each.source for each in hits.passages})},
        )

    return made


async def erasing(call: Call) -> None:
    capability = Capability(profile="capable", calls_tools=True, why="")
    await erase(Run(call, ScriptedModel({}), PlannerSettings(), capability))


async def leaving(call: Call) -> None:
    """What a planner does that is killed before it erases anything."""


async def attached(mesh: TestMesh, name: str, data: bytes, media_type: str) -> BlobRef:
    key = f"files/{hashlib.sha256(data).hexdigest()}"
    return await Blobs(mesh.bus).put(key, data, media_type=media_type, filename=name)


async def test_a_pdf_and_a_table_are_read_and_searched(joined: TestMesh) -> None:
    await joined.join(planner(erasing))
    pdf = await attached(joined, "lease.pdf", pdf_file([[LEASE]]), "application/pdf")
    sheet = xlsx_file({"May": [["month", "sum"], ["May", 12]]})
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    table = await attached(joined, "sales.xlsx", sheet, kind)

    task = Task(goal="What is the rent of the boathouse?", inputs=(pdf, table))
    record = await (await joined.motet.submit(task)).result(30)

    assert record.answer is not None, record.fault
    assert LEASE in record.answer.text
    assert "May" in record.answer.text
    assert record.answer.data["found"] == ["handbook.txt", "input:lease.pdf", "input:sales.xlsx"]
    other = await (await joined.motet.submit("What is the rent?")).result(30)
    assert other.answer is not None
    assert other.answer.data["found"] == ["handbook.txt"]


async def test_a_file_that_is_none_ends_the_task_with_a_sentence(joined: TestMesh) -> None:
    await joined.join(planner(erasing))
    broken = await attached(joined, "lease.pdf", b"%PDF-1.7 and no more", "application/pdf")
    record = await (await joined.motet.submit(Task(goal="Rent?", inputs=(broken,)))).result(60)
    assert record.state == TaskState.FAILED
    assert record.fault is not None
    assert record.fault.type == "invalid_input"
    assert "'lease.pdf'" in record.fault.message


async def eventually_empty(app: FastStream) -> None:
    """Waits until a retriever's store has nothing of a task any more."""
    indexes: Indexes = app.context.get("documents")
    async with asyncio.timeout(20):
        while await sources(indexes) != []:  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # a store tells nobody what is removed from it


async def sources(indexes: Indexes) -> list[str]:
    """The documents of tasks that a store has."""
    async with indexes.taken() as index:
        stored, _ = await index.store.export(100, None, passages=False)
    return [each.document.source for each in stored if each.document.source.startswith("input:")]


async def test_what_a_planner_leaves_is_swept_up_once_its_task_has_ended(
    mesh: TestMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTET_RETRIEVER_SWEEP_S", "0.2")
    app = await mesh.join(retriever, context={"embedder": LetterEmbedder()})
    await mesh.join(planner(leaving))
    ref = await attached(mesh, "lease.txt", LEASE.encode(), "text/plain")
    handle = await mesh.motet.submit(Task(goal="What is the rent?", inputs=(ref,)))
    record = await handle.result(30)
    assert record.answer is not None, record.fault
    assert record.answer.data["found"] == ["input:lease.txt"]
    await eventually_empty(app)


async def test_a_task_that_is_cancelled_leaves_nothing(
    mesh: TestMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTET_RETRIEVER_SWEEP_S", "0.2")
    app = await mesh.join(retriever, context={"embedder": LetterEmbedder()})

    async def waiting(call: Call) -> None:
        await call.event("taken in")
        await asyncio.Event().wait()

    await mesh.join(planner(waiting))
    ref = await attached(mesh, "lease.txt", LEASE.encode(), "text/plain")
    handle = await mesh.motet.submit(Task(goal="What is the rent?", inputs=(ref,)))
    async for _, event in handle.events():
        if getattr(event, "message", "") == "taken in":
            break
    assert await sources(app.context.get("documents")) == ["input:lease.txt"]
    await handle.cancel()
    assert (await handle.result(30)).state == TaskState.CANCELLED
    await eventually_empty(app)


HOLDING = """
import asyncio
from pathlib import Path

from motet.agent import Agent, Call
from motet.messages import Answer, SearchRequest, SearchResult, Task
from motet.models.capability import Capability
from motet.testing import ScriptedModel
from motet_planner.inputs import erase, take_in
from motet_planner.run import Run
from motet_planner.settings import PlannerSettings

agent = Agent("planner", "Reads what a task comes with")


@agent.task
async def run(task: Task, call: Call) -> Answer:
    capability = Capability(profile="capable", calls_tools=True, why="")
    attempt = Run(call, ScriptedModel({}), PlannerSettings(), capability)
    inputs = await take_in(task.inputs, attempt)
    mark = Path(task.labels["mark"])
    if not mark.exists():
        mark.write_text("taken in")
        await call.event("taken in")
        await asyncio.sleep(600)  # until it is killed
    request = SearchRequest(query=task.goal, limit=20)
    hits = await call.delegate("retriever.search", request, SearchResult, step="search")
    await erase(attempt)
    return Answer(text=inputs.documents[0].text or "", data={"found": len(hits.passages)})


agent.run()
"""


async def test_a_planner_that_is_killed_takes_nothing_in_twice(
    mesh: TestMesh, tmp_path: Path
) -> None:
    await mesh.join(retriever, context={"embedder": LetterEmbedder()})
    program = tmp_path / "holding.py"
    program.write_text(HOLDING)
    killed = await mesh.spawn("planner", program, env={"MOTET_ACK_WAIT_S": "1"})
    ref = await attached(mesh, "lease.txt", LEASE.encode(), "text/plain")
    labels = {"mark": str(tmp_path / "mark")}
    handle = await mesh.motet.submit(Task(goal="The rent?", inputs=(ref,), labels=labels))
    async for _, event in handle.events():
        if getattr(event, "message", "") == "taken in":
            break
    os.kill(killed.pid, signal.SIGKILL)
    await killed.wait()
    await mesh.spawn("planner", program, env={"MOTET_ACK_WAIT_S": "1"})
    record = await handle.result(60)
    assert record.answer is not None, record.fault
    assert (record.answer.text, record.answer.data["found"]) == (LEASE, 1)
    assert record.attempts == 2
    # One call of each, whoever asked for it.
    spans = [span.name for span in mesh.spans()]
    assert spans.count("process motet.call.retriever.ingest") == 1
    assert spans.count("process motet.call.retriever.read") == 1
