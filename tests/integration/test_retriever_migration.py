"""Another embedding model, while the retriever serves: in its folder, and on a Qdrant server."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from qdrant_client import AsyncQdrantClient, models

from motet.errors import FaultError, SetupError
from motet.messages import (
    Document,
    DocumentFailure,
    DocumentInfo,
    DocumentsRequest,
    DocumentsResult,
    FaultType,
    IngestRequest,
    IngestResult,
    Principal,
    RecallRequest,
    RecallResult,
    RememberRequest,
    RememberResult,
    SearchRequest,
    SearchResult,
    now,
)
from motet.settings import Settings
from motet.telemetry import setup
from motet.testing.mesh import TestMesh, runner
from motet_retriever import filling, migration
from motet_retriever.app import agent
from motet_retriever.chunking import Chunking
from motet_retriever.documents import Sources
from motet_retriever.ingestion import Ingestion
from motet_retriever.migration import Index, Indexes
from motet_retriever.stores import mirrored
from motet_retriever.stores.catalogue_store import catalogue_collections
from motet_retriever.stores.collections import Collections, EmbeddingModel, Mark, State
from motet_retriever.stores.faiss_index import FaissIndex
from motet_retriever.stores.port import PassageStore, Query, StoredDocument
from motet_retriever.stores.qdrant_calls import Collection
from motet_retriever.stores.qdrant_collections import QdrantCollections
from motet_retriever.stores.qdrant_edge import edge_collections
from tests.integration.catalogue_processes import needs
from tests.integration.qdrant_servers import Died, Hesitating, dying, hesitating
from tests.integration.qdrant_wire import WireServer
from tests.integration.stored_documents import run_in_process

pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning"),
    pytest.mark.filterwarnings("ignore:Local mode performs exact:UserWarning"),
]
STAFF = Principal(tenant="one", access=("staff",))


class Words:
    """Texts with equal words are near, to one model; of two models' vectors nothing can be said."""

    def __init__(self, name: str, dimension: int = 16) -> None:
        self.name = f"fake:{name}"
        self.dimension = dimension
        self.embedded = 0
        self.fails = False
        self.before: Callable[[], Any] = lambda: None
        """Called before texts are embedded."""

    async def embed(self, texts: Sequence[str]) -> np.ndarray[Any, Any]:
        await asyncio.sleep(0)
        self.before()
        if self.fails:
            raise FaultError.of(FaultType.MODEL_FAILED, "It does not answer.", retryable=True)
        self.embedded += len(texts)
        return self._vectors(texts)

    async def embed_queries(self, texts: Sequence[str]) -> np.ndarray[Any, Any]:
        await asyncio.sleep(0)
        return self._vectors(texts)

    def _vectors(self, texts: Sequence[str]) -> np.ndarray[Any, Any]:
        rows = [sum(map(self._of, text.split()), np.zeros(self.dimension)) for text in texts]
        made = np.array(rows, np.float32).reshape(-1, self.dimension)
        return made / np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-9)

    def _of(self, word: str) -> np.ndarray[Any, Any]:
        seed = int.from_bytes(hashlib.sha256(f"{self.name} {word}".encode()).digest()[:8])
        return np.random.default_rng(seed).standard_normal(self.dimension)


def models_of(dimension: int = 16) -> tuple[Words, Words]:
    return Words("old"), Words("new", dimension)


class Place:
    """Where collections are, whoever opens them."""

    def __init__(self, path: Path, kind: str) -> None:
        self.path = path
        self.kind = kind
        self.client = AsyncQdrantClient(":memory:") if kind == "server" else None

    async def collections(self, client: AsyncQdrantClient | None = None) -> Collections:
        if self.kind == "catalogue":
            return catalogue_collections(self.path / "store", FaissIndex)
        if self.client is None:
            return edge_collections(self.path / "store")
        shared = client or hesitating(self.client)
        return await QdrantCollections.over(Collection(shared, "passages"))

    async def open(self, model: Words, *others: Words, **options: Any) -> Indexes:
        known = {each.name: each for each in others}
        return await Indexes.open(
            await self.collections(**options), model, known.__getitem__, tracer()
        )


