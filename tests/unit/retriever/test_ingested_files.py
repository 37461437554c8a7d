"""Ingestion of files, and of what belongs to somebody."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from motet.errors import FaultError
from motet.messages import ANYBODY, BlobRef, Document, FaultType, Principal
from motet_retriever.chunking import WAYS, Chunking, Way
from motet_retriever.documents import Sources
from motet_retriever.ingestion import Ingestion
from motet_retriever.parsers.reading import DOCX
from motet_retriever.stores.port import Level, PassageStore, Query
from tests.unit.retriever.files import ENCRYPTED_PDF, docx_file, pdf_file

PDF = "application/pdf"


@pytest.fixture
async def ingestion(store: PassageStore, embedder: Any) -> AsyncIterator[Ingestion]:
    ingestion = Ingestion(store, embedder, Chunking(tokens=16))
    yield ingestion
    await ingestion.close()


async def no_blobs(ref: BlobRef) -> bytes:
    raise FaultError.of(FaultType.NOT_FOUND, f"There is no blob {ref.name!r}.")


def texts(**by_source: str) -> list[Document]:
    return [Document(source=source, text=text) for source, text in by_source.items()]


class Shelf:
    """An object store that counts what is fetched."""

    def __init__(self) -> None:
        self.has: dict[str, bytes] = {}
        self.fetched = 0
        self.asked = asyncio.Event()

    async def __call__(self, ref: BlobRef) -> bytes:
        self.fetched += 1
        self.asked.set()
        return self.has[ref.name]

    def put(self, source: str, media_type: str, data: bytes, **known: Any) -> Document:
        sha256 = hashlib.sha256(data).hexdigest()
        self.has[sha256] = data
        ref = BlobRef(name=sha256, size=len(data), sha256=sha256, media_type=media_type)
        said = {"source": source, "media_type": media_type, "blob": ref, **known}
        return Document.model_validate(said)


async def test_files_are_parsed_and_bad_ones_reported(
    ingestion: Ingestion, store: PassageStore
) -> None:
    shelf = Shelf()
    documents = [
        shelf.put("a.pdf", PDF, pdf_file([["Apples."], ["Bananas."]])),
        shelf.put("encrypted.pdf", PDF, ENCRYPTED_PDF),
        shelf.put("b.docx", DOCX, docx_file()),
        shelf.put("c.docx", DOCX, b"PK no archive"),
    ]
    result = await ingestion.ingest(ANYBODY, documents, Sources(shelf))
    assert [(item.source, item.status) for item in result.items] == [
        ("a.pdf", "added"),
        ("encrypted.pdf", "failed"),
        ("b.docx", "added"),
        ("c.docx", "failed"),
    ]
    assert result.items[1].reason == "It is encrypted, and opens with a password only."
    found = await store.find(ANYBODY, [document.source for document in documents])
    pages = {source: info.pages for source, info in found.items() if info.failure is None}
    assert pages == {"a.pdf": 2, "b.docx": None}
    passages = await store.read(ANYBODY, "a.pdf")
    assert [(each.text, each.page) for each in passages] == [("Apples.\n\nBananas.", 1)]
    tables = [each for each in await store.read(ANYBODY, "b.docx") if each.block == "table"]
    assert {each.section for each in tables} == {("Rent", "Deposit")}


async def test_an_unchanged_file_is_not_fetched_again(ingestion: Ingestion) -> None:
    shelf = Shelf()
    document = shelf.put("a.pdf", PDF, pdf_file([["Apples."]]))
    for status in ("added", "unchanged"):
        result = await ingestion.ingest(ANYBODY, [document], Sources(shelf))
        assert [item.status for item in result.items] == [status]
    assert shelf.fetched == 1


async def test_a_changed_label_or_field_replaces(ingestion: Ingestion, store: PassageStore) -> None:
    document = Document(source="a", text="Apples.")
    changes: list[dict[str, Any]] = [{}, {"fields": {"status": "draft"}}, {"labels": ("staff",)}]
    staff = Principal(access=("staff",))
    for change in changes:
        changed = document.model_copy(update=change)
        for status in ("replaced" if change else "added", "unchanged"):
            result = await ingestion.ingest(staff, [changed], Sources(no_blobs))
            assert [item.status for item in result.items] == [status]
    assert await store.find(ANYBODY, ["a"]) == {}


async def test_who_does_not_see_a_document_does_not_replace_it(
    ingestion: Ingestion, store: PassageStore
) -> None:
    staff = Principal(access=("staff",))
    secret = Document(source="a", text="Apples.", labels=("staff",))
    await ingestion.ingest(staff, [secret], Sources(no_blobs))
    (mine, other) = (
        await ingestion.ingest(ANYBODY, texts(a="Bananas.", b="Figs."), Sources(no_blobs))
    ).items
    assert mine.status == "failed"
    assert "you may not see" in (mine.reason or "")
    assert other.status == "added"
    assert [each.text for each in await store.read(staff, "a")] == ["Apples."]


async def test_tenants_have_documents_of_their_own(
    ingestion: Ingestion, store: PassageStore
) -> None:
    red, blue = Principal(tenant="red"), Principal(tenant="blue")
    for tenant, text in ((red, "Apples."), (blue, "Apples.")):
        result = await ingestion.ingest(tenant, texts(a=text), Sources(no_blobs))
        assert [item.status for item in result.items] == ["added"]
    ids = {each.id for tenant in (red, blue) for each in await store.read(tenant, "a")}
    assert len(ids) == 2
    await store.delete(red, ["a"])
    assert len(await store.read(blue, "a")) == 1


@pytest.mark.parametrize("way", WAYS)
async def test_sections_and_documents_are_found_as_such(
    store: PassageStore, embedder: Any, way: Way
) -> None:
    ingestion = Ingestion(store, embedder, Chunking(tokens=20, way=way))
    text = "# Fruit\n\n## Red\nApples are round and red. Cherries are small and red. They grow.\n\n"
    text += "## Long\nBananas are long and yellow. Plantains are longer and green. Both grow."
    document = Document(source="a", media_type="text/markdown", text=text)
    await ingestion.ingest(ANYBODY, [document], Sources(no_blobs))
    await ingestion.close()

    async def found(level: Level) -> list[tuple[str, ...]]:
        query = Query(limit=9, principal=ANYBODY, words="plantains", level=level)
        return [each.passage.section for each in (await store.search(query))["sparse"]]

    assert await found("section") == [("Fruit", "Long")]
    assert await found("document") == [("Fruit",)]
    assert set(await found("passage")) == {("Fruit", "Long")}
    (info,) = (await store.find(ANYBODY, ["a"])).values()
    assert info.passages == len(await store.read(ANYBODY, "a")) > 2


async def test_a_cancelled_file_is_given_up(ingestion: Ingestion, store: PassageStore) -> None:
    shelf = Shelf()
    documents = [shelf.put("a.pdf", PDF, pdf_file([["Apples."]]))]
    running = asyncio.create_task(ingestion.ingest(ANYBODY, documents, Sources(shelf)))
    await shelf.asked.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await store.find(ANYBODY, ["a.pdf"]) == {}
