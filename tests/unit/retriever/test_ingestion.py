"""Ingestion, into a real store."""

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
    FaultType,
    Principal,
    Transcript,
    TranscriptSegment,
)
from motet_retriever.chunking import Chunking
from motet_retriever.documents import PreparedDocument, Sources
from motet_retriever.ingestion import GROUP, Ingestion
from motet_retriever.stores.port import PassageStore, Query
from tests.unit.retriever.conftest import WordEmbedder


@pytest.fixture
async def ingestion(store: PassageStore, embedder: Any) -> AsyncIterator[Ingestion]:
    ingestion = Ingestion(store, embedder, Chunking(tokens=16), max_document_bytes=1000)
    yield ingestion
    await ingestion.close()


async def no_blobs(ref: BlobRef) -> bytes:
    raise FaultError.of(FaultType.NOT_FOUND, f"There is no blob {ref.name!r}.")


def texts(**by_source: str) -> list[Document]:
    return [Document(source=source, text=text) for source, text in by_source.items()]


async def outcome(ingestion: Ingestion, documents: Sequence[Document]) -> list[tuple[str, str]]:
    result = await ingestion.ingest(ANYBODY, documents, Sources(no_blobs))
    return [(item.source, item.status) for item in result.items]


async def sources_with(store: PassageStore, word: str) -> set[str]:
    found = await store.search(Query(limit=100, principal=ANYBODY, words=word))
    return {each.passage.source for each in found["sparse"]}


async def test_content_decides(ingestion: Ingestion, store: PassageStore) -> None:
    assert await outcome(ingestion, texts(a="Apples.", b="Bananas.")) == [
        ("a", "added"),
        ("b", "added"),
    ]
    assert await outcome(ingestion, texts(a="Apples.", b="Cherries.", c="Dates.")) == [
        ("a", "unchanged"),
        ("b", "replaced"),
        ("c", "added"),
    ]
    assert await sources_with(store, "bananas") == set()
    assert await sources_with(store, "cherries") == {"b"}


async def test_one_that_cannot_be_read_stops_no_other(
    ingestion: Ingestion, store: PassageStore
) -> None:
    missing = BlobRef(name="gone", size=1, sha256="0" * 64)
    documents = [
        *texts(a="Apples.", empty=" "),
        Document(source="missing", blob=missing),
        *texts(large="x" * 2000, b="Bananas."),
    ]
    result = await ingestion.ingest(ANYBODY, documents, Sources(no_blobs))
    assert [(item.source, item.status, item.passages, item.reason) for item in result.items] == [
        ("a", "added", 1, None),
        ("empty", "failed", 0, "It has no text."),
        ("missing", "failed", 0, "There is no blob 'gone'."),
        (
            "large",
            "failed",
            0,
            "It has 2,000 bytes, and the limit is 1,000 (MOTET_RETRIEVER_MAX_DOCUMENT_BYTES).",
        ),
        ("b", "added", 1, None),
    ]
    known = await store.find(ANYBODY, ["a", "empty", "missing", "large", "b"])
    assert {source for source, info in known.items() if info.failure is None} == {"a", "b"}
    assert all(info.passages == 0 for info in known.values() if info.failure is not None)


async def test_one_that_becomes_unreadable_stays_as_it_was(
    ingestion: Ingestion, store: PassageStore
) -> None:
    await outcome(ingestion, texts(a="Apples."))
    assert await outcome(ingestion, texts(a="")) == [("a", "failed")]
    assert await sources_with(store, "apples") == {"a"}


async def test_of_the_same_source_the_later_stays(
    ingestion: Ingestion, store: PassageStore
) -> None:
    def both(first: str, second: str) -> list[Document]:
        return [Document(source="a", text=first), Document(source="a", text=second)]

    assert await outcome(ingestion, both("Apples.", "Bananas.")) == [
        ("a", "added"),
        ("a", "replaced"),
    ]
    assert await outcome(ingestion, both("Apples.", "Bananas.")) == [
        ("a", "replaced"),
        ("a", "replaced"),
    ]
    assert await sources_with(store, "bananas") == {"a"}
    assert await sources_with(store, "apples") == set()


