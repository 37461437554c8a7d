"""Tenants on one store: each has the graph that it would have alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motet.errors import FaultError
from motet.messages import (
    EntityRequest,
    GraphDocument,
    GraphPassage,
    GraphQueryRequest,
    NeighbourhoodRequest,
    Triple,
)
from motet_graph import lookups
from motet_graph.asking import ask
from motet_graph.atlas import Atlas
from motet_graph.extraction.offline import OfflineExtractor
from motet_graph.ingestion import Ingestion
from motet_graph.stores.port import Rows
from tests.unit.graph.conftest import MODEL, MemoryStore, WordEmbedder

TENANTS = ("red", "blue")
NAMES = st.sampled_from(["Acme", "ACME", "Ada Brown", "Oslo", "World Bank", "WB"])
TRIPLES = st.lists(st.tuples(NAMES, st.sampled_from(["leads", "owns"]), NAMES), max_size=3)
DOCUMENTS = st.tuples(st.sampled_from(TENANTS), st.sampled_from("ab"), st.none() | TRIPLES)
"""Whose, the source, and what it states; None has it forgotten."""
Steps = list[tuple[str, str, list[tuple[str, str, str]] | None]]


def document(source: str, triples: Sequence[tuple[str, str, str]], text: str = "") -> GraphDocument:
    given = tuple(Triple(subject=s, predicate=p, object=o) for s, p, o in triples)
    passage = GraphPassage(id="0", text=text or str(triples), title="A note", triples=given)
    return GraphDocument(source=source, passages=(passage,))


def ingestion(store: MemoryStore) -> Ingestion:
    return Ingestion(store, WordEmbedder(), OfflineExtractor())


@settings(deadline=None, max_examples=60)
@given(st.lists(DOCUMENTS, max_size=12))
async def test_a_map_is_what_it_would_be_alone(steps: Steps) -> None:
    shared, alone = MemoryStore(), {tenant: MemoryStore() for tenant in TENANTS}
    atlas = Atlas(shared, MODEL, refresh_s=0, maps=1)
    for tenant, source, triples in steps:
        for store in (shared, alone[tenant]):
            if triples is None:
                await store.delete(tenant, [source])
            else:
                await ingestion(store).ingest(tenant, [document(source, triples)])
    for tenant, store in alone.items():
        one = await atlas.current(tenant)
        other = await Atlas(store, MODEL, refresh_s=0).current(tenant)
        assert (one.passages, one.entities, one.facts) == (
            other.passages,
            other.entities,
            other.facts,
        )
        # The spelling of a name that was stored first is embedded.
        assert one.name_vectors.tolist() == other.name_vectors.tolist()


async def test_names_of_another_tenant_are_not_suggested(store: MemoryStore) -> None:
    await ingestion(store).ingest("red", [document("a", [("Zebra Works", "hired", "Ada Brown")])])
    await ingestion(store).ingest("blue", [document("a", [("Ada Brown", "left", "Oslo")])])
    blue = await Atlas(store, MODEL, refresh_s=0).current("blue")
    with pytest.raises(FaultError) as raised:
        lookups.entity(blue, EntityRequest(name="Zebra Work"))
    assert raised.value.fault.detail["near"] == []
    around = lookups.neighbourhood(blue, NeighbourhoodRequest(name="Ada Brown", depth=3))
    assert [each.name for each in around.entities] == ["Oslo"]


async def test_the_map_used_longest_ago_makes_room(store: MemoryStore) -> None:
    for tenant in ("red", "blue", "green"):
        await ingestion(store).ingest(tenant, [document(tenant, [("Ada", "leads", "Acme")])])
    atlas = Atlas(store, MODEL, refresh_s=60, maps=2)
    red, blue = await atlas.current("red"), await atlas.current("blue")
    assert await atlas.current("red") is red
    await atlas.current("green")
    assert store.loaded == ["red", "blue", "green"]
    assert await atlas.current("red") is red
    again = await atlas.current("blue")
    assert again is not blue
    assert again.entities == blue.entities
    assert store.loaded == ["red", "blue", "green", "blue"]


async def test_a_change_is_seen_by_its_tenant(store: MemoryStore) -> None:
    atlas = Atlas(store, MODEL, refresh_s=60)
    red, blue = await atlas.current("red"), await atlas.current("blue")
    await ingestion(store).ingest("red", [document("a", [("Ada", "leads", "Acme")])])
    atlas.changed("red")
    atlas.changed("nobody")
    assert (await atlas.current("red")).passages != red.passages
    assert await atlas.current("blue") is blue


async def test_a_query_is_closed_also_when_another_tenant_comes_meanwhile(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = GraphQueryRequest(cypher="MATCH (n) RETURN n")
    await ingestion(store).ingest("red", [document("a", [("Ada", "leads", "Acme")])])
    assert (await ask(store, "red", request)).rows

    async def query(*_arguments: object, **_options: object) -> Rows:
        await ingestion(store).ingest("blue", [document("b", [("Bo", "leads", "Acme")])])
        return Rows(("n",), [("Bo",)], truncated=False)

    monkeypatch.setattr(store, "query", query)
    with pytest.raises(FaultError, match="other tenants") as raised:
        await ask(store, "red", request)
    assert (raised.value.fault.type, raised.value.fault.retryable) == ("invalid_input", False)