def tracer() -> Any:
    return setup("retriever", Settings()).tracer


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for that takes seconds elsewhere."""
    for name, value in {"KEPT_S": 0.0, "POLL_S": 0.01, "AGAIN_S": (0.01, 0.01)}.items():
        monkeypatch.setattr(filling, name, value)
    monkeypatch.setattr(migration, "GIVES_WAY_S", 0.001)
    monkeypatch.setattr(migration, "FOLLOWS_WITHIN_S", 0.0)
    monkeypatch.setattr(mirrored, "LOOK_EVERY_S", 0.0)


@pytest.fixture(params=["folder", "catalogue", "server"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "catalogue":
        needs("faiss")
    return Place(tmp_path, request.param)


@pytest.fixture
def server(tmp_path: Path) -> Place:
    return Place(tmp_path, "server")


@pytest.fixture
async def ingestion() -> AsyncIterator[Ingestion]:
    nowhere: Any = None
    made = Ingestion(nowhere, nowhere, Chunking(tokens=16, overlap=0))
    yield made
    await made.close()


def text_of(name: str, version: int, parts: int = 3) -> str:
    return "\n\n".join(f"{name} says {version} in part{part} of {name}." for part in range(parts))


async def fetch(_: Any) -> bytes:
    raise AssertionError("nothing is fetched")


async def ingest(
    ingestion: Ingestion, indexes: Indexes, name: str, version: int = 0, by: Principal = STAFF
) -> None:
    document = Document(
        source=name,
        media_type="text/markdown",
        text=text_of(name, version),
        labels=by.access if version % 2 else (),
    )
    async with indexes.taken() as index:
        over = ingestion.over(index.store, index.embedder)
        result = await over.ingest(by, [document], Sources(fetch))
    assert result.items[0].status != "failed"


async def look(index: Index, text: str, by: Principal = STAFF) -> tuple[str, float]:
    """The nearest passage, and its score."""
    (vector,) = await index.embedder.embed_queries([text])
    found = await index.store.search(Query(1, by, vector=vector, words=text))
    assert found["sparse"]
    (best,) = found["dense"]
    return best.passage.source, best.score


async def migrated(indexes: Indexes, to: Words, instead_of: PassageStore | None = None) -> None:
    """Waits until the model serves, from another store than `instead_of`."""
    while indexes.now.embedder is not to or indexes.now.store is instead_of:
        await indexes.follow()
        await asyncio.sleep(0)


async def contents(store: PassageStore) -> dict[tuple[str, str], StoredDocument]:
    documents: list[StoredDocument] = []
    after: str | None = None
    while True:
        some, after = await store.export(10, after)
        documents += some
        if after is None:
            return {(each.tenant, each.document.source): each for each in documents}


def told(there: dict[tuple[str, str], StoredDocument]) -> dict[tuple[str, str], str]:
    """What each document says."""
    return {
        key: " ".join(part.passage.text for part in each.passages if "passage" in part.levels)
        for key, each in there.items()
    }


def words_in(text: str) -> str:
    return " ".join(text.split())


async def test_words_of_a_former_version_are_counted_anew(
    place: Place, ingestion: Ingestion
) -> None:
    """With the same model: searches go on, and nothing is embedded again."""
    model = Words("same")
    former = EmbeddingModel(model.name, model.dimension, words=1)
    collections = await place.collections()
    async with await collections.open(former) as store:
        over = ingestion.over(store, model)
        for name, text in (("de", "Die Heizungen brummen"), ("ja", "昇降機を調べる")):
            documents = [Document(source=name, text=text, media_type="text/plain")]
            await over.ingest(STAFF, documents, Sources(fetch))
        await collections.serve(former)
        missed = await store.search(Query(1, STAFF, words="昇降機"))
        assert not missed["sparse"]
    await collections.close()
    embedded = model.embedded
    async with await place.open(model) as indexes:
        assert (await indexes.now.store.find(STAFF, ["de"])).keys() == {"de"}
        async with asyncio.timeout(20):
            await migrated(indexes, model, instead_of=indexes.now.store)
        async with indexes.taken() as index:
            for words, source in (("昇降機", "ja"), ("Heizung", "de")):
                found = await index.store.search(Query(1, STAFF, words=words))
                assert [each.passage.source for each in found["sparse"]] == [source]
    assert model.embedded == embedded
    collections = await place.collections()
    assert (await collections.state()).serving == EmbeddingModel(model.name, model.dimension)
    await collections.close()


@pytest.mark.parametrize("dimension", [16, 24])
async def test_searches_go_on(
    place: Place, tmp_path: Path, ingestion: Ingestion, dimension: int
) -> None:
    """With the old model, then with the new one: at each moment right, and never empty."""
    old, new = models_of(dimension)
    async with await place.open(old) as indexes:
        for number in range(30):
            await ingest(ingestion, indexes, f"d{number}", number)
        async with indexes.taken() as index:
            parts = (await contents(index.store))["one", "d7"].passages
    question = next(each.words for each in parts if "passage" in each.levels)
    embedded = old.embedded
    seen: list[str] = []
    async with await place.open(new, old) as indexes:
        assert indexes.now.embedder is old

        async def searcher() -> None:
            last = old.name
            while seen[-20:] != [new.name] * 20:
                async with indexes.taken() as index:
                    # Another's search that began before may still end after one that begins now.
                    assert (last, index.embedder.name) != (new.name, old.name)
                    last = index.embedder.name
                    source, score = await look(index, question)
                    assert (source, round(score, 3)) == ("d7", 1.0)
                    seen.append(last)

        await asyncio.wait_for(asyncio.gather(*(searcher() for _ in range(2))), 50)
        assert seen.count(old.name) > 5
        async with indexes.taken() as index:
            found = await contents(index.store)
        assert new.embedded == embedded  # each passage once
    # Nothing tells it from what is ingested with the new model, wholes included.
    async with await Place(tmp_path / "other", "folder").open(new) as fresh:
        for number in range(30):
            await ingest(ingestion, fresh, f"d{number}", number)
        async with fresh.taken() as index:
            wanted = await contents(index.store)
    assert found.keys() == wanted.keys()
    for key, each in wanted.items():
        there = {part.passage.id: part for part in found[key].passages}
        assert len(there) == len(each.passages) > 3
        for part in each.passages:
            assert (there[part.passage.id].words, there[part.passage.id].levels) == (
                part.words,
                part.levels,
            )
            np.testing.assert_allclose(there[part.passage.id].vector, part.vector, atol=1e-5)


@pytest.mark.parametrize("seed", range(4))
async def test_what_is_written_meanwhile(place: Place, ingestion: Ingestion, seed: int) -> None:
    """Documents come, change, get other labels, fail and go, before and after the switch."""
    chance = random.Random(seed)
    old, new = models_of()
    model: dict[tuple[str, str], str] = {}
    versions = 0

    async def write(indexes: Indexes) -> None:
        nonlocal versions
        versions += 1
        version, name = versions, f"d{chance.randrange(12)}"
        by = STAFF if chance.random() < 0.7 else Principal(tenant="two", access=("x",))
        match chance.randrange(4):
            case 0:
                async with indexes.taken() as index:
                    await index.store.delete(by, [name])
                model.pop((by.tenant, name), None)
            case 1:
                why = DocumentFailure(reason=f"Broken {version}.", at=now())
                async with indexes.taken() as index:
                    await index.store.fail(by, failed(name, why))
                model.setdefault((by.tenant, name), "")
            case _:
                await ingest(ingestion, indexes, name, version, by)
                model[by.tenant, name] = words_in(text_of(name, version))

    async with await place.open(old) as indexes:
        for _ in range(20):
            await write(indexes)
    async with await place.open(new, old) as indexes:
        for _ in range(12):
            await write(indexes)
        await asyncio.wait_for(migrated(indexes, new), 50)
        for _ in range(3):
            await write(indexes)
        async with indexes.taken() as index:
            assert told(await contents(index.store)) == model
            for (tenant, name), text in model.items():
                by = Principal(tenant=tenant, access=("staff", "x"))
                if text:
                    assert (await look(index, f"{name} > part1 of {name}", by))[0]


def failed(source: str, why: DocumentFailure) -> DocumentInfo:
    return DocumentInfo(
        source=source,
        title=source,
        media_type="text/plain",
        sha256="",
        fingerprint="",
        characters=0,
        passages=0,
        ingested_at=why.at,
        failure=why,
    )


async def migrate_and_die(path: Path, after: int) -> None:
    """Is killed before so many passages were embedded anew."""
    old, new = models_of()

    def before() -> None:
        if new.embedded >= after:
            signal.raise_signal(signal.SIGKILL)

    indexes = await Place(path, "folder").open(new, old)
    new.before = before
    await migrated(indexes, new)


async def test_killed_half_way(tmp_path: Path, ingestion: Ingestion) -> None:
    place = Place(tmp_path, "folder")
    old, new = models_of()
    async with await place.open(old) as indexes:
        for number in range(10):
            await ingest(ingestion, indexes, f"d{number}")
    for after in (0, 5, 20):
        assert await run_in_process(migrate_and_die, tmp_path, after) == -signal.SIGKILL
    async with await place.open(new, old) as indexes:
        assert indexes.now.embedder is old
        await asyncio.wait_for(migrated(indexes, new), 20)
        assert 0 < new.embedded < old.embedded  # what was done is not done again
        async with indexes.taken() as index:
            assert len(await contents(index.store)) == 10


@pytest.mark.parametrize("calls", range(20, 220, 25))
async def test_killed_half_way_on_a_server(
    server: Place, ingestion: Ingestion, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirrored, "LAPSES_S", 0.2)
    old, new = models_of()
    async with await server.open(old) as indexes:
        for number in range(4):
            await ingest(ingestion, indexes, f"d{number}")
    assert server.client is not None
    with contextlib.suppress(Died):
        doomed = await server.open(new, old, client=dying(server.client, calls))
        assert doomed._task is not None
        await doomed._task
    async with await server.open(new, old) as indexes:
        await asyncio.wait_for(migrated(indexes, new), 20)
        async with indexes.taken() as index:
            assert told(await contents(index.store)) == {
                ("one", f"d{number}"): words_in(text_of(f"d{number}", 0)) for number in range(4)
            }
            assert (await look(index, "d2 says 0 in part1 of d2."))[0] == "d2"


async def test_set_back(place: Place, ingestion: Ingestion) -> None:
    """While it migrates, and after: what was written to the one since is in the other."""
    old, new = models_of()
    async with await place.open(old) as indexes:
        for number in range(6):
            await ingest(ingestion, indexes, f"d{number}")
    started = asyncio.Event()

    def one_batch() -> None:
        new.fails = new.embedded > 0
        if new.fails:
            started.set()

    new.before = one_batch
    async with await place.open(new, old):
        await started.wait()
    assert 0 < new.embedded < old.embedded
    async with await place.open(old, new) as indexes:
        assert indexes.now.embedder is old
        await ingest(ingestion, indexes, "d0", 1)
        async with indexes.taken() as index:
            await index.store.delete(STAFF, ["d1"])
    new.fails, new.before = False, lambda: None
    async with await place.open(new, old) as indexes:
        await asyncio.wait_for(migrated(indexes, new), 20)
        await ingest(ingestion, indexes, "d2", 2)
        await ingest(ingestion, indexes, "d9", 1)
        async with indexes.taken() as index:
            await index.store.delete(STAFF, ["d3"])
            wanted = told(await contents(index.store))
    before = old.embedded
    async with await place.open(old, new) as indexes:
        await asyncio.wait_for(migrated(indexes, old), 20)
        async with indexes.taken() as index:
            assert told(await contents(index.store)) == wanted
    assert {name for _, name in wanted} == {"d0", "d2", "d4", "d5", "d9"}
    assert old.embedded == before + 6  # the two that were others


async def test_a_model_that_fails_meanwhile(place: Place, ingestion: Ingestion) -> None:
    """Searches and ingestion go on, and what was written then is there in the end."""
    old, new = models_of()
    async with await place.open(old) as indexes:
        await ingest(ingestion, indexes, "a")
    async with await place.open(new, old) as indexes:
        new.fails = True
        async with indexes.taken() as index:
            assert index.embedder is old
            assert (await look(index, "a says 0 in part1 of a."))[0] == "a"
        with contextlib.suppress(FaultError):  # between two attempts nobody makes up for it
            await ingest(ingestion, indexes, "b")
        new.fails = False
        await ingest(ingestion, indexes, "b")
        await asyncio.wait_for(migrated(indexes, new), 20)
        async with indexes.taken() as index:
            assert told(await contents(index.store)).keys() == {("one", "a"), ("one", "b")}


async def test_a_call_keeps_what_it_began_with(place: Place, ingestion: Ingestion) -> None:
    """Also after the switch; then the former collection is closed."""
    old, new = models_of(24)
    async with await place.open(old) as indexes:
        await ingest(ingestion, indexes, "a")
    async with await place.open(new, old) as indexes:
        async with indexes.taken() as index:
            await asyncio.wait_for(migrated(indexes, new), 20)
            assert index.embedder is old
            assert await look(index, "a says 0 in part1 of a.")
            await ingest(ingestion.over(index.store, index.embedder), indexes, "b")
        async with indexes.taken() as index:
            assert index.embedder is new
            assert told(await contents(index.store)).keys() == {("one", "a"), ("one", "b")}


async def test_a_former_model_that_is_gone(place: Place, ingestion: Ingestion) -> None:
    old, new = models_of()
    async with await place.open(old) as indexes:
        await ingest(ingestion, indexes, "a")

    def former(name: str) -> Words:
        raise SetupError(f"The weights of {name} are not here.")

    with pytest.raises(SetupError, match=r"fake:old.*cannot be had. The weights of .*set"):
        await Indexes.open(await place.collections(), new, former, tracer())
    with pytest.raises(SetupError, match=r"Its vectors have 7 numbers now"):
        await Indexes.open(await place.collections(), new, lambda _: Words("old", 7), tracer())
    async with await place.open(old) as indexes:  # nothing is held, and nothing has changed
        assert indexes.now.embedder is old


async def test_it_gives_way_to_calls(
    place: Place, ingestion: Ingestion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is embedded anew while a call is under way, and little where one always is."""
    monkeypatch.setattr(migration, "GIVES_WAY_S", 60)
    old, new = models_of()
    async with await place.open(old) as indexes:
        await ingest(ingestion, indexes, "a")
    async with await place.open(new, old) as indexes:
        async with indexes.taken() as index:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(migrated(indexes, new), 0.5)
            assert (await look(index, "a says 0 in part1 of a."))[0] == "a"
            assert not new.embedded
        await asyncio.wait_for(migrated(indexes, new), 20)
    monkeypatch.setattr(migration, "GIVES_WAY_S", 0.01)
    async with await place.open(old, new) as indexes, indexes.taken():
        await asyncio.wait_for(migrated(indexes, old), 20)


