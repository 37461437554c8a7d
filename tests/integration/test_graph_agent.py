"""The graph in a mesh, with its own embedded server: what a client sends, and finds after."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motet.errors import FaultError
from motet.messages import (
    Document,
    EntityRequest,
    EntityResult,
    ForgetRequest,
    ForgetResult,
    GraphDocument,
    GraphIngestRequest,
    GraphIngestResult,
    GraphPassage,
    GraphQueryRequest,
    GraphQueryResult,
    GraphSearchRequest,
    GraphSearchResult,
    IngestRequest,
    IngestResult,
    NeighbourhoodRequest,
    PathsRequest,
    PathsResult,
    Principal,
    SearchRequest,
    SearchResult,
)
from motet.testing.mesh import TestMesh
from motet_graph.app import agent
from motet_retriever.app import agent as retriever
from tests.embedder import LetterEmbedder

TEXTS = {
    "tower": "The Harbour Tower was designed by Ada Brown.",
    "brown": "Ada Brown was born in Oslo.",
    "oslo": "Oslo is the capital of Norway.",
}


@pytest.fixture
async def graph(mesh: TestMesh) -> TestMesh:
    await mesh.join(agent, context={"embedder": LetterEmbedder()})
    return mesh


def request() -> GraphIngestRequest:
    return GraphIngestRequest(
        documents=tuple(
            GraphDocument(source=source, passages=(GraphPassage(id=f"{source}#0", text=text),))
            for source, text in TEXTS.items()
        )
    )


async def test_ingest_find_query_forget(graph: TestMesh) -> None:
    call = graph.motet.call
    first = await call("graph.ingest", request(), GraphIngestResult)
    assert [item.status for item in first.items] == ["added"] * 3
    again = await call("graph.ingest", request(), GraphIngestResult)
    assert [item.status for item in again.items] == ["unchanged"] * 3

    search = GraphSearchRequest(query="Where was the designer of the Harbour Tower born?")
    found = await call("graph.search", search, GraphSearchResult)
    assert {passage.source for passage in found.passages} == set(TEXTS)
    assert found.passages[0].text == TEXTS[found.passages[0].source]
    assert found.passages[0].score > 0
    retrieval = {span.name: span for span in graph.spans()}["retrieval graph"]
    assert retrieval.attributes["motet.passages"] == 3

    brown = await call("graph.entity", EntityRequest(name="ada brown"), EntityResult)
    assert (brown.entity.name, brown.entity.passages) == ("Ada Brown", 2)
    paths = await call(
        "graph.paths", PathsRequest(start="Harbour Tower", end="Norway"), PathsResult
    )
    assert paths.paths[0].entities == ("Harbour Tower", "Ada Brown", "Oslo", "Norway")
    assert [passage.source for passage in paths.passages] == ["tower", "brown", "oslo"]

    query = GraphQueryRequest(cypher="MATCH (d:Document) RETURN d.source ORDER BY d.source")
    rows = await call("graph.query", query, GraphQueryResult)
    assert rows.rows == (("brown",), ("oslo",), ("tower",))

    forgotten = await call("graph.forget", ForgetRequest(sources=("tower", "none")), ForgetResult)
    assert [item.status for item in forgotten.items] == ["deleted", "unknown"]
    with pytest.raises(FaultError) as raised:
        await call("graph.entity", EntityRequest(name="Harbour Tower"), EntityResult)
    assert raised.value.fault.type == "not_found"
    await call("graph.forget", ForgetRequest(sources=("brown", "oslo")), ForgetResult)
    everything = GraphQueryRequest(cypher="MATCH (n) RETURN count(n) AS n")
    assert (await call("graph.query", everything, GraphQueryResult)).rows == ((0,),)


RED = Principal(tenant="red")
BLUE = Principal(tenant="blue")


def told(text: str) -> GraphIngestRequest:
    passage = GraphPassage(id="note#0", text=text)
    return GraphIngestRequest(documents=(GraphDocument(source="note", passages=(passage,)),))


async def test_no_skill_shows_a_tenant_what_another_has(graph: TestMesh) -> None:
    """Both have the source `note`, and speak of Ada Brown."""

    async def call(who: Principal, skill: str, body: object) -> dict[str, Any]:
        return await graph.motet.call(f"graph.{skill}", body, principal=who)  # type: ignore[arg-type]

    async def fault(who: Principal, skill: str, body: object) -> str:
        with pytest.raises(FaultError) as raised:
            await call(who, skill, body)
        assert raised.value.fault.detail.get("near", []) == []  # no name of the other's
        return raised.value.fault.type

    mine = "Ada Brown was born in Oslo."
    theirs = "Ada Brown, also known as Red Zebra, was hired by Zebra Works."
    everything = GraphQueryRequest(cypher="MATCH (d:Document) RETURN d.tenant")
    for who, text in ((RED, theirs), (BLUE, mine)):
        result = await call(who, "ingest", told(text))
        assert result["items"][0]["status"] == "added"
        assert (await call(who, "ingest", told(text)))["items"][0]["status"] == "unchanged"

    found = await call(BLUE, "search", GraphSearchRequest(query="Who hired Ada Brown? Zebra Works"))
    assert [each["text"] for each in found["passages"]] == [mine]
    assert set(found["entities"]) <= {"Ada Brown", "Oslo"}
    brown = await call(BLUE, "entity", EntityRequest(name="Ada Brown"))
    assert brown["entity"] == {"name": "Ada Brown", "aliases": [], "passages": 1}
    assert [each["text"] for each in brown["passages"]] == [mine]
    around = await call(BLUE, "neighbourhood", NeighbourhoodRequest(name="Ada Brown", depth=3))
    assert [each["name"] for each in around["entities"]] == ["Oslo"]
    assert "Zebra" not in str((found, brown, around))
    ends = PathsRequest(start="Ada Brown", end="Zebra Works")
    assert await fault(BLUE, "paths", ends) == "not_found"
    for name in ("Zebra Works", "Zebra Work", "Red Zebra"):
        assert await fault(BLUE, "entity", EntityRequest(name=name)) == "not_found"
        assert await fault(BLUE, "neighbourhood", NeighbourhoodRequest(name=name)) == "not_found"
    assert await fault(BLUE, "query", everything) == "invalid_input"
    nobody = Principal(tenant="green")
    assert (await call(nobody, "search", GraphSearchRequest(query="Ada Brown")))["passages"] == []
    assert await fault(nobody, "entity", EntityRequest(name="Ada Brown")) == "not_found"

    forget = ForgetRequest(sources=("note",))
    assert (await call(nobody, "forget", forget))["items"][0]["status"] == "unknown"
    assert (await call(BLUE, "forget", forget))["items"][0]["status"] == "deleted"
    assert (await call(RED, "paths", ends))["paths"]
    assert (await call(RED, "query", everything))["rows"] == [["red"]]


async def test_the_graph_has_what_is_without_labels(graph: TestMesh) -> None:
    """Documents go by the retriever, and get and lose labels."""
    await graph.join(retriever, context={"embedder": LetterEmbedder()})
    staff = Principal(access=("staff",))

    async def ingest(*labels: str) -> None:
        document = Document(source="note", text=TEXTS["brown"], labels=labels)
        result = await graph.motet.call(
            "retriever.ingest",
            IngestRequest(documents=(document,)),
            IngestResult,
            principal=staff,
        )
        assert result.items[0].status in ("added", "replaced")
        assert result.items[0].reason is None

    async def known() -> int:
        query = GraphQueryRequest(cypher="MATCH (n) RETURN count(n)")
        rows = (await graph.motet.call("graph.query", query, GraphQueryResult)).rows
        return int(rows[0][0])

    async def found(strategy: str) -> list[str]:
        search = SearchRequest(query="Where was Ada Brown born?", strategy=strategy)
        result = await graph.motet.call("retriever.search", search, SearchResult, principal=staff)
        return [each.source for each in result.passages]

    await ingest("staff")
    assert await known() == 0
    assert (await found("graph"), await found("hybrid_graph")) == ([], ["note"])
    await ingest()
    assert await known() > 0
    assert await found("graph") == ["note"]
    await ingest("staff")
    assert await known() == 0
    assert (await found("graph"), await found("hybrid_graph")) == ([], ["note"])


async def test_bad_input_is_a_fault(graph: TestMesh) -> None:
    for skill, body in (
        ("search", {"query": ""}),
        ("query", {"cypher": "MATCH (n) DETACH DELETE n"}),
        ("query", {"cypher": "MATCH (n) RETURN n", "limit": 10**9}),
        ("query", {"cypher": "MATCH (n) RETURN n.x + $p"}),
        ("ingest", {"documents": [{"source": "a"}]}),
        (
            "ingest",
            {"documents": [{"source": "a", "passages": [{"id": "1", "text": "x" * 20_001}]}]},
        ),
        ("paths", {"start": "a"}),
        ("forget", {"sources": []}),
    ):
        with pytest.raises(FaultError) as raised:
            await graph.motet.call(f"graph.{skill}", body)
        assert raised.value.fault.type == "invalid_input", skill


OWNER = """
import asyncio, pathlib, sys
from motet_graph.arcadedb_server import embedded_server

