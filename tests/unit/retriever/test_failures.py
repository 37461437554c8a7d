"""What is kept of documents that could not be made findable."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from motet.errors import FaultError
from motet.messages import (
    ANYBODY,
    BlobRef,
    Document,
    DocumentsRequest,
    FaultType,
    Principal,
)
from motet_retriever.catalogue import list_documents
from motet_retriever.chunking import Chunking
from motet_retriever.documents import PreparedDocument, Sources
from motet_retriever.ingestion import Graph, Ingestion
from motet_retriever.stores.port import PassageStore, Query


@pytest.fixture
async def ingestion(store: PassageStore, embedder: Any) -> AsyncIterator[Ingestion]:
    ingestion = Ingestion(store, embedder, Chunking(tokens=16))
    yield ingestion
    await ingestion.close()


async def no_blobs(ref: BlobRef) -> bytes:
    raise AssertionError(ref)


async def ingest(
    ingestion: Ingestion,
    text: str,
    source: str = "a",
    *,
    by: Principal = ANYBODY,
    graph: Graph | None = None,
    labels: tuple[str, ...] = (),
) -> str:
    document = Document(source=source, text=text, labels=labels)
    result = await ingestion.ingest(by, [document], Sources(no_blobs), graph=graph)
    return result.items[0].status


async def failures(store: PassageStore, by: Principal = ANYBODY) -> dict[str, tuple[str, int]]:
    """Why documents have failed, and how many passages each has all the same."""
    listed = await list_documents(store, by, DocumentsRequest(failed=True, limit=2))
    return {
        info.source: (info.failure.reason, info.passages)
        for info in listed.documents
        if info.failure is not None
    }


async def test_the_bytes_as_they_came_are_noted(ingestion: Ingestion, store: PassageStore) -> None:
    await ingest(ingestion, "Apples.")
    info = (await store.find(ANYBODY, ["a"]))["a"]
    assert info.content_sha256 == hashlib.sha256(b"Apples.").hexdigest()


async def test_a_failure_is_kept_until_an_attempt_succeeds(
    ingestion: Ingestion, store: PassageStore
) -> None:
    assert await ingest(ingestion, " ") == "failed"
    assert await failures(store) == {"a": ("It has no text.", 0)}
    assert await ingest(ingestion, "Apples.") == "added"
    assert await failures(store) == {}
    assert await ingest(ingestion, " ") == "failed"
    assert await failures(store) == {"a": ("It has no text.", 1)}
    found = await store.search(Query(limit=9, principal=ANYBODY, words="apples"))
    assert [each.passage.source for each in found["sparse"]] == ["a"]
    # The same as before the failure, and yet it counts as an attempt that succeeded.
    assert await ingest(ingestion, "Apples.") == "replaced"
    assert await failures(store) == {}
    assert await ingest(ingestion, "Apples.") == "unchanged"


async def test_failures_are_found_among_many_documents(
    ingestion: Ingestion, store: PassageStore
) -> None:
    for number in range(9):
        await ingest(ingestion, f"Number {number}.", f"{number}")
    await ingest(ingestion, " ", "last")
    assert await failures(store) == {"last": ("It has no text.", 0)}
    named = DocumentsRequest(sources=("1", "last"), failed=True)
    assert [each.source for each in (await list_documents(store, ANYBODY, named)).documents] == [
        "last"
    ]


async def test_failures_are_seen_by_whoever_would_see_the_document(
    ingestion: Ingestion, store: PassageStore
) -> None:
    staff = Principal(access=("staff",))
    await ingest(ingestion, " ", by=staff, labels=("staff",))
    assert await failures(store) == {}
    assert await failures(store, Principal(tenant="red", access=("staff",))) == {}
    assert list(await failures(store, staff)) == ["a"]
    # Nor can anybody else say of a document which they do not see that it has failed.
    await ingest(ingestion, "Apples.", by=staff, labels=("staff",))
    assert await ingest(ingestion, " ") == "failed"
    assert await failures(store, staff) == {}


async def test_what_the_graph_refused_counts_as_failed(
    ingestion: Ingestion, store: PassageStore
) -> None:
    class Willing:
        async def take(self, place: int, documents: Sequence[PreparedDocument]) -> None:
            pass

        async def forget(self, place: int, documents: Sequence[PreparedDocument]) -> None:
            pass

    class Refusing(Willing):
        async def take(self, place: int, documents: Sequence[PreparedDocument]) -> None:
            raise FaultError.of(FaultType.INVALID_INPUT, "It has no names.")

    assert await ingest(ingestion, "Apples.", graph=Refusing()) == "added"
    [(reason, passages)] = (await failures(store)).values()
    assert (reason, passages) == ("The knowledge graph has not taken it: It has no names.", 1)
    assert await ingest(ingestion, "Apples.", graph=Willing()) == "replaced"
    assert await failures(store) == {}