# On a server, with several retrievers.


async def test_a_write_that_overlaps_a_migration(server: Place, ingestion: Ingestion) -> None:
    """Of a retriever that knows nothing of it: it does not count, and is made again by another."""
    assert server.client is not None
    old, new = models_of()
    storing, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Hesitating):
        async def upsert(self, name: str, points: Sequence[Any], **options: Any) -> None:
            if any(point.payload.get("passage_id") for point in points):
                storing.set()
                await go_on.wait()
            await super().upsert(name, points, **options)

    client = cast("AsyncQdrantClient", Slow(server.client))
    async with await server.open(old, client=client) as former:
        writing = asyncio.create_task(ingest(ingestion, former, "a"))
        await storing.wait()
        async with await server.open(new, old) as indexes:
            await asyncio.wait_for(migrated(indexes, new), 20)
            go_on.set()
            with pytest.raises(FaultError, match="taken over"):
                await writing
            async with indexes.taken() as index:
                assert await contents(index.store) == {}


async def test_a_retriever_with_the_former_model(server: Place, ingestion: Ingestion) -> None:
    """It only reads while others migrate, and nothing at all after; what it stored is there."""
    old, new = models_of()
    stored: set[str] = set()
    refused: list[tuple[str, bool]] = []
    enough = asyncio.Event()
    async with await server.open(old) as former:
        for number in range(5):
            await ingest(ingestion, former, f"d{number}")
            stored.add(f"d{number}")

        async def writer() -> None:
            number = 5
            while not former.displaced.is_set():
                try:
                    await ingest(ingestion, former, f"d{number}")
                except FaultError as error:
                    refused.append((error.fault.type, error.fault.retryable))
                else:
                    stored.add(f"d{number}")
                    if len(stored) == 8:
                        enough.set()
                number += 1
                await asyncio.sleep(0)

        async def reader() -> int:
            count = 0
            while True:
                try:
                    async with former.taken() as index:
                        assert (await look(index, "d3 says 0 in part1 of d3."))[0] == "d3"
                except FaultError:
                    return count
                count += 1

        async with asyncio.TaskGroup() as group:
            group.create_task(writer())
            reading = group.create_task(reader())
            await enough.wait()
            async with await server.open(new, old) as indexes:
                await asyncio.wait_for(migrated(indexes, new), 50)
                await asyncio.wait_for(former.displaced.wait(), 20)
                async with indexes.taken() as index:
                    there = {name for _, name in await contents(index.store)}
        assert set(refused) == {("unavailable", True)}
        assert reading.result() > 3
        assert stored <= there