async def test_passages_are_embedded_together(ingestion: Ingestion, embedder: Any) -> None:
    documents = [Document(source=str(n), text=f"Number {n}.") for n in range(2 * GROUP + 10)]
    await ingestion.ingest(ANYBODY, documents, Sources(no_blobs))
    assert [len(asked) for asked in embedder.asked] == [GROUP, GROUP, 10]


async def test_a_large_document_is_embedded_in_parts(store: PassageStore, embedder: Any) -> None:
    ingestion = Ingestion(store, embedder, Chunking(16, 0))
    text = "".join(f"Sentence number {n} of this large document is here.\n" for n in range(300))
    (item,) = (
        await ingestion.ingest(ANYBODY, [Document(source="a", text=text)], Sources(no_blobs))
    ).items
    assert item.passages > GROUP
    assert sum(len(asked) for asked in embedder.asked) == item.passages
    assert max(len(asked) for asked in embedder.asked) <= GROUP
    await ingestion.close()


async def test_progress_is_told(ingestion: Ingestion) -> None:
    told: list[int] = []

    async def progress(done: int) -> None:
        told.append(done)

    documents = [Document(source=str(n), text=f"Number {n}.") for n in range(2 * GROUP + 1)]
    await ingestion.ingest(ANYBODY, documents, Sources(no_blobs), progress=progress)
    assert told == [GROUP, 2 * GROUP]


async def test_what_was_stored_before_a_stop_is_unchanged_after(
    ingestion: Ingestion, store: PassageStore
) -> None:
    documents = [Document(source=str(n), text=f"Number {n}.") for n in range(2 * GROUP)]
    checks = 0

    def check() -> None:
        nonlocal checks
        checks += 1
        if checks > GROUP + GROUP // 2:
            raise FaultError.of(FaultType.CANCELLED, "stop")

    with pytest.raises(FaultError, match="stop"):
        await ingestion.ingest(ANYBODY, documents, Sources(no_blobs), check=check)
    statuses = [status for _, status in await outcome(ingestion, documents)]
    assert statuses == ["unchanged"] * GROUP + ["added"] * GROUP


