"""The retriever in a mesh: what a client sends over the bus, and what it finds after."""

from __future__ import annotations

import hashlib

import pytest

from motet.errors import FaultError
from motet.messages import (
    DeleteRequest,
    DeleteResult,
    Document,
    DocumentsRequest,
    DocumentsResult,
    IngestRequest,
    IngestResult,
    SearchRequest,
    SearchResult,
)
from motet.testing.mesh import TestMesh
from motet_retriever.app import agent
from tests.embedder import LetterEmbedder

LEASE = "# Lease\n\nThe rent is 900 euros a month.\n\n# Term\n\nIt ends on 1 May 2027.\n"


@pytest.fixture
async def retriever(mesh: TestMesh) -> TestMesh:
    await mesh.join(agent, context={"embedder": LetterEmbedder()})
    return mesh


async def ingest(mesh: TestMesh, *documents: Document) -> list[tuple[str, str]]:
    request = IngestRequest(documents=documents)
    result = await mesh.motet.call("retriever.ingest", request, IngestResult)
    return [(item.source, item.status) for item in result.items]


async def test_ingest_search_list_delete(retriever: TestMesh) -> None:
    call = retriever.motet.call
    lease = Document(source="lease.md", media_type="text/markdown", text=LEASE)
    assert await ingest(retriever, lease) == [("lease.md", "added")]
    assert await ingest(retriever, lease) == [("lease.md", "unchanged")]

    found = await call("retriever.search", SearchRequest(query="What is the rent?"), SearchResult)
    best = found.passages[0]
    assert (best.source, best.title, best.section) == ("lease.md", "Lease", ("Lease",))
    assert best.text == LEASE[best.start : best.end]
    assert {each.branch for each in best.branches} == {"dense", "sparse"}

    listed = await call("retriever.documents", DocumentsRequest(), DocumentsResult)
    (document,) = listed.documents
    assert (document.source, document.title, document.passages) == ("lease.md", "Lease", 2)
    assert document.sha256 == hashlib.sha256(LEASE.encode()).hexdigest()

    deleted = await call("retriever.delete", DeleteRequest(sources=("lease.md",)), DeleteResult)
    assert [(item.status, item.passages) for item in deleted.items] == [("deleted", 2)]
    gone = await call("retriever.search", SearchRequest(query="rent"), SearchResult)
    assert gone.passages == ()


async def test_a_document_in_the_object_store(retriever: TestMesh, mesh: TestMesh) -> None:
    from motet.bus import Blobs

    blobs = Blobs(mesh.bus)
    ref = await blobs.put("documents/lease", LEASE.encode(), media_type="text/markdown")
    documents = (
        Document(source="lease.md", media_type="text/markdown", blob=ref),
        Document(source="gone.md", blob=ref.model_copy(update={"name": "documents/none"})),
    )
    result = await mesh.motet.call(
        "retriever.ingest", IngestRequest(documents=documents), IngestResult
    )
    assert [(item.status, item.passages) for item in result.items] == [("added", 2), ("failed", 0)]
    assert result.items[1].reason == "There is no blob 'documents/none'."


async def test_bad_input_is_a_fault(retriever: TestMesh) -> None:
    for skill, request in (
        ("search", {"query": ""}),
        ("search", {"query": "x", "mode": "telepathy"}),
        ("ingest", {"documents": [{"source": "a"}]}),
        ("documents", {"after": "x"}),
        ("delete", {"sources": []}),
    ):
        with pytest.raises(FaultError) as raised:
            await retriever.motet.call(f"retriever.{skill}", request)
        assert raised.value.fault.type == "invalid_input", skill


async def test_what_was_ingested_outlives_the_agent(mesh: TestMesh) -> None:
    app = await mesh.join(agent, context={"embedder": LetterEmbedder()})
    await ingest(mesh, Document(source="a.txt", text="Apples are red."))
    await mesh.leave(app)
    await mesh.join(agent, context={"embedder": LetterEmbedder()})
    found = await mesh.motet.call("retriever.search", SearchRequest(query="apples"), SearchResult)
    assert [passage.source for passage in found.passages] == ["a.txt"]


async def test_the_retrieval_is_a_span_of_the_call(retriever: TestMesh) -> None:
    await retriever.motet.call("retriever.search", SearchRequest(query="apples"), SearchResult)
    spans = {span.name: span for span in retriever.spans()}
    retrieval = spans["retrieval hybrid"]
    assert retrieval.parent_id == spans["invoke_agent retriever"].span_id
    assert spans["retrieval documents"].parent_id == retrieval.span_id
