"""Another embedding model: what a search has meanwhile, and what is there afterwards."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from motet.errors import FaultError
from motet.messages import FaultType, GraphDocument, GraphPassage, GraphSearchRequest, Triple
from motet.settings import Settings
from motet.telemetry import Tracer, setup
from motet_graph import renewal
from motet_graph.atlas import Atlas
from motet_graph.extraction.offline import OfflineExtractor
from motet_graph.extraction.port import Extractor
from motet_graph.ingestion import Ingestion
from motet_graph.ranking import Weights
from motet_graph.renewal import Renewal, renew
from motet_graph.search import Search
from motet_graph.statements import Extraction
from tests.unit.graph.conftest import DIMENSION, MODEL, TENANT, MemoryStore, WordEmbedder

OTHERS = (("fake:words-2", DIMENSION), ("fake:words-3", 48))
"""A model with vectors of the same length, and one of another."""
TITLED = GraphPassage(
    id="1",
    title="The Harbour",
    section=("Towers", "Old ones"),
    text="The Harbour Tower was designed by Ada Brown (AB). Ada Brown's sister leads Acme Works.",
)
UNTITLED = GraphPassage(id="2", text="Ada Brown was born in Oslo. ADA BROWN left OSLO.", position=1)
GIVEN = GraphPassage(
    id="3", text="x", position=2, triples=(Triple(subject="Oslo", predicate="in", object="Norway"),)
)
DOCUMENTS = (
    GraphDocument(source="The Harbour", passages=(TITLED, UNTITLED, GIVEN)),
    GraphDocument(source="b", passages=(GraphPassage(id="b", text="Acme Works is in OSLO."),)),
    GraphDocument(source="c", passages=(GraphPassage(id="c", text="nothing named here"),)),
)


class Unasked(Extractor):
    """Reads nothing any more, though by the same name."""

    name = OfflineExtractor().name

    async def extract(self, passage: GraphPassage) -> Extraction:
        raise AssertionError(f"{passage.id} was read again")


@pytest.fixture
def tracer(tmp_path: Any) -> Tracer:
    return setup("graph", Settings(data_dir=tmp_path)).tracer


async def ingest(store: MemoryStore, embedder: WordEmbedder) -> None:
    for tenant in (TENANT, "blue"):
        result = await Ingestion(store, embedder, OfflineExtractor()).ingest(tenant, DOCUMENTS)
        assert {each.status for each in result.items} <= {"added", "replaced"}


def vectors(store: MemoryStore, tenant: str = TENANT) -> dict[str, list[float] | None]:
    """All that is there, by what it is of."""
    found: dict[str, Any] = {}
    for source, part in store.parts[tenant].items():
        for stored in part.passages:
            found[f"{source} {stored.passage.id}"] = stored.vector
            for each in stored.statements:
                found[f"{stored.passage.id} {each[:3]}"] = each.vector
    found |= {key: each.vector for key, each in store.records[tenant].items()}
    return {key: None if row is None else row.tolist() for key, row in found.items()}


def models(store: MemoryStore, tenant: str = TENANT) -> set[str | None]:
    parts, records = store.parts[tenant].values(), store.records[tenant].values()
    return {each.model for each in parts} | {each.model for each in records}


@pytest.mark.parametrize("name, dimension", OTHERS)
async def test_a_renewed_graph_is_as_if_the_model_had_made_it(
    store: MemoryStore, tracer: Tracer, name: str, dimension: int
) -> None:
    direct, other = MemoryStore(), WordEmbedder(name, dimension)
    await ingest(direct, other)
    await ingest(store, WordEmbedder())
    before = vectors(store)
    assert len(before) > 12
    await Renewal(store, other, tracer).run()
    for tenant in (TENANT, "blue"):
        assert models(store, tenant) == {name}
        assert vectors(store, tenant) == vectors(direct, tenant)
    assert all(before[key] != vector for key, vector in vectors(store).items())

    loaded = len(store.loaded)
    await Renewal(store, other, tracer).run()
    assert len(store.loaded) == loaded
    again = await Ingestion(store, other, Unasked()).ingest(TENANT, DOCUMENTS)
    assert {each.status for each in again.items} == {"unchanged"}
    assert len(store.loaded) == loaded


@pytest.mark.parametrize("name, dimension", OTHERS)
async def test_a_search_never_meets_vectors_of_another_model(
    store: MemoryStore, tracer: Tracer, name: str, dimension: int
) -> None:
    await ingest(store, WordEmbedder())
    other = WordEmbedder(name, dimension)
    atlas = Atlas(store, name, refresh_s=0)
    search = Search(atlas, other, Weights(), tracer)
    query = GraphSearchRequest(query="Where was Ada Brown born?")

    async def found() -> set[str]:
        result = await search.search(TENANT, query)
        return {each.id for each in result.passages[:2]}

    assert await found() == {"1", "2"}  # by words and names
    drawn = await atlas.current(TENANT)
    assert not drawn.passage_vectors.any()
    assert not drawn.fact_vectors.any()
    assert not len(drawn.name_vectors)
    assert len(drawn.facts) > 2
    for source in ("b", "The Harbour", "c"):
        assert await renew(store, other, TENANT, [source]) == 1
        assert await found() == {"1", "2"}
        drawn = await atlas.current(TENANT)
        for passage, row in zip(drawn.passages, drawn.passage_vectors, strict=True):
            part = store.parts[TENANT][passage.source]
            assert row.any() == (part.model == name)
        assert drawn.name_vectors.shape == (
            sum(each.model == name for each in store.records[TENANT].values()),
            dimension,
        )
    fresh = await Atlas(store, name, refresh_s=0).current(TENANT)
    assert np.array_equal(fresh.name_vectors, drawn.name_vectors)
    assert np.array_equal(fresh.fact_vectors, drawn.fact_vectors)
    assert fresh.fact_vectors.any(axis=1).all()


async def test_what_changes_meanwhile_is_left_as_it_is(store: MemoryStore) -> None:
    await ingest(store, WordEmbedder())

    class Slow(WordEmbedder):
        async def embed(self, texts: Sequence[str]) -> np.ndarray[Any, Any]:
            if not self.asked:
                self.asked.append([])
                await store.delete(TENANT, ["b"])
                changed = GraphDocument(source="c", passages=(GraphPassage(id="c", text="New."),))
                await Ingestion(store, WordEmbedder(), OfflineExtractor()).ingest(TENANT, [changed])
            return await super().embed(texts)

    slow = Slow(*OTHERS[0])
    assert await renew(store, slow, TENANT, ["b", "c", "The Harbour"]) == 1
    parts = store.parts[TENANT]
    assert parts.keys() == {"The Harbour", "c"}
    assert (parts["c"].passages[0].passage.text, parts["c"].model) == ("New.", MODEL)
    assert parts["The Harbour"].model == slow.name


async def test_what_fails_is_tried_again_and_what_is_done_is_not(
    store: MemoryStore, tracer: Tracer, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(renewal, "AGAIN_S", (0.0, 0.0))
    monkeypatch.setattr(renewal, "AT_ONCE", 1)
    caplog.set_level("INFO", renewal.log.name)
    await ingest(store, WordEmbedder())

    turn = itertools.count(1)

    class Failing(WordEmbedder):
        async def embed(self, texts: Sequence[str]) -> np.ndarray[Any, Any]:
            if next(turn) in {2, 3}:
                raise FaultError.of(FaultType.MODEL_FAILED, "It is away.")
            return await super().embed(texts)

    store.loaded.clear()
    await Renewal(store, Failing(*OTHERS[0]), tracer).run()
    assert models(store) == models(store, "blue") == {OTHERS[0][0]}
    assert len(store.loaded) == 2 * len(DOCUMENTS) + 2
    assert caplog.text.count("is tried again: ") == 2
    assert f"the graph is {OTHERS[0][0]}'s now: 6 documents embedded anew" in caplog.text


async def test_an_unchanged_document_is_embedded_and_not_read(store: MemoryStore) -> None:
    await ingest(store, WordEmbedder())
    other = WordEmbedder(*OTHERS[1])
    result = await Ingestion(store, other, Unasked()).ingest(TENANT, DOCUMENTS)
    assert {each.status for each in result.items} == {"unchanged"}
    assert models(store) == {other.name}
    assert models(store, "blue") == {MODEL}


async def test_a_changed_document_renews_what_it_mentions(store: MemoryStore) -> None:
    await ingest(store, WordEmbedder())
    other = WordEmbedder(*OTHERS[1])
    text = "Acme Works moved."
    changed = GraphDocument(source="b", passages=(GraphPassage(id="b", text=text),))
    await Ingestion(store, other, OfflineExtractor()).ingest(TENANT, [changed])
    assert store.parts[TENANT]["b"].model == other.name
    known = {key: each.model for key, each in store.records[TENANT].items()}
    assert known["acme works"] == other.name
    assert known["ada brown"] == MODEL


async def test_a_graph_of_an_earlier_version_is_renewed(store: MemoryStore, tracer: Tracer) -> None:
    """It knows no models and no texts of statements; names around the predicate are taken."""
    await ingest(store, WordEmbedder())
    for source, part in list(store.parts[TENANT].items()):
        passages = tuple(
            replace(each, statements=tuple(row._replace(text=None) for row in each.statements))
            for each in part.passages
        )
        store.parts[TENANT][source] = replace(part, passages=passages, model=None)
    for key, each in store.records[TENANT].items():
        store.records[TENANT][key] = each._replace(model=None)
    again = WordEmbedder()
    await Renewal(store, again, tracer).run()
    assert models(store) == {MODEL}
    texts = [text for batch in again.asked for text in batch]
    assert "Oslo in Norway" in texts
    assert all(row is not None for row in vectors(store).values())