async def test_two_retrievers_that_migrate(server: Place, ingestion: Ingestion) -> None:
    """One of them fills; both store meanwhile, and both go over."""
    old, new = models_of()
    async with await server.open(old) as indexes:
        for number in range(8):
            await ingest(ingestion, indexes, f"d{number}")
    before = old.embedded
    both = [await server.open(new, old) for _ in range(2)]
    new.embedded = 0
    model = {f"d{number}": 0 for number in range(8)}
    for version in range(1, 13):
        name = f"d{version % 6}"
        if version % 4:
            await ingest(ingestion, both[version % 2], name, version)
            model[name] = version
        else:
            async with both[version % 2].taken() as index:
                await index.store.delete(STAFF, [name])
            model.pop(name, None)
    for each in both:
        await asyncio.wait_for(migrated(each, new), 30)
    assert new.embedded <= before + 3 * 9 * 2
    for each in both:
        async with each.taken() as index:
            assert told(await contents(index.store)) == {
                ("one", name): words_in(text_of(name, version)) for name, version in model.items()
            }
    for each in both:
        await each.close()


async def test_a_mark_that_nobody_renews(
    server: Place, ingestion: Ingestion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that died while it migrated keeps others from that, and from storing, for a while."""
    monkeypatch.setattr(mirrored, "LAPSES_S", 0.3)
    old, new = models_of()
    async with await server.open(old) as former:
        await ingest(ingestion, former, "a")
        collections = await server.collections()
        await collections.open(EmbeddingModel(new.name, new.dimension))
        await collections.mark(Mark(EmbeddingModel(new.name, new.dimension).key, "0123"))
        with pytest.raises(FaultError, match="taking over"):
            await ingest(ingestion, former, "b")
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(FaultError):
                    await ingest(ingestion, former, "b")
                    break
    async with await server.open(new, old) as indexes:
        await asyncio.wait_for(migrated(indexes, new), 20)
        async with indexes.taken() as index:
            assert told(await contents(index.store)).keys() == {("one", "a"), ("one", "b")}
    assert (await collections.state()).marks == frozenset()


async def test_one_of_many_has_the_mandate(server: Place) -> None:
    collections = await server.collections()
    to = EmbeddingModel("fake:new", 16)
    await collections.open(to)
    watches = [mirrored.Watch(await server.collections()) for _ in range(4)]
    mandates = [filling.Mandate(collections, watch, to) for watch in watches]
    for _ in range(20):
        claimed = await asyncio.gather(*(each.claim() for each in mandates))
        assert sum(claimed) <= 1
        for mandate in mandates:
            await mandate.release()


async def test_a_mandate_that_lapsed_for_a_moment_is_lost(
    server: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though nobody has taken it: others may have stored documents in that moment."""
    monkeypatch.setattr(filling, "RENEWED_EVERY_S", 0.001)
    collections = await server.collections()
    to = EmbeddingModel("fake:new", 16)
    await collections.open(to)
    mandate = filling.Mandate(collections, mirrored.Watch(collections), to)
    assert await mandate.claim()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(mandate.renew(), 0.3)
    assert mandate.fresh
    mandate._renewed -= mirrored.LAPSES_S
    assert not mandate.fresh
    await asyncio.wait_for(mandate.renew(), 10)
    assert mandate._marks
    await mandate.release()
    assert await collections.state() == State(None, frozenset(mandate._marks))


async def test_collections_of_a_server_as_they_may_be(server: Place, ingestion: Ingestion) -> None:
    assert server.client is not None
    client, (old, new) = server.client, models_of()
    vectors = models.VectorParams(size=3, distance=models.Distance.COSINE)
    await client.create_collection("passages", vectors_config={"dense": vectors})
    with pytest.raises(SetupError, match=r"'passages' is of an earlier.*_COLLECTION"):
        await server.open(old)
    await client.delete_collection("passages")
    async with await server.open(old) as indexes:
        await ingest(ingestion, indexes, "a")
    key = EmbeddingModel(old.name, old.dimension).key
    gone = models.DeleteAlias(alias_name="passages")
    # Restored from a snapshot, which has no alias.
    await client.update_collection_aliases([models.DeleteAliasOperation(delete_alias=gone)])
    async with await server.open(old) as indexes, indexes.taken() as index:
        assert await index.store.find(STAFF, ["a"])
    assert [each.collection_name for each in (await client.get_aliases()).aliases] == [
        f"passages-{key}"
    ]
    await (await server.collections()).open(EmbeddingModel(new.name, new.dimension))
    await client.update_collection_aliases([models.DeleteAliasOperation(delete_alias=gone)])
    with pytest.raises(SetupError, match=rf"passages-{key}.*no alias 'passages'"):
        await server.open(old)


async def test_over_http(ingestion: Ingestion) -> None:
    """The same calls to an HTTP server."""
    old, new = models_of()
    with WireServer("key") as wire:

        async def opened(model: Words) -> Indexes:
            collections = await QdrantCollections.at(wire.url, api_key="key", name="passages")
            return await Indexes.open(collections, model, lambda _: old, tracer())

        async with await opened(old) as indexes:
            await ingest(ingestion, indexes, "a")
        async with await opened(new) as indexes:
            await asyncio.wait_for(migrated(indexes, new), 20)
            async with indexes.taken() as index:
                assert (await look(index, "a says 0 in part1 of a."))[0] == "a"


# In a mesh, as a user has it.


async def ingested(mesh: TestMesh, name: str, version: int = 0) -> str:
    document = Document(source=name, media_type="text/markdown", text=text_of(name, version))
    result = await mesh.motet.call(
        "retriever.ingest", IngestRequest(documents=(document,)), IngestResult
    )
    return result.items[0].status


async def searched(mesh: TestMesh, name: str) -> str:
    request = SearchRequest(query=f"{name} says 0 in part1 of {name}.", limit=1)
    result = await mesh.motet.call("retriever.search", request, SearchResult)
    return result.passages[0].source


async def test_another_setting_and_a_restart(
    mesh: TestMesh, caplog: pytest.LogCaptureFixture
) -> None:
    """Documents and memories are found before, meanwhile and after; the log says how far it is."""
    caplog.set_level("INFO", logger="motet_retriever")
    old, new = models_of(24)
    before = await mesh.join(agent, context={"embedder": old})
    for number in range(6):
        assert await ingested(mesh, f"d{number}") == "added"
    remember = RememberRequest(id="tea", text="The user drinks green tea.")
    await mesh.motet.call("retriever.remember", remember, RememberResult)
    await mesh.leave(before)
    after = await mesh.join(agent, context={"embedder": new, "embedders": {old.name: old}})
    both: list[Indexes] = [after.context.get("documents"), after.context.get("memories")]
    while not all([await each.follow() for each in both]):
        assert await searched(mesh, "d3") == "d3"
        found = await mesh.motet.call(
            "retriever.recall", RecallRequest(query="Which tea?"), RecallResult
        )
        assert [each.id for each in found.memories] == ["tea"]
    assert await searched(mesh, "d3") == "d3"
    assert await ingested(mesh, "d3") == "unchanged"
    said = [record.getMessage() for record in caplog.records]
    assert "documents: fake:old serves, and fake:new is made ready beside it" in said
    (switch,) = (each for each in said if each.startswith("memories: fake:new serves now"))
    kept = EmbeddingModel(old.name, old.dimension).key
    assert f"retriever-memory/{kept} is kept: remove it when you do not go back" in switch
    folder = mesh.settings.data_dir / "retriever"
    assert EmbeddingModel(new.name, new.dimension).key in {each.name for each in folder.iterdir()}
    migrations = [each for each in mesh.spans() if each.name == "migrate documents"]
    assert sum(int(each.attributes["motet.documents"]) for each in migrations) == 6


async def test_replicas_one_after_another(
    mesh: TestMesh, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No call fails while retrievers with the new setting join those with the former one."""
    with WireServer() as wire:
        monkeypatch.setenv("MOTET_RETRIEVER_URL", wire.url)
        old, new = models_of()
        former = await mesh.join(agent, context={"embedder": old})
        stored = {f"d{number}" for number in range(3)}
        for name in stored:
            await ingested(mesh, name)
        later = await mesh.join(agent, context={"embedder": new, "embedders": {old.name: old}})
        indexes: Indexes = later.context.get("documents")
        number = 3
        while not await indexes.follow():
            assert await searched(mesh, "d1") == "d1"
            await ingested(mesh, f"d{number}")
            stored.add(f"d{number}")
            number += 1
        # The former one notices at its next call, and leaves; the call is answered by the other.
        left: asyncio.Event = former.context.get("documents").displaced
        while not left.is_set():
            assert await searched(mesh, "d1") == "d1"
        assert await ingested(mesh, "last") == "added"
        listed = await mesh.motet.call("retriever.documents", DocumentsRequest(), DocumentsResult)
        assert {each.source for each in listed.documents} == stored | {"last"}
        assert not await runner(former).ready()
        assert await runner(later).ready()
    assert "Retrievers with another MOTET_EMBEDDING_MODEL have taken over" in caplog.text
