"""The catalogue: lists and removals as the skills answer them."""

from __future__ import annotations

from typing import Any

import pytest

from motet.errors import FaultError
from motet.messages import ANYBODY, BlobRef, DeleteRequest, Document, DocumentsRequest
from motet_retriever.catalogue import delete_documents, list_documents
from motet_retriever.chunking import Chunking
from motet_retriever.documents import Sources
from motet_retriever.ingestion import Ingestion
from motet_retriever.stores.port import PassageStore, Query


async def no_blobs(ref: BlobRef) -> bytes:
    raise AssertionError(ref)


@pytest.fixture
async def filled(store: PassageStore, embedder: Any) -> PassageStore:
    ingestion = Ingestion(store, embedder, Chunking(), max_document_bytes=1000)
    documents = [Document(source=f"{n}.txt", text=f"Plain number {n}.") for n in range(5)]
    await ingestion.ingest(ANYBODY, documents, Sources(no_blobs))
    await ingestion.close()
    return store


async def test_pages_have_every_document_once(filled: PassageStore) -> None:
    sources: list[str] = []
    pages, after = 0, None
    while True:
        page = await list_documents(filled, ANYBODY, DocumentsRequest(limit=2, after=after))
        sources += [document.source for document in page.documents]
        pages, after = pages + 1, page.next
        if after is None:
            break
    assert sorted(sources) == [f"{n}.txt" for n in range(5)]
    assert pages == 3


async def test_named_documents_come_in_the_order_of_the_request(filled: PassageStore) -> None:
    request = DocumentsRequest(sources=("3.txt", "nowhere", "1.txt", "3.txt"))
    listed = await list_documents(filled, ANYBODY, request)
    assert [document.source for document in listed.documents] == ["3.txt", "1.txt"]
    assert listed.next is None
    first = listed.documents[0]
    assert (first.title, first.passages, first.characters) == ("3.txt", 1, 15)


async def test_a_wrong_cursor_is_a_fault(filled: PassageStore) -> None:
    with pytest.raises(FaultError, match="'x' is not the 'next'"):
        await list_documents(filled, ANYBODY, DocumentsRequest(after="x"))


async def test_delete(filled: PassageStore) -> None:
    result = await delete_documents(filled, ANYBODY, DeleteRequest(sources=("1.txt", "nowhere")))
    assert [(item.source, item.status, item.passages) for item in result.items] == [
        ("1.txt", "deleted", 1),
        ("nowhere", "unknown", 0),
    ]
    found = await filled.search(Query(limit=10, principal=ANYBODY, words="number"))
    assert {each.passage.source for each in found["sparse"]} == {
        "0.txt",
        "2.txt",
        "3.txt",
        "4.txt",
    }
    left = await list_documents(filled, ANYBODY, DocumentsRequest())
    assert len(left.documents) == 4
