"""Chroma and Milvus over the wire: a server of Chroma's own, and Milvus Lite as a server.

MOTET_TEST_CHROMA_URL and MOTET_TEST_MILVUS_URL name real ones to use instead.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from motet.errors import FaultError, NotYetError, SetupError
from motet.messages import ANYBODY
from motet.settings import Settings
from motet_retriever.app import collections_of
from motet_retriever.settings import RetrieverSettings
from motet_retriever.stores import chroma_index
from motet_retriever.stores.catalogue_store import MakeIndex
from motet_retriever.stores.chroma_index import ChromaIndex
from motet_retriever.stores.collections import EmbeddingModel
from motet_retriever.stores.milvus_index import MilvusIndex
from motet_retriever.stores.port import PassageStore, Query
from tests.integration.catalogue_processes import needs, open_catalogue
from tests.integration.store_access import AccessContract
from tests.integration.stored_documents import DIMENSION, unit, version
from tests.integration.test_retriever_store import everything

SCRIPTS = Path(sys.executable).parent


@asynccontextmanager
async def chosen(own: RetrieverSettings, part: str = "") -> AsyncIterator[PassageStore]:
    """The store that the settings mean."""
    collections = await collections_of(own, Settings(), part)
    model = EmbeddingModel("fake:m", DIMENSION)
    try:
        async with await collections.open(model) as store:
            await collections.serve(model)
            yield store
    finally:
        await collections.close()


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


def answers(port: int) -> bool:
    with socket.socket() as trying:
        return trying.connect_ex(("127.0.0.1", port)) == 0


class Server:
    """A server as a process."""

    def __init__(self, folder: Path, *command: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--port", str(self.port)],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
            )
        until = time.monotonic() + 30
        while not answers(self.port):
            assert self._process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < until
            time.sleep(0.05)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


def chroma(folder: Path) -> Server:
    return Server(folder, str(SCRIPTS / "chroma"), "run", "--path", str(folder / "data"))


def milvus(folder: Path) -> Server:
    data = str(folder / "data")
    return Server(folder, str(SCRIPTS / "milvus-lite"), "server", "--data-dir", data)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """The address of a server that all tests of an engine share."""
    running: dict[str, Server] = {}

    def url(engine: str, start: Callable[[Path], Server]) -> str:
        if given := os.environ.get(f"MOTET_TEST_{engine.upper()}_URL"):
            return given
        if engine not in running:
            running[engine] = start(tmp_path_factory.mktemp(engine))
        return running[engine].url

    yield url
    for server in running.values():
        server.stop()


class ServerContract(AccessContract):
    """Who sees what, where the vectors are elsewhere."""

    _url: str

    @abstractmethod
    def index(self, url: str) -> MakeIndex:
        """What opens an index on the server at `url`."""

    @abstractmethod
    def start(self, folder: Path) -> Server:
        """A server that keeps its data in `folder`."""

    async def open(self, path: Path) -> PassageStore:
        return await open_catalogue(path, self.index(self._url))

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[PassageStore]:
        async with await self.open(tmp_path) as store:
            yield store

    async def test_catalogues_on_one_server_are_apart(self, tmp_path: Path) -> None:
        async with (
            await self.open(tmp_path / "one") as one,
            await self.open(tmp_path / "two") as two,
        ):
            await one.put(*version("a", ["apple"]))
            await two.put(*version("b", ["pear"]))
            assert await everything(one) == {"a": {"apple"}}
            assert await everything(two) == {"b": {"pear"}}
        async with await self.open(tmp_path / "one") as one:
            assert len(cast("Any", one)._index.rows()) == 1

    async def test_a_server_that_is_gone_is_a_fault(self, tmp_path: Path) -> None:
        """What was put stays, what was not is not there, and it goes on when the server is back."""
        (tmp_path / "server").mkdir()
        server = self.start(tmp_path / "server")
        try:
            async with await open_catalogue(tmp_path / "store", self.index(server.url)) as store:
                await store.put(*version("a", ["apple"]))
                server.stop()
                with pytest.raises(FaultError, match="server fails") as raised:
                    await store.put(*version("b", ["pear"]))
                assert raised.value.fault.retryable
                with pytest.raises(FaultError, match="server fails"):
                    await store.search(Query(1, ANYBODY, vector=unit(0)))
                assert set(await store.find(ANYBODY, ["a", "b"])) == {"a"}
        finally:
            server.stop()
        with pytest.raises(NotYetError, match="server fails"):
            await open_catalogue(tmp_path / "store", self.index(server.url))


class TestChroma(ServerContract):
    @pytest.fixture(autouse=True)
    def shared_server(self, servers: Callable[..., str]) -> None:
        self._url = servers("chroma", self.start)

    def index(self, url: str) -> MakeIndex:
        needs("chromadb")
        return partial(ChromaIndex, url=url, key="secret", collection="motet")

    def start(self, folder: Path) -> Server:
        needs("chromadb")
        return chroma(folder)

    async def test_a_server_that_says_nothing_is_a_fault(
        self, store: PassageStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(chroma_index, "CALL_WITHIN_S", 0.001)
        with pytest.raises((FaultError, NotYetError), match="server fails"):
            async with await self.open(tmp_path / "other") as other:
                await other.put(*version("a", ["apple"] * 50))


class TestMilvus(ServerContract):
    @pytest.fixture(autouse=True)
    def shared_server(self, servers: Callable[..., str]) -> None:
        self._url = servers("milvus", self.start)

    def index(self, url: str) -> MakeIndex:
        needs("milvus_lite")
        return partial(MilvusIndex, url=url, key="root:secret", collection="0-motet")

    def start(self, folder: Path) -> Server:
        needs("milvus_lite")
        return milvus(folder)


@pytest.mark.skipif(
    not {"MOTET_TEST_CHROMA_URL", "MOTET_TEST_MILVUS_URL"}.isdisjoint(os.environ),
    reason="a real server was used",
)
def test_against_a_real_milvus() -> None:
    pytest.skip("MOTET_TEST_MILVUS_URL names no Milvus server: only Milvus Lite was there")


@pytest.mark.parametrize("kind", ["faiss", "chroma", "milvus"])
async def test_the_settings_choose_the_store(kind: Any, tmp_path: Path) -> None:
    """One for documents and one for memories beside it."""
    needs({"faiss": "faiss", "chroma": "chromadb", "milvus": "pymilvus"}[kind])
    own = RetrieverSettings(store=kind, store_dir=tmp_path / "retriever")
    for part in ("", "-memory"):
        async with chosen(own, part) as store:
            await store.put(*version("a", [f"apple{part}"]))
            assert await everything(store) == {"a": {f"apple{part}"}}
    assert [*(tmp_path / "retriever-memory").rglob("catalogue.sqlite")]
    with pytest.raises(SetupError, match=r"set to qdrant"):
        await collections_of(RetrieverSettings(store_dir=own.store_dir), Settings())


async def test_a_folder_goes_from_one_engine_to_another(tmp_path: Path) -> None:
    for name in ("faiss", "chromadb"):
        needs(name)
    there: dict[str, set[str]] = {}
    for number, kind in enumerate(("faiss", "chroma", "faiss", "chroma")):
        own = RetrieverSettings(store=cast("Any", kind), store_dir=tmp_path)
        async with chosen(own) as store:
            assert await everything(store) == there
            await store.delete(ANYBODY, ["s1"])
            there.pop("s1", None)
            await store.put(*version(f"s{number}", ["apple"]))
            there[f"s{number}"] = {"apple"}


async def test_faiss_has_no_server(tmp_path: Path) -> None:
    own = RetrieverSettings(store="faiss", url="http://127.0.0.1:1", store_dir=tmp_path)
    with pytest.raises(SetupError, match="unset MOTET_RETRIEVER_URL"):
        await collections_of(own, Settings())