async def test_a_model_that_fails_ends_the_call(
    ingestion: Ingestion, store: PassageStore, embedder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await outcome(ingestion, texts(a="Apples."))

    async def fail(texts: Sequence[str]) -> None:
        raise FaultError.of(FaultType.MODEL_FAILED, "no model", retryable=True)

    monkeypatch.setattr(embedder, "embed", fail)
    with pytest.raises(FaultError, match="no model"):
        await ingestion.ingest(ANYBODY, texts(a="Bananas."), Sources(no_blobs))
    assert await sources_with(store, "apples") == {"a"}


async def test_blobs_are_fetched(ingestion: Ingestion, store: PassageStore) -> None:
    data = b"Figs."

    async def fetch(ref: BlobRef) -> bytes:
        assert ref.name == "b"
        return data

    ref = BlobRef(name="b", size=len(data), sha256=hashlib.sha256(data).hexdigest())
    result = await ingestion.ingest(ANYBODY, [Document(source="a", blob=ref)], Sources(fetch))
    assert [item.status for item in result.items] == ["added"]
    assert await sources_with(store, "figs") == {"a"}


RECORDING = BlobRef(name="call.wav", size=9, sha256="0" * 64, media_type="audio/wav")


def recording() -> list[Document]:
    return [Document(source="call.wav", media_type="audio/wav", blob=RECORDING)]


class Ear:
    """Hears the same in every recording, and counts."""

    def __init__(self, *said: str) -> None:
        self.heard = 0
        self._said = said

    async def __call__(self, audio: BlobRef) -> Transcript:
        self.heard += 1
        segments = tuple(
            TranscriptSegment(start_s=10.0 * n, end_s=10.0 * n + 5, text=text)
            for n, text in enumerate(self._said)
        )
        return Transcript(text=" ".join(self._said), segments=segments, duration_s=60)


async def test_passages_of_a_recording_know_their_seconds(
    ingestion: Ingestion, store: PassageStore
) -> None:
    ear = Ear("Apples are red, they say, and round too.", "Bananas are long and yellow, he adds.")
    result = await ingestion.ingest(ANYBODY, recording(), Sources(no_blobs, ear))
    assert [item.status for item in result.items] == ["added"]
    (found,) = (await store.search(Query(limit=1, principal=ANYBODY, words="bananas")))["sparse"]
    assert found.passage.start_s == 10.0
    assert found.passage.end_s == 15.0


async def test_an_unchanged_recording_is_not_heard_again(ingestion: Ingestion) -> None:
    ear = Ear("Apples.")
    for status in ("added", "unchanged"):
        result = await ingestion.ingest(ANYBODY, recording(), Sources(no_blobs, ear))
        assert [item.status for item in result.items] == [status]
    assert ear.heard == 1


@pytest.mark.parametrize(
    "ear, reason", [(None, "no agent that transcribes"), (Ear(), "Nobody speaks")]
)
async def test_a_recording_without_words_is_reported(
    ingestion: Ingestion, ear: Ear | None, reason: str
) -> None:
    (item,) = (await ingestion.ingest(ANYBODY, recording(), Sources(no_blobs, ear))).items
    assert item.status == "failed"
    assert reason in (item.reason or "")


@pytest.mark.parametrize("retryable", [True, False])
async def test_a_recording_that_cannot_be_heard(ingestion: Ingestion, retryable: bool) -> None:
    async def fail(audio: BlobRef) -> Transcript:
        raise FaultError.of("not_audio", "These are no sounds.", retryable=retryable)

    if retryable:
        with pytest.raises(FaultError, match="no sounds"):
            await ingestion.ingest(ANYBODY, recording(), Sources(no_blobs, fail))
    else:
        (item,) = (await ingestion.ingest(ANYBODY, recording(), Sources(no_blobs, fail))).items
        assert item.reason == "These are no sounds."


class Graph:
    """A knowledge graph that notes what it is told."""

    def __init__(self, fault: FaultError | None = None) -> None:
        self.taken: list[str] = []
        self.knows: dict[str, str] = {}
        """Texts by source."""
        self.fault = fault

    async def take(self, place: int, documents: Sequence[PreparedDocument]) -> None:
        if self.fault is not None:
            raise self.fault
        self.taken += [each.info.source for each in documents]
        self.knows.update((each.info.source, each.text) for each in documents)

    async def forget(self, place: int, documents: Sequence[PreparedDocument]) -> None:
        if self.fault is not None:
            raise self.fault
        for each in documents:
            self.knows.pop(each.info.source, None)


async def connected(ingestion: Ingestion, graph: Graph | None, **documents: str) -> list[str]:
    result = await ingestion.ingest(ANYBODY, texts(**documents), Sources(no_blobs), graph=graph)
    return [item.status for item in result.items]


async def test_new_documents_are_handed_to_the_graph(ingestion: Ingestion) -> None:
    graph = Graph()
    assert await connected(ingestion, graph, a="Apples.", b="Bananas.") == ["added", "added"]
    assert await connected(ingestion, graph, a="Apples.", b="Cherries.") == [
        "unchanged",
        "replaced",
    ]
    assert graph.taken == ["a", "b", "b"]


async def test_a_graph_that_comes_later_gets_what_was_there_before(ingestion: Ingestion) -> None:
    graph = Graph()
    assert await connected(ingestion, None, a="Apples.") == ["added"]
    assert await connected(ingestion, graph, a="Apples.") == ["replaced"]
    assert await connected(ingestion, None, a="Apples.") == ["unchanged"]
    assert graph.taken == ["a"]


async def test_after_another_embedding_model_the_graph_is_told_again(
    ingestion: Ingestion, store: PassageStore
) -> None:
    """It has vectors of its own. Without a graph, nothing is done again."""
    graph, other = Graph(), WordEmbedder()
    other.name = "fake:others"
    assert await connected(ingestion, graph, a="Apples.") == ["added"]
    migrated = ingestion.over(store, other)
    assert await connected(migrated, None, a="Apples.") == ["unchanged"]
    assert await connected(migrated, graph, a="Apples.") == ["replaced"]
    assert await connected(migrated, graph, a="Apples.") == ["unchanged"]
    assert graph.taken == ["a", "a"]


async def test_what_the_graph_refuses_is_stored_and_offered_again(
    ingestion: Ingestion, store: PassageStore
) -> None:
    graph = Graph(FaultError.of(FaultType.UNAVAILABLE, "The graph is full."))
    result = await ingestion.ingest(ANYBODY, texts(a="Apples."), Sources(no_blobs), graph=graph)
    assert [item.status for item in result.items] == ["added"]
    assert "The graph is full." in (result.items[0].reason or "")
    assert await sources_with(store, "apples") == {"a"}
    graph.fault = None
    assert await connected(ingestion, graph, a="Apples.") == ["replaced"]
    assert graph.taken == ["a"]


async def test_what_is_too_large_for_the_graph_is_stored_without_it(
    ingestion: Ingestion, store: PassageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("motet_retriever.ingestion.GRAPH_CHARACTERS", 10)
    graph = Graph()
    result = await ingestion.ingest(
        ANYBODY, texts(a="Apples.", b="Bananas and figs."), Sources(no_blobs), graph=graph
    )
    assert graph.taken == ["a"]
    reasons = [item.reason for item in result.items]
    assert reasons == [None, "The knowledge graph has not taken it: it is too large for it."]
    assert await connected(ingestion, graph, a="Apples and pears.") == ["replaced"]
    assert graph.knows == {}
    assert await sources_with(store, "bananas") == {"b"}


async def test_a_cancelled_call_stores_nothing(ingestion: Ingestion, store: PassageStore) -> None:
    graph = Graph(FaultError.of(FaultType.CANCELLED, "Not wanted any more."))
    with pytest.raises(FaultError, match="Not wanted"):
        await connected(ingestion, graph, a="Apples.")
    assert await sources_with(store, "apples") == set()


STAFF = Principal(access=("staff",))


def labelled(text: str, *labels: str) -> Document:
    return Document(source="a", text=text, labels=labels)


async def told(ingestion: Ingestion, graph: Graph, *documents: Document) -> list[str]:
    result = await ingestion.ingest(STAFF, documents, Sources(no_blobs), graph=graph)
    return [item.status for item in result.items]


async def test_the_graph_has_no_document_with_labels(ingestion: Ingestion) -> None:
    graph = Graph()
    other = Document(source="b", text="Bananas.")
    assert await told(ingestion, graph, labelled("Apples.", "staff"), other) == ["added", "added"]
    assert graph.knows == {"b": "Bananas."}
    assert await told(ingestion, graph, labelled("Apples.")) == ["replaced"]
    assert graph.knows == {"a": "Apples.", "b": "Bananas."}
    assert await told(ingestion, graph, labelled("Apples.", "staff")) == ["replaced"]
    assert graph.knows == {"b": "Bananas."}
    assert await told(ingestion, graph, labelled("Apples.", "staff")) == ["unchanged"]


async def test_of_one_source_the_later_decides_whether_the_graph_has_it(
    ingestion: Ingestion,
) -> None:
    graph = Graph()
    open_, closed = labelled("Apples."), labelled("Apples.", "staff")
    await told(ingestion, graph, closed, open_, closed)
    assert graph.knows == {}
    await told(ingestion, graph, open_, closed, open_)
    assert graph.knows == {"a": "Apples."}


async def test_what_the_graph_has_not_forgotten_is_said_and_forgotten_later(
    ingestion: Ingestion, store: PassageStore
) -> None:
    graph = Graph()
    await told(ingestion, graph, labelled("Apples."))
    graph.fault = FaultError.of(FaultType.UNAVAILABLE, "It sleeps.")
    closed = labelled("Apples.", "staff")
    result = await ingestion.ingest(STAFF, [closed], Sources(no_blobs), graph=graph)
    assert result.items[0].reason == "The knowledge graph has not forgotten it: It sleeps."
    assert await sources_with(store, "apples") == set()  # hidden from others all the same
    graph.fault = None
    assert await told(ingestion, graph, closed) == ["replaced"]
    assert graph.knows == {}


async def test_what_may_not_be_stored_does_not_stay_in_the_graph(ingestion: Ingestion) -> None:
    graph = Graph()
    await told(ingestion, graph, labelled("Apples.", "staff"))
    result = await ingestion.ingest(ANYBODY, [labelled("Pears.")], Sources(no_blobs), graph=graph)
    assert result.items[0].status == "failed"
    assert graph.knows == {}
