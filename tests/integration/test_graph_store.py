"""What every graph store does: one class, inherited for each server."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from neo4j import AsyncManagedTransaction

from motet.errors import FaultError, NotYetError, SetupError
from motet.messages import GraphQueryRequest, Passage
from motet_graph.arcadedb_server import DATABASE, ArcadeDBServer, embedded_server
from motet_graph.asking import ask
from motet_graph.atlas import Atlas
from motet_graph.statements import DocumentPart, Mention, StoredPassage, StoredStatement
from motet_graph.stores import bolt, cypher
from motet_graph.stores.bolt import BoltStore
from motet_graph.stores.port import EntityRecord
from tests.unit.graph.hostile import HOSTILE

Triples = Sequence[tuple[str, str, str]]
VECTOR = np.array([0.5, -0.5, 0.5, -0.5], np.float32)
WORKERS = 8
TENANT = "red"
MODEL = "fake:some"


def document(
    source: str, triples: Triples, *, revision: str = "1", model: str | None = MODEL
) -> DocumentPart:
    """A document of one passage that states `triples`."""
    keys = sorted({key for subject, _, obj in triples for key in (subject, obj)})
    passage = Passage(
        id=f"{source}#0", source=source, title="T", text="x", position=0, start=0, end=1
    )
    return DocumentPart(
        source,
        f"fingerprint of {revision}",
        revision,
        (
            StoredPassage(
                passage,
                VECTOR,
                tuple(Mention(key, key.upper()) for key in keys),
                tuple(StoredStatement(*triple, VECTOR) for triple in sorted(triples)),
                ((keys[0], keys[1]),),
            ),
        ),
        model,
    )


def entities(part: DocumentPart) -> dict[str, EntityRecord]:
    """The entities that a document mentions."""
    return {
        mention.key: EntityRecord(mention.key, mention.name, VECTOR, part.model)
        for passage in part.passages
        for mention in passage.mentions
    }


async def put(store: BoltStore, part: DocumentPart, tenant: str = TENANT) -> None:
    await store.put(tenant, part, entities(part))


class GraphStoreTests:
    """Inherited by the tests of each server, which give `connect`."""

    @pytest.fixture
    async def store(self, connect: Connect) -> AsyncIterator[BoltStore]:
        store = await connect()
        await self.wipe(store)
        yield store
        await store.close()

    async def wipe(self, store: BoltStore) -> None:
        """Leaves nothing, also of what a test did that the store does not allow."""

        async def work(tx: AsyncManagedTransaction) -> None:
            await (await tx.run("MATCH (n) DETACH DELETE n")).consume()

        await store._write(work)  # pyright: ignore[reportPrivateUsage]

    async def rows(self, store: BoltStore, query: str) -> list[tuple[object, ...]]:
        found = await ask(store, TENANT, GraphQueryRequest(cypher=query))
        return list(found.rows)

    async def test_what_is_put_is_loaded(self, store: BoltStore) -> None:
        part = document("a", [("ada", "leads", "acme"), ("acme", "is in", "oslo")])
        await put(store, part)
        (loaded,) = await store.load(TENANT, ["a", "none"])
        assert (loaded.source, loaded.fingerprint, loaded.revision) == (
            part.source,
            part.fingerprint,
            part.revision,
        )
        (before,), (after,) = part.passages, loaded.passages
        assert after.passage == before.passage
        assert after.mentions == before.mentions
        assert after.aliases == before.aliases
        assert [row[:3] for row in after.statements] == [row[:3] for row in before.statements]
        vectors = [after.vector, *(row[3] for row in after.statements)]
        assert all(vector is not None and np.allclose(vector, VECTOR) for vector in vectors)
        records = await store.entities(TENANT, ["acme", "ada", "nobody", "oslo"])
        assert sorted(record.name for record in records) == ["ACME", "ADA", "OSLO"]

    async def test_many_are_loaded_like_few(
        self, store: BoltStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for source in "abc":
            await put(store, document(source, [("ada", "leads", "acme"), ("acme", "in", source)]))
        few = await store.load(TENANT, ["a", "b"])
        monkeypatch.setattr(bolt, "SCANNED_FROM", 0)
        many = await store.load(TENANT, ["a", "b"])
        assert [cypher.rows_of(TENANT, part) for part in few] == [
            cypher.rows_of(TENANT, part) for part in many
        ]
        assert [part.source for part in many] == ["a", "b"]

    async def test_putting_again_changes_nothing(self, store: BoltStore) -> None:
        part = document("a", [("ada", "leads", "acme")])
        await put(store, part)
        await put(store, part)
        assert await self.counts(store) == (1, 1, 2, 1)

    async def test_replacing_leaves_nothing_of_before(self, store: BoltStore) -> None:
        await put(store, document("a", [("ada", "leads", "acme"), ("acme", "is in", "oslo")]))
        await put(store, document("b", [("bo", "knows", "ada")]))
        await put(store, document("a", [("acme", "moved to", "rome")], revision="2"))
        assert await self.keys(store) == ["acme", "ada", "bo", "rome"]
        said = await self.rows(
            store, "MATCH ()-[r:RELATES]->() RETURN r.predicate ORDER BY r.predicate"
        )
        assert said == [("knows",), ("moved to",)]
        assert await store.revisions(TENANT) == {
            "a": ("2", "fingerprint of 2", MODEL),
            "b": ("1", "fingerprint of 1", MODEL),
        }

    async def test_a_change_is_another_revision_of_its_tenant(self, store: BoltStore) -> None:
        seen = [await store.revision("red")]
        assert seen == [None]
        for count in range(2):
            await put(store, document("a", [("ada", "leads", f"acme {count}")]), "red")
            seen.append(await store.revision("red"))
        await put(store, document("b", [("ada", "leads", "acme")]), "red")
        seen.append(await store.revision("red"))
        await store.delete("red", ["b", "none"])
        seen.append(await store.revision("red"))
        assert len({*seen}) == 5
        await put(store, document("a", [("ada", "leads", "acme")]), "blue")
        await store.delete("red", ["none"])
        assert await store.revision("red") == seen[-1]
        assert (await store.revisions("red", ["a", "none"])).keys() == {"a"}
        await store.delete("red", ["a"])
        assert await store.revision("red") is None

    async def test_deleting_leaves_nothing(self, store: BoltStore) -> None:
        await put(store, document("a", [("ada", "leads", "acme")]))
        await put(store, document("b", [("bo", "knows", "ada")]))
        assert await store.delete(TENANT, ["a", "none"]) == {"a"}
        assert await self.keys(store) == ["ada", "bo"]
        assert await store.delete(TENANT, ["b"]) == {"b"}
        assert await self.counts(store) == (0, 0, 0, 0)
        assert await self.rows(store, "MATCH (n) RETURN count(n)") == [(0,)]

    async def test_workers_make_one_node_an_entity(
        self, store: BoltStore, connect: Connect
    ) -> None:
        """Eight connections of their own put documents that speak of the same names."""
        names = [f"name {n}" for n in range(24)]

        async def work(worker: int, own: BoltStore) -> None:
            for turn in range(4):
                begin = worker * 3 + turn
                order = names[begin:] + names[:begin]
                triples = [(one, "next to", other) for one, other in itertools.pairwise(order)]
                await put(own, document(f"{worker}/{turn}", triples))

        stores = [await connect() for _ in range(WORKERS)]
        for own in stores:  # as if each were in a process of its own: none waits for its turn
            own._turn = contextlib.nullcontext()  # pyright: ignore[reportPrivateUsage]
        try:
            async with asyncio.TaskGroup() as group:
                for worker, own in enumerate(stores):
                    group.create_task(work(worker, own))
        finally:
            for own in stores:
                await own.close()
        assert await self.keys(store) == sorted(names)
        assert await self.counts(store) == (32, 32, 24, 32 * 23)
        assert len((await Atlas(store, MODEL, refresh_s=0).current(TENANT)).facts) > 0

    async def test_two_versions_at_once_do_not_mix(
        self, store: BoltStore, connect: Connect
    ) -> None:
        versions = [
            document("a", [(f"x{n}", "is", f"y{n}")], revision=str(n)) for n in range(WORKERS)
        ]
        stores = [await connect() for _ in versions]
        try:
            async with asyncio.TaskGroup() as group:
                for own, part in zip(stores, versions, strict=True):
                    group.create_task(put(own, part))
        finally:
            for own in stores:
                await own.close()
        ((revision, *_),) = (await store.revisions(TENANT)).values()
        assert await self.keys(store) == [f"x{revision}", f"y{revision}"]
        assert await self.counts(store) == (1, 1, 2, 1)

    async def test_tenants_share_nothing(
        self, store: BoltStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Two with the same source, the same passage id and names in common."""
        red = document("a", [("ada", "leads", "acme")])
        blue = document("a", [("ada", "left", "acme"), ("acme", "is in", "oslo")], revision="2")
        await put(store, red, "red")
        await put(store, blue, "blue")
        assert await store.revisions("red") == {"a": ("1", "fingerprint of 1", MODEL)}
        assert await store.revisions("blue") == {"a": ("2", "fingerprint of 2", MODEL)}
        assert await store.revisions("green") == {}
        for scanned_from in (200, 0):
            monkeypatch.setattr(bolt, "SCANNED_FROM", scanned_from)
            for tenant, part in (("red", red), ("blue", blue)):
                (loaded,) = await store.load(tenant, ["a"])
                (after,), (before,) = loaded.passages, part.passages
                assert after.mentions == before.mentions
                assert after.aliases == before.aliases
                assert [row[:3] for row in after.statements] == [
                    row[:3] for row in before.statements
                ]
            assert await store.load("green", ["a"]) == []
        keys = ["acme", "ada", "oslo"]
        assert [each.key for each in await store.entities("blue", keys)] == keys
        assert [each.key for each in await store.entities("red", keys)] == ["acme", "ada"]
        assert await store.entities("green", keys) == []

        assert await store.delete("green", ["a"]) == set()
        assert await store.delete("blue", ["a"]) == {"a"}
        assert await self.counts(store) == (1, 1, 2, 1)
        assert await self.keys(store) == ["acme", "ada"]
        ((stated, *_),) = (await store.load("red", ["a"]))[0].passages[0].statements
        assert stated == "ada"

    async def test_tenants_with_alike_names_share_nothing(self, store: BoltStore) -> None:
        await put(store, document("a", [("ada", "leads", "acme")]), "red")
        await put(store, document("a", [("bo", "leads", "acme")]), "Red")
        await put(store, document("a", [("cy", "leads", "acme")]), "red_a")
        for tenant, leader in (("red", "ada"), ("Red", "bo"), ("red_a", "cy")):
            found = await Atlas(store, MODEL, refresh_s=0).current(tenant)
            assert [each.keys for each in found.entities] == [("acme", leader)]

    async def test_a_query_needs_the_store_for_itself(self, store: BoltStore) -> None:
        query = GraphQueryRequest(cypher="MATCH (n) RETURN count(n)")
        await put(store, document("a", [("ada", "leads", "acme")]), "red")
        assert (await ask(store, "red", query)).rows == ((5,),)
        with pytest.raises(FaultError, match="other tenants"):
            await ask(store, "blue", query)
        await put(store, document("b", [("ada", "leads", "acme")]), "blue")
        for tenant in ("red", "blue"):
            with pytest.raises(FaultError, match="other tenants") as raised:
                await ask(store, tenant, query)
            assert (raised.value.fault.type, raised.value.fault.retryable) == (
                "invalid_input",
                False,
            )
        await store.delete("blue", ["b"])
        assert (await ask(store, "red", query)).rows == ((5,),)

    async def test_a_store_that_knew_no_tenants_is_refused(
        self, store: BoltStore, connect: Connect
    ) -> None:
        async def run(tx: AsyncManagedTransaction, statement: str) -> None:
            await (await tx.run(statement)).consume()  # type: ignore[arg-type]  # a constant

        for statement in (
            "CREATE CONSTRAINT document_source FOR (d:Document) REQUIRE d.source IS UNIQUE",
            "CREATE CONSTRAINT entity_key FOR (e:Entity) REQUIRE e.key IS UNIQUE",
            "CREATE (:Document {source: 'a', revision: '1'})",
        ):
            await store._write(partial(run, statement=statement))  # pyright: ignore[reportPrivateUsage]
        with pytest.raises(SetupError, match="is of an earlier version"):
            await connect()
        await self.wipe(store)
        again = await connect()
        try:  # of the old version's constraints nothing is left either
            await put(again, document("a", [("ada", "leads", "acme")]), "red")
            await put(again, document("a", [("ada", "leads", "acme")]), "blue")
        finally:
            await again.close()

    async def test_hostile_queries_change_and_reveal_nothing(self, store: BoltStore) -> None:
        await put(store, document("a", [("ada", "leads", "acme")]))
        before = await self.counts(store)
        for query in HOSTILE:
            with pytest.raises((FaultError, ValueError)) as raised:
                await ask(store, TENANT, GraphQueryRequest(cypher=query, parameters={"a": 1}))
            if isinstance(raised.value, FaultError):
                assert raised.value.fault.type == "invalid_input", query
        assert await self.counts(store) == before
        assert await self.rows(store, "MATCH (n) RETURN count(n)") == [(5,)]

    async def test_what_slips_through_the_parser_cannot_write(self, store: BoltStore) -> None:
        await put(store, document("a", [("ada", "leads", "acme")]))
        for statement in (
            "CREATE (n:Entity {key: 'evil'}) RETURN n",
            "MATCH (n) DETACH DELETE n",
            "MERGE (n:Evil) RETURN n",
            "CREATE INDEX evil FOR (n:Entity) ON (n.name)",
        ):
            with pytest.raises(FaultError):
                await store.query(statement, {}, limit=10, timeout_s=5)
        assert await self.counts(store) == (1, 1, 2, 1)

    async def test_rows_are_json_and_limited(self, store: BoltStore) -> None:
        await put(store, document("a", [("ada", "leads", "acme")]))
        request = GraphQueryRequest(
            cypher="MATCH p = (a:Entity)-[r:RELATES]->(b) RETURN a, r, length(p) AS n, b.vector",
        )
        found = await ask(store, TENANT, request)
        assert found.columns[:3] == ("a", "r", "n")
        ((node, relation, length, vector),) = found.rows
        assert node["labels"] == ["Entity"]
        assert node["properties"] == {
            "id": "red\nada",
            "tenant": "red",
            "key": "ada",
            "name": "ADA",
            "model": MODEL,
        }
        assert relation["type"] == "RELATES"
        assert "vector" not in relation["properties"]
        assert (length, vector) == (1, None)
        few = GraphQueryRequest(cypher="MATCH (n) RETURN n", limit=2)
        cut = await ask(store, TENANT, few)
        assert (len(cut.rows), cut.truncated) == (2, True)

    async def test_a_query_that_takes_long_is_cut(self, store: BoltStore) -> None:
        triples = [(f"n{a}", "is", f"n{b}") for a in range(14) for b in range(14) if a < b]
        await put(store, document("a", triples))
        request = GraphQueryRequest(
            cypher="MATCH (a)-[:RELATES*1..6]-(b)-[:RELATES*1..6]-(c)-[:RELATES*1..6]-(d) "
            "WHERE a.name + b.name = c.name + d.name + 'x' RETURN count(*)",
            timeout_s=0.3,
        )
        with pytest.raises(FaultError) as raised:
            await ask(store, TENANT, request)
        assert raised.value.fault.type == "deadline_exceeded"
        assert await self.rows(store, "MATCH (d:Document) RETURN d.source") == [("a",)]

    async def counts(self, store: BoltStore) -> tuple[object, ...]:
        """Documents, passages, entities and statements."""
        queries = (
            "MATCH (n:Document) RETURN count(n)",
            "MATCH (n:Passage) RETURN count(n)",
            "MATCH (n:Entity) RETURN count(n)",
            "MATCH (:Entity)-[r:RELATES]->() RETURN count(r)",
        )
        return tuple([(await self.rows(store, query))[0][0] for query in queries])

    async def keys(self, store: BoltStore) -> list[object]:
        return [
            row[0] for row in await self.rows(store, "MATCH (e:Entity) RETURN e.key ORDER BY e.key")
        ]


