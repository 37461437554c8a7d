"""The passage store on a Qdrant server, shared by several retrievers.

Here against qdrant-client's local mode (`qdrant_servers` says where it differs), and against a
real server where MOTET_TEST_QDRANT_URL names one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast
from uuid import NAMESPACE_URL, uuid5

import pytest
from qdrant_client import AsyncQdrantClient, models

from motet.errors import FaultError, SetupError
from motet.messages import ANYBODY
from motet_retriever.stores import qdrant_records, qdrant_writer
from motet_retriever.stores.collections import EmbeddingModel
from motet_retriever.stores.port import PassageStore, Query
from motet_retriever.stores.qdrant_calls import Collection
from motet_retriever.stores.qdrant_records import TERMS, Records
from motet_retriever.stores.qdrant_server import QdrantServerStore
from tests.integration.qdrant_servers import Died, Hesitating, dying, hesitating
from tests.integration.qdrant_wire import WireServer
from tests.integration.stored_documents import DIMENSION, unit, version
from tests.integration.test_retriever_store import (
    PassageStoreContract,
    everything,
    exported,
    texts,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning"),
    pytest.mark.filterwarnings("ignore:Local mode performs exact:UserWarning"),
]
SERVER = os.environ.get("MOTET_TEST_QDRANT_URL")
KEY = os.environ.get("MOTET_TEST_QDRANT_API_KEY", "any")
OURS = "motet-test-"

MODEL = EmbeddingModel("fake:m", DIMENSION)


async def replica(client: AsyncQdrantClient) -> QdrantServerStore:
    return await QdrantServerStore.over(hesitating(client), "passages", MODEL)


@pytest.fixture
def client() -> AsyncQdrantClient:
    return AsyncQdrantClient(":memory:")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qdrant_records, "PATIENCE_S", 0.0)


KINDS = {
    "passage": TERMS.join(must_not=[TERMS.empty("document")]),
    "document": TERMS.join(must_not=[TERMS.empty("record"), TERMS.empty("to")]),
    "claim": TERMS.join(must=[TERMS.empty("to")], must_not=[TERMS.empty("record")]),
}


async def points(client: AsyncQdrantClient, kind: str = "passage") -> int:
    """How many points of a kind there are, findable or not."""
    which = models.Filter(must=[KINDS[kind]])
    return (await client.count("passages", count_filter=which)).count


class TestQdrantServer(PassageStoreContract):
    """A server: what is in it outlives who opens it."""

    @pytest.fixture(autouse=True)
    def servers(self) -> None:
        self._servers: dict[Path, AsyncQdrantClient] = defaultdict(
            lambda: AsyncQdrantClient(":memory:")
        )

    async def open(self, path: Path) -> PassageStore:
        return await replica(self._servers[path])


class TestQdrantWire(PassageStoreContract):
    """A server over HTTP: a real one by MOTET_TEST_QDRANT_URL, or else its interface alone."""

    @pytest.fixture(autouse=True)
    async def server(self) -> AsyncIterator[None]:
        if SERVER is None:
            with WireServer(KEY) as wire:
                self.url = wire.url
                yield
            return
        self.url = SERVER
        yield
        client = AsyncQdrantClient(url=SERVER, api_key=KEY)
        for each in (await client.get_collections()).collections:
            if each.name.startswith(OURS):
                await client.delete_collection(each.name)
        await client.close()

    async def open(self, path: Path) -> PassageStore:
        return await QdrantServerStore.open(
            self.url,
            api_key=KEY,
            collection=OURS + uuid5(NAMESPACE_URL, str(path)).hex,
            model="fake:m",
            dimension=DIMENSION,
        )


@pytest.mark.skipif(SERVER is not None, reason="MOTET_TEST_QDRANT_URL names one, so it was used")
def test_against_a_real_server() -> None:
    pytest.skip("MOTET_TEST_QDRANT_URL names no Qdrant server: only its interface was there")


async def test_replicas_see_what_each_other_writes(client: AsyncQdrantClient) -> None:
    one, other = await replica(client), await replica(client)
    await one.put(*version("a", ["apple", "pear"]))
    assert await everything(other) == {"a": {"apple", "pear"}}
    await other.put(*version("a", ["fig"], "v2"))
    assert await everything(one) == {"a": {"fig"}}
    assert await one.delete(ANYBODY, ["a"]) == {"a": 1}
    assert await everything(other) == {}
    assert await points(client) == await points(client, "document") == 0


async def test_replicas_write_one_document_at_once(client: AsyncQdrantClient) -> None:
    """Whatever is seen meanwhile is whole, and one version remains."""
    stores = [await replica(client) for _ in range(3)]
    done = asyncio.Event()
    seen: list[set[str]] = []

    async def replace(number: int) -> None:
        words = [f"{number} at{place}" for place in range(80)]
        await stores[number % 3].put(*version("a", words, f"v{number}"))

    async def look(store: PassageStore) -> None:
        while not done.is_set():
            seen.append((await everything(store)).get("a", set()))
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for store in stores:
            group.create_task(look(store))
        async with asyncio.TaskGroup() as writers:
            for number in range(9):
                writers.create_task(replace(number))
        done.set()
    assert len(seen) > 20
    for found in seen:
        assert len(found) in (0, 80)
        assert len({text.split()[0] for text in found}) <= 1
    assert len(await everything(stores[0])) == 1
    assert await points(client) == 80


async def test_a_search_that_overlaps_a_first_version(client: AsyncQdrantClient) -> None:
    """The question meets half of the passages; by the time that the answer is checked all count."""
    half, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Hesitating):
        async def upsert(self, name: str, points: Sequence[Any], **options: Any) -> None:
            await super().upsert(name, points[:40], **options)
            if len(points) <= 40:  # the record
                return
            half.set()
            await go_on.wait()
            await super().upsert(name, points[40:], **options)

    class Late(Hesitating):
        async def query_batch_points(self, name: str, requests: Sequence[Any]) -> list[Any]:
            answers = await super().query_batch_points(name, requests)
            go_on.set()
            await writing
            return answers

    reader = await QdrantServerStore.over(
        cast("AsyncQdrantClient", Late(client)), "passages", MODEL
    )
    writer = QdrantServerStore(
        Collection(cast("AsyncQdrantClient", Slow(client)), "passages"), MODEL
    )
    words = [f"passage {number}" for number in range(80)]
    writing = asyncio.create_task(writer.put(*version("a", words)))
    await half.wait()
    assert await everything(reader) == {"a": set(words)}


async def test_replicas_delete_and_write_at_once(client: AsyncQdrantClient) -> None:
    stores = [await replica(client) for _ in range(3)]
    for number in range(6):
        await asyncio.gather(
            stores[0].put(*version("a", [f"apple {number}"] * 3, f"v{number}")),
            stores[1].delete(ANYBODY, ["a"]),
            stores[2].put(*version("a", [f"pear {number}"] * 3, f"w{number}")),
        )
        found = await everything(stores[number % 3])
        assert await points(client) == (3 if found else 0)
        assert set(await stores[0].find(ANYBODY, ["a"])) == set(found)


def doomed(client: AsyncQdrantClient, calls: int) -> QdrantServerStore:
    """The store of a process that is killed after so many calls to the server."""
    return QdrantServerStore(Collection(dying(client, calls), "passages"), MODEL)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("calls", range(16))
async def test_killed_within_a_put(client: AsyncQdrantClient, calls: int) -> None:
    """Either version, never both; and nothing of before remains after the next."""
    store = await replica(client)
    await store.put(*version("a", ["old"] * 3))
    with contextlib.suppress(Died):
        await doomed(client, calls).put(*version("a", ["new"] * 300, "v2"))
        assert calls > 10
    (seen,) = (await everything(store)).values()
    found = await store.search(Query(1000, ANYBODY, vector=unit(0)))
    known = (await store.find(ANYBODY, ["a"]))["a"]
    assert (seen, len(found["dense"]), known.fingerprint) in (
        ({"old"}, 3, "v1"),
        ({"new"}, 300, "v2"),
    )
    (stored,) = (await exported(store)).values()
    assert (len(stored.passages), stored.document) == (len(found["dense"]), known)
    await store.put(*version("a", ["newest"], "v3"))
    assert await everything(store) == {"a": {"newest"}}
    assert await points(client) == 1


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("calls", range(9))
async def test_killed_within_a_delete(
    client: AsyncQdrantClient, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There as a whole or gone; and the next retriever that opens removes what is left."""
    store = await replica(client)
    await store.put(*version("a", ["apple"] * 3))
    await store.put(*version("b", ["pear"]))
    with contextlib.suppress(Died):
        await doomed(client, calls).delete(ANYBODY, ["a"])
    there = await store.find(ANYBODY, ["a"])
    assert await texts(store, "apple") == ({"apple"} if there else set())
    monkeypatch.setattr(qdrant_writer, "FORSAKEN_AFTER_S", -1)
    opened = await replica(client)
    assert await opened.find(ANYBODY, ["a"]) == there
    assert await points(client) == (4 if there else 1)
    assert await points(client, "claim") == 0
    assert await everything(opened) == {**({"a": {"apple"}} if there else {}), "b": {"pear"}}


