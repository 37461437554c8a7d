"""Search: what is asked of the store, what is given back, what the trace shows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from motet.errors import FaultError
from motet.messages import ANYBODY, BlobRef, Document, FaultType, SearchRequest
from motet.settings import Settings
from motet.telemetry import names, setup
from motet_retriever.chunking import Chunking
from motet_retriever.documents import Sources
from motet_retriever.fusion import Fusion
from motet_retriever.ingestion import Ingestion
from motet_retriever.search import Search
from motet_retriever.stores.port import PassageStore

DOCUMENTS = {
    "fruit.md": "# Fruit\n\nApples are red.\n\n# Price\n\nApples cost two euros.",
    "stone.md": "# Stones\n\nGranite is hard and grey.",
    "tree.md": "# Trees\n\nOaks grow old.",
}


async def no_blobs(ref: BlobRef) -> bytes:
    raise AssertionError(ref)


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
async def make_search(
    store: PassageStore, embedder: Any, exporter: InMemorySpanExporter
) -> AsyncIterator[Callable[..., Search]]:
    ingestion = Ingestion(store, embedder, Chunking(), max_document_bytes=1000)
    documents = [
        Document(source=source, media_type="text/markdown", text=text)
        for source, text in DOCUMENTS.items()
    ]
    await ingestion.ingest(ANYBODY, documents, Sources(no_blobs))
    await ingestion.close()
    telemetry = setup("retriever", Settings(), exporters=[exporter])

    def make(**options: Any) -> Search:
        return Search(store, embedder, Fusion(), telemetry.tracer, candidates=10, **options)

    yield make
    await telemetry.shutdown()


async def test_hybrid(make_search: Callable[..., Search]) -> None:
    result = await make_search().search(
        ANYBODY, SearchRequest(query="the price of apples in euros", limit=2)
    )
    first, second = result.passages
    assert first.source == "fruit.md"
    assert first.section == ("Price",)
    assert DOCUMENTS["fruit.md"][first.start : first.end] == first.text
    assert {(each.branch, each.rank) for each in first.branches} == {("dense", 1), ("sparse", 1)}
    assert first.score == 1.0
    assert second.score < 1.0


async def test_one_branch(make_search: Callable[..., Search]) -> None:
    search = make_search()
    for mode, others in (("dense", {"stone.md", "tree.md"}), ("sparse", set[str]())):
        request = SearchRequest.model_validate({"query": "apples", "mode": mode, "limit": 10})
        passages = (await search.search(ANYBODY, request)).passages
        assert passages[0].source == "fruit.md"
        assert {each.branch for passage in passages for each in passage.branches} == {mode}
        assert {each.source for each in passages} == {"fruit.md"} | others


async def test_sources_and_limit(make_search: Callable[..., Search]) -> None:
    search = make_search()
    within = SearchRequest(query="apples", sources=("stone.md", "tree.md"))
    assert {each.source for each in (await search.search(ANYBODY, within)).passages} == set(
        within.sources
    )
    assert len((await search.search(ANYBODY, SearchRequest(query="apples", limit=1))).passages) == 1


async def test_stop_words_alone(make_search: Callable[..., Search]) -> None:
    search = make_search()
    assert (
        await search.search(ANYBODY, SearchRequest(query="the of", mode="sparse"))
    ).passages == ()
    assert (await search.search(ANYBODY, SearchRequest(query="the of"))).passages


def one_span(exporter: InMemorySpanExporter) -> tuple[ReadableSpan, dict[str, Any]]:
    (span,) = exporter.get_finished_spans()
    values = {key: value for key, value in (span.attributes or {}).items() if value is not None}
    return span, values


async def test_the_span(make_search: Callable[..., Search], exporter: InMemorySpanExporter) -> None:
    await make_search().search(ANYBODY, SearchRequest(query="apples", limit=3))
    span, attributes = one_span(exporter)
    assert (span.name, span.kind) == ("retrieval documents", SpanKind.CLIENT)
    assert attributes == {
        names.GEN_AI_OPERATION: "retrieval",
        names.GEN_AI_DATA_SOURCE: "documents",
        names.GEN_AI_RETRIEVAL_TOP_K: 3,
        names.GEN_AI_REQUEST_MODEL: "fake:words",
        names.PASSAGES: 3,
        names.BRANCH: ["dense", "sparse"],
    }


async def test_contents_are_recorded_when_asked_for(
    make_search: Callable[..., Search], exporter: InMemorySpanExporter
) -> None:
    search = make_search(record_content=True)
    await search.search(ANYBODY, SearchRequest(query="apples", mode="sparse"))
    _, attributes = one_span(exporter)
    assert attributes[names.GEN_AI_RETRIEVAL_QUERY] == "apples"
    assert names.GEN_AI_REQUEST_MODEL not in attributes


async def test_a_fault_marks_the_span(
    make_search: Callable[..., Search],
    exporter: InMemorySpanExporter,
    embedder: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail(texts: list[str]) -> None:
        raise FaultError.of(FaultType.MODEL_FAILED, "no model")

    monkeypatch.setattr(embedder, "embed", fail)
    with pytest.raises(FaultError):
        await make_search().search(ANYBODY, SearchRequest(query="apples"))
    assert one_span(exporter)[1][names.ERROR_TYPE] == "model_failed"
