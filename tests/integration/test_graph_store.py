"""What every graph store does: one class, inherited for each server."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from neo4j import AsyncManagedTransaction

from motet.errors import FaultError, NotYetError, SetupError
from motet.messages import GraphQueryRequest, Passage
from motet.settings import Settings
from motet.telemetry import setup
from motet_graph.arcadedb_server import DATABASE, ArcadeDBServer, embedded_server
from motet_graph.asking import ask
from motet_graph.atlas import Atlas
from motet_graph.embedding import without_vectors
from motet_graph.renewal import Renewal, renew
from motet_graph.statements import DocumentPart, Mention, StoredPassage, StoredStatement
from motet_graph.stores import bolt, cypher
from motet_graph.stores.bolt import BoltStore
from motet_graph.stores.port import EntityRecord
from tests.embedder import LetterEmbedder
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


async def run(store: BoltStore, *statements: str) -> None:
    """Does in one transaction what the store itself would not."""

    async def work(tx: AsyncManagedTransaction) -> None:
        for statement in statements:
            await (await tx.run(statement)).consume()  # type: ignore[arg-type]  # a constant

    await store._write(work)  # pyright: ignore[reportPrivateUsage]


class Anew(LetterEmbedder):
    """Another model than `MODEL`."""

    name = "fake:anew"

    def __init__(self, name: str = name) -> None:
        self.name = name


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
        await run(store, "MATCH (n) DETACH DELETE n")

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

    async def test_deleting_while_it_is_put_leaves_nothing(
        self, store: BoltStore, connect: Connect
    ) -> None:
        stores = [await connect() for _ in range(4)]

        async def work(worker: int, own: BoltStore) -> None:
            for turn in range(10):
                await put(own, document("a", [("ada", f"{worker} {turn}", f"acme {worker}")]))
                await own.delete(TENANT, ["a"])

        try:
            async with asyncio.TaskGroup() as group:
                for worker, own in enumerate(stores):
                    group.create_task(work(worker, own))
        finally:
            for own in stores:
                await own.close()
        assert await self.rows(store, "MATCH (n) RETURN count(n)") == [(0,)]

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
        for statement in (
            "CREATE CONSTRAINT document_source FOR (d:Document) REQUIRE d.source IS UNIQUE",
            "CREATE CONSTRAINT entity_key FOR (e:Entity) REQUIRE e.key IS UNIQUE",
            "CREATE (:Document {source: 'a', revision: '1'})",
        ):
            await run(store, statement)
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

    async def test_who_made_the_vectors_and_of_what_is_loaded(
        self, store: BoltStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        part = document("a", [("ada", "leads", "acme"), ("acme", "is in", "oslo")])
        (passage,) = part.passages
        first, second = passage.statements
        said = "T: Ada, who leads Acme, is in Oslo."
        part = replace(
            part,
            passages=(
                replace(passage, titled=False, statements=(first._replace(text=said), second)),
            ),
        )
        await put(store, part)
        for scanned_from in (200, 0):
            monkeypatch.setattr(bolt, "SCANNED_FROM", scanned_from)
            (loaded,) = await store.load(TENANT, ["a"])
            assert loaded.model == MODEL
            assert not loaded.passages[0].titled
            assert [each.text for each in loaded.passages[0].statements] == [said, None]
        assert {each.model for each in await store.entities(TENANT, ["acme", "ada"])} == {MODEL}

    async def test_what_an_earlier_version_stored_is_loaded(self, store: BoltStore) -> None:
        part = document("a", [("ada", "leads", "acme")])
        await put(store, part)
        await run(
            store,
            "MATCH (d:Document)-[:HAS]->(p:Passage)-[:MENTIONS]->(e:Entity) "
            "REMOVE d.model, p.titled, e.model",
            "MATCH ()-[r:RELATES]->() REMOVE r.text",
        )
        (loaded,) = await store.load(TENANT, ["a"])
        (passage,) = loaded.passages
        assert (loaded.model, passage.titled, passage.statements[0].text) == (None, True, None)
        assert (await store.revisions(TENANT))["a"].model is None
        assert await store.made_by_others(MODEL) == [(TENANT, "a")]
        assert await renew(store, Anew(), TENANT, ["a"]) == 1
        assert await store.made_by_others(Anew.name) == []
        assert {each.model for each in await store.entities(TENANT, ["acme", "ada"])} == {Anew.name}

    async def test_a_renewal_changes_vectors_only(self, store: BoltStore) -> None:
        first = document("a", [("ada", "leads", "acme"), ("acme", "is in", "oslo")])
        await put(store, first)
        (loaded,) = await store.load(TENANT, ["a"])
        embedder = Anew()
        assert await renew(store, embedder, TENANT, ["a", "none"]) == 1
        (renewed,) = await store.load(TENANT, ["a"])
        assert (renewed.model, renewed.fingerprint) == (embedder.name, first.fingerprint)
        assert renewed.revision != first.revision
        assert without_vectors(replace(renewed, revision="1", model=MODEL)) == without_vectors(
            loaded
        )
        (passage,) = renewed.passages
        texts = ["T\nx", *("ACME is in OSLO", "ADA leads ACME"), "ACME", "ADA", "OSLO"]
        records = await store.entities(TENANT, ["acme", "ada", "oslo"])
        rows = [passage.vector, *(each.vector for each in passage.statements)]
        rows += [each.vector for each in sorted(records, key=lambda each: each.key)]
        wanted = await embedder.embed(texts)
        for row, vector in zip(rows, wanted, strict=True):
            assert row is not None
            assert np.allclose(row, vector, atol=1e-3)
        assert await renew(store, embedder, TENANT, ["a"]) == 0

    async def test_another_revision_is_not_renewed(self, store: BoltStore) -> None:
        part = document("a", [("ada", "leads", "acme")])
        anew = replace(part, revision="3", model="fake:other")
        records = {key: each._replace(model=anew.model) for key, each in entities(part).items()}
        assert not await store.renew(TENANT, anew, records, instead_of="1")
        assert await self.rows(store, "MATCH (n) RETURN count(n)") == [(0,)]
        await put(store, part)
        before = await store.revision(TENANT)
        for tenant, revision in ((TENANT, "0"), ("blue", "1")):
            assert not await store.renew(tenant, anew, records, instead_of=revision)
        assert await store.revision(TENANT) == before
        assert await store.made_by_others(MODEL) == []
        assert {each.model for each in await store.entities(TENANT, ["acme", "ada"])} == {MODEL}
        assert await store.renew(TENANT, anew, records, instead_of="1")
        assert await store.revision(TENANT) != before
        assert await store.made_by_others(MODEL) == [(TENANT, "a")]
        assert await self.counts(store) == (1, 1, 2, 1)

    async def test_an_entity_has_the_vector_of_the_last_model(self, store: BoltStore) -> None:
        part = document("a", [("ada", "leads", "acme")])
        await put(store, part)

        async def given(vector: Sequence[float], model: str) -> tuple[str, list[float], str | None]:
            row = np.array(vector, np.float32)
            records = {
                key: each._replace(name=key.title(), vector=row, model=model)
                for key, each in entities(part).items()
            }
            await store.put(TENANT, part, records)
            ((_, name, stored, made_by),) = await store.entities(TENANT, ["ada"])
            assert stored is not None
            return name, stored.tolist(), made_by

        assert await given([1, 0, 0, 0], MODEL) == ("ADA", VECTOR.tolist(), MODEL)
        assert await given([1, 0], "fake:other") == ("ADA", [1, 0], "fake:other")
        assert await given([0, 1], "fake:other") == ("ADA", [1, 0], "fake:other")

    async def test_what_others_made(self, store: BoltStore) -> None:
        for tenant, source, model in (
            ("red", "a", MODEL),
            ("red", "b", "fake:other"),
            ("blue", "a", None),
        ):
            await put(store, document(source, [("ada", "in", "oslo")], model=model), tenant)
        assert sorted(await store.made_by_others(MODEL)) == [("blue", "a"), ("red", "b")]
        assert sorted(await store.made_by_others("fake:other")) == [("blue", "a"), ("red", "a")]

    async def test_a_renewal_undoes_nothing(self, store: BoltStore, connect: Connect) -> None:
        """Two replicas renew on and on while documents are replaced and deleted."""
        sources = [f"{n}" for n in range(12)]
        for source in sources:
            await put(store, document(source, [("ada", "is", "here"), ("ada", "in", source)]))
        changed, renewed = asyncio.Event(), asyncio.Event()

        async def renewing(own: BoltStore, number: int) -> None:
            for turn in itertools.count():
                embedder = Anew(f"fake:{number}.{turn}")
                # The two from both ends, so that they seldom, and at last, meet.
                for source in sources[:: 1 - 2 * number]:
                    if await renew(own, embedder, TENANT, [source]):
                        renewed.set()
                    if changed.is_set():
                        return

        async def changing(own: BoltStore) -> None:
            for source in sources[::2]:
                renewed.clear()
                await renewed.wait()
                await put(own, document(source, [("bo", "left", source)], revision="2"))
                await own.delete(TENANT, [f"{int(source) + 1}"])
            changed.set()

        stores = [await connect() for _ in range(3)]
        try:
            async with asyncio.TaskGroup() as group:
                for number, own in enumerate(stores[:2]):
                    group.create_task(renewing(own, number))
                group.create_task(changing(stores[2]))
        finally:
            for own in stores:
                await own.close()
        assert (await store.revisions(TENANT)).keys() == set(sources[::2])
        assert await self.keys(store) == sorted(["bo", *sources[::2]])
        assert await self.counts(store) == (6, 6, 7, 6)
        said = await self.rows(store, "MATCH ()-[r:RELATES]->() RETURN DISTINCT r.predicate")
        assert said == [("left",)]

    async def test_replicas_renew_together(
        self, store: BoltStore, connect: Connect, tmp_path: Path
    ) -> None:
        triples = [(f"n{n}", "next to", f"n{n + 1}") for n in range(6)]
        for n in range(20):
            await put(store, document(f"{n}", triples), "red" if n % 2 else "blue")
        tracer = setup("graph", Settings(data_dir=tmp_path)).tracer
        stores = [await connect() for _ in range(2)]
        try:
            async with asyncio.TaskGroup() as group:
                for own in stores:
                    group.create_task(Renewal(own, Anew(), tracer).run())
        finally:
            for own in stores:
                await own.close()
        for tenant in ("red", "blue"):
            versions = await store.revisions(tenant)
            assert {each.model for each in versions.values()} == {Anew.name}
            drawn = await Atlas(store, Anew.name, refresh_s=0).current(tenant)
            # The first two names of each document are one entity.
            assert (len(drawn.passages), len(drawn.facts), len(drawn.name_vectors)) == (10, 50, 7)
            assert not drawn.partial
            for rows in (drawn.passage_vectors, drawn.fact_vectors, drawn.name_vectors):
                assert rows.shape[1] == Anew.dimension
                assert rows.any(axis=1).all()

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