async def test_what_is_left_of_a_dead_writer_crowds_nothing_out(client: AsyncQdrantClient) -> None:
    store = await replica(client)
    await store.put(*version("a", ["apple"]))
    with contextlib.suppress(Died):
        await doomed(client, 7).put(*version("b", ["apple"] * 300))
    assert await points(client) > 100
    found = await store.search(Query(2, ANYBODY, vector=unit(0), words="apple"))
    assert {branch: [each.passage.source for each in hits] for branch, hits in found.items()} == {
        "dense": ["a"],
        "sparse": ["a"],
    }


async def test_a_living_writer_is_waited_for(client: AsyncQdrantClient) -> None:
    store = await replica(client)
    claim = await Records(Collection(client, "passages")).claim("default", "a", make=True)
    assert claim is not None
    putting = asyncio.create_task(store.put(*version("a", ["apple"])))
    done, _ = await asyncio.wait([putting], timeout=0.3)
    assert not done
    await Records(Collection(client, "passages")).remove(claim)
    await asyncio.wait_for(putting, 5)
    assert await everything(store) == {"a": {"apple"}}


@pytest.mark.usefixtures("impatient")
async def test_who_lost_the_claim_leaves_nothing(client: AsyncQdrantClient) -> None:
    """Two writers that take each other over: one of their versions stays, whole."""
    stores = [await replica(client) for _ in range(2)]
    outcomes = await asyncio.gather(
        *(
            stores[number].put(*version("a", [f"of{number}"] * 600, f"v{number}"))
            for number in range(2)
        ),
        return_exceptions=True,
    )
    assert None in outcomes
    for outcome in outcomes:
        assert outcome is None or isinstance(outcome, FaultError)
    ((text,),) = (await everything(stores[0])).values()
    assert text in {"of0", "of1"}
    assert await points(client) == 600


