"""What a retriever does when its Qdrant server refuses, fails, is slow, or is not there."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from motet.errors import FaultError, NotYetError, SetupError
from motet.messages import (
    ANYBODY,
    Document,
    DocumentsRequest,
    DocumentsResult,
    IngestRequest,
    IngestResult,
    SearchRequest,
    SearchResult,
)
from motet.testing.mesh import TestMesh
from motet_retriever.app import agent
from motet_retriever.stores import qdrant_calls
from motet_retriever.stores.port import Query
from motet_retriever.stores.qdrant_server import QdrantServerStore
from tests.embedder import LetterEmbedder
from tests.integration.qdrant_wire import WireServer
from tests.integration.stored_documents import DIMENSION, unit, version

pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning"),
    pytest.mark.filterwarnings("ignore:Local mode performs exact:UserWarning"),
]
KEY = "a-key"
QUERY = Query(5, ANYBODY, vector=unit(0), words="apple")


@pytest.fixture
def server() -> Iterator[WireServer]:
    with WireServer(KEY) as server:
        yield server


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qdrant_calls, "CONNECT_WITHIN_S", 0.2)
    monkeypatch.setattr(qdrant_calls, "TRIED_FOR_S", 1.0)
    monkeypatch.setattr(qdrant_calls, "TIMEOUT_S", 1)


async def opened(url: str, key: str | None = KEY) -> QdrantServerStore:
    return await QdrantServerStore.open(
        url, api_key=key, collection="passages", model="fake:m", dimension=DIMENSION
    )


@pytest.mark.parametrize("key", [None, "another"])
async def test_a_key_that_is_refused(server: WireServer, key: str | None) -> None:
    with pytest.raises(SetupError, match=r"refuses the key.*MOTET_RETRIEVER_API_KEY"):
        await opened(server.url, key)


async def test_a_key_that_is_withdrawn_later(server: WireServer) -> None:
    async with await opened(server.url) as store:
        server.key = "rotated"
        with pytest.raises(FaultError) as raised:
            await store.search(QUERY)
        assert raised.value.fault.type == "unavailable"
        assert raised.value.fault.retryable
        assert KEY not in str(raised.value)


@pytest.mark.usefixtures("hasty")
async def test_no_server() -> None:
    with pytest.raises(NotYetError, match=r"http://127\.0\.0\.1:9 cannot be used.*does not answer"):
        await opened("http://127.0.0.1:9")


async def test_a_server_that_is_just_starting(
    server: WireServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.failures = [503, 503]
    async with await opened(server.url) as store:
        assert await store.page(ANYBODY, 5, None) == ([], None)


async def test_a_server_that_is_too_old(server: WireServer) -> None:
    server.version = "1.19.1"
    with pytest.raises(SetupError, match=r"version 1\.19\.1; the retriever needs 1\.20"):
        await opened(server.url)


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_failure_that_passes_is_not_noticed(server: WireServer, status: int) -> None:
    async with await opened(server.url) as store:
        for _ in range(2):
            server.failures = [status]
            await store.put(*version("a", ["apple"]))
            server.failures = [status]
            assert len((await store.search(QUERY))["dense"]) == 1


@pytest.mark.usefixtures("hasty")
async def test_a_failure_that_stays_is_a_fault_to_try_again(server: WireServer) -> None:
    async with await opened(server.url) as store:
        await store.put(*version("a", ["apple"]))
        server.failures = [503] * 1000
        for asked in (
            store.search(QUERY),
            store.put(*version("a", ["pear"], "v2")),
            store.delete(ANYBODY, ["a"]),
            store.find(ANYBODY, ["a"]),
            store.page(ANYBODY, 5, None),
        ):
            with pytest.raises(FaultError) as raised:
                await asked
            fault = raised.value.fault
            assert (fault.type, fault.retryable) == ("unavailable", True)
        server.failures = []
        assert len((await store.search(QUERY))["dense"]) == 1


@pytest.mark.usefixtures("hasty")
async def test_a_server_that_hangs(server: WireServer) -> None:
    async with await opened(server.url) as store:
        server.hold = threading.Event()
        with pytest.raises(FaultError) as raised:
            await store.search(QUERY)
        server.hold.set()
        assert (raised.value.fault.type, raised.value.fault.retryable) == ("unavailable", True)
        await store.put(*version("a", ["apple"]))


async def test_what_the_server_does_not_take_is_not_tried_again(server: WireServer) -> None:
    async with await opened(server.url) as store:
        server.failures = [400]
        before = len(server.requests)
        with pytest.raises(FaultError) as raised:
            await store.search(QUERY)
        assert (raised.value.fault.type, raised.value.fault.retryable) == ("internal", False)
        assert len(server.requests) == before + 1


async def test_two_retrievers_on_one_server(
    mesh: TestMesh, server: WireServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Either of them finds what either ingested, also after the other has gone."""
    monkeypatch.setenv("MOTET_RETRIEVER_URL", server.url)
    monkeypatch.setenv("MOTET_RETRIEVER_API_KEY", KEY)
    first = await mesh.join(agent, context={"embedder": LetterEmbedder()})
    await mesh.join(agent, context={"embedder": LetterEmbedder()})

    async def ingest(number: int) -> IngestResult:
        document = Document(source=f"{number}.txt", text=f"Apple number {number} is red.")
        return await mesh.motet.call(
            "retriever.ingest", IngestRequest(documents=(document,)), IngestResult
        )

    results = await asyncio.gather(*(ingest(number) for number in range(12)))
    assert {item.status for result in results for item in result.items} == {"added"}
    await mesh.leave(first)
    listed = await mesh.motet.call("retriever.documents", DocumentsRequest(), DocumentsResult)
    assert len(listed.documents) == 12
    request = SearchRequest(query="apple", limit=50)
    found = await mesh.motet.call("retriever.search", request, SearchResult)
    assert len({passage.source for passage in found.passages}) == 12
    assert not (mesh.settings.data_dir / "retriever").exists()
