"""Ingestion, the map of the graph, ranking and lookups, on a store in memory."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from motet.errors import FaultError
from motet.messages import (
    EntityRequest,
    GraphDocument,
    GraphPassage,
    GraphQueryRequest,
    NeighbourhoodRequest,
    PathsRequest,
    Triple,
)
from motet_graph import lookups
from motet_graph.asking import ask
from motet_graph.atlas import Atlas
from motet_graph.extraction.offline import OfflineExtractor
from motet_graph.graph_map import GraphMap
from motet_graph.ingestion import Ingestion
from motet_graph.pagerank import Transitions, personalised_pagerank
from motet_graph.ranking import Weights, rank
from tests.unit.graph.conftest import MODEL, TENANT, MemoryStore, WordEmbedder

TOWER = "The Harbour Tower was designed by Ada Brown."
BROWN = "Ada Brown was born in Oslo."
OSLO = "Oslo is the capital of Norway."
BREAD = "Bread is made of flour, water and salt."


def document(source: str, text: str, *triples: tuple[str, str, str]) -> GraphDocument:
    given = tuple(Triple(subject=s, predicate=p, object=o) for s, p, o in triples)
    passage = GraphPassage(id=f"{source}#0", text=text, title=source, triples=given or None)
    return GraphDocument(source=source, passages=(passage,))


DOCUMENTS = (
    document("Harbour Tower", TOWER, ("Harbour Tower", "was designed by", "Ada Brown")),
    document("Ada Brown", BROWN, ("Ada Brown", "was born in", "Oslo")),
    document("Oslo", OSLO, ("Oslo", "is the capital of", "Norway")),
    document("Bread", BREAD),
)


@pytest.fixture
def ingestion(store: MemoryStore, embedder: WordEmbedder) -> Ingestion:
    return Ingestion(store, embedder, OfflineExtractor())


@pytest.fixture
async def graph(store: MemoryStore, ingestion: Ingestion) -> GraphMap:
    await ingestion.ingest(TENANT, DOCUMENTS)
    return await Atlas(store, MODEL, refresh_s=0).current(TENANT)


async def test_ingesting_again_does_nothing(
    store: MemoryStore, ingestion: Ingestion, embedder: WordEmbedder
) -> None:
    first = await ingestion.ingest(TENANT, DOCUMENTS)
    assert [item.status for item in first.items] == ["added"] * 4
    assert (first.items[0].entities, first.items[0].statements) == (2, 1)
    revisions, asked = await store.revisions(TENANT), len(embedder.asked)
    again = await ingestion.ingest(TENANT, DOCUMENTS)
    assert [item.status for item in again.items] == ["unchanged"] * 4
    assert (await store.revisions(TENANT), len(embedder.asked)) == (revisions, asked)
    changed = await ingestion.ingest(TENANT, [document("Bread", BREAD + " And yeast.")])
    assert [item.status for item in changed.items] == ["replaced"]


async def test_what_has_not_changed_is_not_compared(
    store: MemoryStore, ingestion: Ingestion
) -> None:
    await ingestion.ingest(TENANT, DOCUMENTS)
    atlas = Atlas(store, MODEL, refresh_s=0)
    first = await atlas.current(TENANT)
    assert await atlas.current(TENANT) is first
    await ingestion.ingest("blue", DOCUMENTS)
    assert await atlas.current(TENANT) is first
    assert store.compared == 1
    await ingestion.ingest(TENANT, [document("Bread", BREAD + " And yeast.")])
    assert await atlas.current(TENANT) is not first
    assert store.compared == 2


async def test_of_two_with_one_source_the_later_stays(
    store: MemoryStore, ingestion: Ingestion
) -> None:
    await ingestion.ingest(TENANT, [document("a", "Ada sings."), document("a", "Bo sings.")])
    assert store.parts[TENANT]["a"].passages[0].passage.text == "Bo sings."


async def test_the_map_does_not_depend_on_the_order(embedder: WordEmbedder) -> None:
    maps: list[GraphMap] = []
    for order in itertools.permutations(DOCUMENTS[:3]):
        store = MemoryStore()
        for each in order:
            await Ingestion(store, embedder, OfflineExtractor()).ingest(TENANT, [each])
        maps.append(await Atlas(store, MODEL, refresh_s=0).current(TENANT))
    for other in maps[1:]:
        assert other.entities == maps[0].entities
        assert other.facts == maps[0].facts
        assert other.passages == maps[0].passages


async def test_only_what_changed_is_loaded(store: MemoryStore, ingestion: Ingestion) -> None:
    atlas = Atlas(store, MODEL, refresh_s=0)
    await ingestion.ingest(TENANT, DOCUMENTS)
    before = await atlas.current(TENANT)
    assert sorted(store.loaded) == ["Ada Brown", "Bread", "Harbour Tower", "Oslo"]
    assert await atlas.current(TENANT) is before
    store.loaded.clear()
    await ingestion.ingest(TENANT, [document("Bread", "Bread is made by Bo.")])
    await store.delete(TENANT, ["Oslo"])
    after = await atlas.current(TENANT)
    assert store.loaded == ["Bread"]
    assert [passage.source for passage in after.passages] == ["Ada Brown", "Bread", "Harbour Tower"]
    assert after.entities_of("Norway") == ()


async def test_a_search_finds_what_is_two_steps_away(
    graph: GraphMap, embedder: WordEmbedder
) -> None:
    question = "Where was the designer of the Harbour Tower born?"
    (vector,) = await embedder.embed([question])
    found = rank(graph, question, vector, 3, Weights())
    sources = [graph.passages[place].source for place, _ in found.passages]
    assert sources[0] == "Harbour Tower"
    assert "Ada Brown" in sources
    assert "Bread" not in sources


async def test_a_search_of_an_empty_graph(store: MemoryStore) -> None:
    graph = await Atlas(store, MODEL, refresh_s=0).current(TENANT)
    assert rank(graph, "Who?", np.zeros(64, np.float32), 3, Weights()).passages == ()


async def test_names_of_one_entity_are_one_node(store: MemoryStore, ingestion: Ingestion) -> None:
    await ingestion.ingest(
        TENANT,
        [
            document("a", "The World Health Organization (WHO) is in Geneva."),
            document("b", "WHO was founded in 1948."),
            document("c", "Tedros leads the World Health Organization."),
        ],
    )
    graph = await Atlas(store, MODEL, refresh_s=0).current(TENANT)
    assert graph.entities_of("WHO") == graph.entities_of("the World Health Organization")
    found = lookups.entity(graph, EntityRequest(name="who")).entity
    assert (found.name, found.passages) == ("World Health Organization", 3)
    assert "WHO" in found.aliases
    await store.delete(TENANT, ["a", "c"])
    after = await Atlas(store, MODEL, refresh_s=0).current(TENANT)
    assert lookups.entity(after, EntityRequest(name="WHO")).entity.aliases == ()


def test_a_path_and_the_passages_that_state_it(graph: GraphMap) -> None:
    found = lookups.paths(graph, PathsRequest(start="the harbour tower", end="Norway"))
    (path,) = found.paths
    assert path.entities == ("Harbour Tower", "Ada Brown", "Oslo", "Norway")
    assert [each.predicate for each in path.statements] == [
        "was designed by",
        "was born in",
        "is the capital of",
    ]
    assert [passage.source for passage in found.passages] == ["Harbour Tower", "Ada Brown", "Oslo"]
    assert (
        lookups.paths(graph, PathsRequest(start="Harbour Tower", end="Norway", max_length=2)).paths
        == ()
    )


def test_a_neighbourhood_is_limited(graph: GraphMap) -> None:
    found = lookups.neighbourhood(graph, NeighbourhoodRequest(name="Oslo"))
    assert {each.name for each in found.entities} == {"Ada Brown", "Norway"}
    assert {each.passages for each in found.statements} == {("Ada Brown#0",), ("Oslo#0",)}
    few = lookups.neighbourhood(graph, NeighbourhoodRequest(name="Oslo", depth=3, limit=1))
    assert len(few.statements) == 1


def test_an_unknown_name_is_a_fault_with_like_names(graph: GraphMap) -> None:
    with pytest.raises(FaultError, match="Harbour Tower") as raised:
        lookups.entity(graph, EntityRequest(name="Harbor Tower"))
    assert raised.value.fault.type == "not_found"
    assert raised.value.fault.detail["near"] == ["Harbour Tower"]


def test_pagerank_sums_to_one_and_stays_near_its_seeds() -> None:
    line = np.arange(9)
    transitions = Transitions(11, line, line + 1, np.ones(9))
    seeds = np.zeros(11)
    seeds[0] = 2.0
    ranks = personalised_pagerank(transitions, seeds, 0.5)
    assert ranks.sum() == pytest.approx(1)
    assert list(np.argsort(-ranks[:5])) == [0, 1, 2, 3, 4]
    assert ranks[10] == 0


async def test_a_result_has_a_size(store: MemoryStore) -> None:
    text = "x" * 900
    request = GraphQueryRequest(cypher=f"RETURN '{text}'", limit=1000)
    found = await ask(store, TENANT, request)
    assert found.truncated
    assert 0 < len(found.rows) < 1000
    with pytest.raises(FaultError, match="parameters are over"):
        await ask(
            store, TENANT, GraphQueryRequest(cypher="RETURN 1", parameters={"a": "x" * 70_000})
        )