async def test_other_embeddings_are_refused(client: AsyncQdrantClient) -> None:
    await replica(client)
    for model, dimension, said in (
        ("other:m", DIMENSION, r"embedding_model 'fake:m'.*'other:m'"),
        ("fake:m", 9, r"dimension 8.*9"),
    ):
        with pytest.raises(SetupError, match=said):
            await QdrantServerStore.over(client, "passages", EmbeddingModel(model, dimension))


async def test_a_collection_of_somebody_else_is_refused(client: AsyncQdrantClient) -> None:
    vectors = models.VectorParams(size=DIMENSION, distance=models.Distance.COSINE)
    await client.create_collection("passages", vectors_config={"dense": vectors})
    with pytest.raises(SetupError, match=r"not made by a retriever.*MOTET_RETRIEVER_COLLECTION"):
        await replica(client)


async def test_replicas_that_open_at_once(client: AsyncQdrantClient) -> None:
    stores = await asyncio.gather(*(replica(client) for _ in range(4)))
    await stores[0].put(*version("a", ["apple"]))
    assert await everything(stores[3]) == {"a": {"apple"}}


async def test_collections_are_apart(client: AsyncQdrantClient) -> None:
    one = await replica(client)
    other = await QdrantServerStore.over(client, "others", MODEL)
    await one.put(*version("a", ["apple"]))
    assert await everything(other) == {}