async def main():
    async with embedded_server(pathlib.Path(sys.argv[1])):
        print("up", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_the_server_ends_with_its_owner_also_when_that_is_killed(tmp_path: Path) -> None:
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert owner.stdout is not None
    assert await owner.stdout.readline() == b"up\n"
    java = _java(tmp_path)
    owner.kill()
    await owner.wait()
    await _ended(java)
    assert not (tmp_path / "java.args").exists()


async def test_what_was_ingested_outlives_the_agent(mesh: TestMesh) -> None:
    app = await mesh.join(agent, context={"embedder": LetterEmbedder()})
    await mesh.motet.call("graph.ingest", request(), GraphIngestResult)
    await mesh.leave(app)
    await mesh.join(agent, context={"embedder": LetterEmbedder()})
    found = await mesh.motet.call("graph.entity", EntityRequest(name="Oslo"), EntityResult)
    assert found.entity.passages == 2


async def test_a_server_that_dies_is_started_again(mesh: TestMesh, graph: TestMesh) -> None:
    await mesh.motet.call("graph.ingest", request(), GraphIngestResult)
    java = _java(mesh.settings.data_dir)
    os.kill(java, signal.SIGKILL)
    await _ended(java)
    query = GraphQueryRequest(cypher="MATCH (d:Document) RETURN count(d)")
    async with asyncio.timeout(40):
        while True:
            try:
                found = await mesh.motet.call("graph.query", query, GraphQueryResult)
                break
            except FaultError as error:
                if error.fault.type != "unavailable":
                    raise
    assert found.rows == ((3,),)


def _java(folder: Path) -> int:
    """The process id of the graph server whose folder is below `folder`."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_text()
            except OSError:
                continue
            if command.split("\0")[0].endswith("/java") and str(folder) in command:
                return int(entry.name)
    raise AssertionError("there is no graph server")


async def _ended(pid: int) -> None:
    async with asyncio.timeout(15):
        while Path(f"/proc/{pid}").exists():  # noqa: ASYNC110, ASYNC240 - nobody's child here
            await asyncio.sleep(0.02)


class OtherModel:
    """Gives vectors of a length of its own; documents wait until it is let."""

    def __init__(self, dimension: int) -> None:
        self.name = f"fake:other-{dimension}"
        self.dimension = dimension
        self.let = asyncio.Event()
        self.waits = asyncio.Event()

    async def embed(self, texts: Sequence[str]) -> np.ndarray[Any, Any]:
        self.waits.set()
        await self.let.wait()
        return await self.embed_queries(texts)

    async def embed_queries(self, texts: Sequence[str]) -> np.ndarray[Any, Any]:
        rows = await LetterEmbedder().embed(texts)
        return np.roll(rows, 7, axis=1)[:, : self.dimension]


@pytest.mark.parametrize("dimension", [LetterEmbedder.dimension, 12])
async def test_another_embedding_model(mesh: TestMesh, dimension: int) -> None:
    app = await mesh.join(agent, context={"embedder": LetterEmbedder()})
    await mesh.motet.call("graph.ingest", request(), GraphIngestResult)
    await mesh.leave(app)
    other = OtherModel(dimension)
    app = await mesh.join(agent, context={"embedder": other})
    models = GraphQueryRequest(cypher="MATCH (d:Document) RETURN DISTINCT d.model")
    search = GraphSearchRequest(query="Where was the designer of the Harbour Tower born?")

    async def found() -> str:
        result = await mesh.motet.call("graph.search", search, GraphSearchResult)
        return result.passages[0].source

    async def made_by() -> tuple[tuple[Any, ...], ...]:
        return (await mesh.motet.call("graph.query", models, GraphQueryResult)).rows

    async with asyncio.timeout(30):
        await other.waits.wait()
        assert await found() == "tower"
        assert await made_by() == ((LetterEmbedder.name,),)
        other.let.set()
        while await made_by() != ((other.name,),):
            assert await found() == "tower"
    again = await mesh.motet.call("graph.ingest", request(), GraphIngestResult)
    assert [item.status for item in again.items] == ["unchanged"] * 3
    assert await found() == "tower"
    drawn = await app.context.get("atlas").current("default")
    assert not drawn.partial
    texts = [TEXTS[passage.source] for passage in drawn.passages]
    assert np.allclose(drawn.passage_vectors, await other.embed_queries(texts), atol=1e-3)
    assert drawn.fact_vectors.shape == (len(drawn.facts), dimension)
    assert drawn.name_vectors.shape == (len(drawn.meanings), dimension)
    renewed = [span for span in mesh.spans() if span.name == "migrate graph"]
    assert sum(span.attributes["motet.documents"] for span in renewed) == len(TEXTS)