class Connect:
    """Connects to a server."""

    def __init__(self, url: str, writer: tuple[str, str], reader: tuple[str, str] | None) -> None:
        self.url = url
        self._writer = writer
        self._reader = reader
        self.database = DATABASE if reader else "neo4j"

    async def __call__(self) -> BoltStore:
        return await BoltStore.open(
            self.url, self._writer, reader=self._reader, database=self.database
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def arcadedb(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ArcadeDBServer]:
    async with embedded_server(tmp_path_factory.mktemp("arcadedb")) as server:
        yield server


class TestArcadeDB(GraphStoreTests):
    """The embedded server."""

    @pytest.fixture
    def connect(self, arcadedb: ArcadeDBServer) -> Connect:
        return Connect(arcadedb.url, arcadedb.writer, arcadedb.reader)

    async def test_it_is_recognised(self, store: BoltStore) -> None:
        assert store.dialect.name == "ArcadeDB"

    async def test_a_reader_is_asked_for(self, arcadedb: ArcadeDBServer) -> None:
        with pytest.raises(SetupError, match="MOTET_GRAPH_READER_USER"):
            await BoltStore.open(arcadedb.url, arcadedb.writer, database=DATABASE)

    async def test_a_wrong_password_is_nothing_to_wait_for(self, arcadedb: ArcadeDBServer) -> None:
        guessed = (arcadedb.writer[0], "guessed")
        with pytest.raises(SetupError, match="cannot be used") as raised:
            await BoltStore.open(arcadedb.url, guessed, reader=arcadedb.reader, database=DATABASE)
        assert not isinstance(raised.value, NotYetError)


@pytest.mark.skipif(
    "MOTET_TEST_NEO4J_URL" not in os.environ,
    reason="no Neo4j: start one with `make neo4j` and set MOTET_TEST_NEO4J_URL to its address",
)
class TestNeo4j(GraphStoreTests):
    """A real Neo4j, as `make neo4j` starts it."""

    @pytest.fixture
    def connect(self) -> Connect:
        password = os.environ.get("MOTET_TEST_NEO4J_PASSWORD", "motet-graph")
        return Connect(os.environ["MOTET_TEST_NEO4J_URL"], ("neo4j", password), None)


async def test_a_server_that_does_not_answer_may_yet_come() -> None:
    with pytest.raises(NotYetError, match=r"bolt://127\.0\.0\.1:9 cannot be used"):
        await BoltStore.open("bolt://127.0.0.1:9", None, database="graph")


async def test_a_folder_has_one_server(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(embedded_server(tmp_path))
        with pytest.raises(SetupError, match="open in another process"):
            await stack.enter_async_context(embedded_server(tmp_path))
