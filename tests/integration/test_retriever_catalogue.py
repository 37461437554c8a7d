"""Passage stores with a catalogue of their own keep what the port promises: FAISS, Chroma, Milvus.

Each adapter's tests are skipped where its packages, extras of the retriever, are not installed.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from motet_retriever.stores.catalogue_store import CatalogueStore, MakeIndex
from motet_retriever.stores.chroma_index import ChromaIndex
from motet_retriever.stores.faiss_index import FaissIndex
from motet_retriever.stores.milvus_index import MilvusIndex
from motet_retriever.stores.port import PassageStore
from tests.integration.stored_documents import DIMENSION
from tests.integration.test_retriever_store import PassageStoreContract


async def open_catalogue(path: Path, index: MakeIndex) -> CatalogueStore:
    return await CatalogueStore.open(path, index, model="fake:m", dimension=DIMENSION)


class TestFaiss(PassageStoreContract):
    @pytest.fixture(autouse=True)
    def installed(self) -> None:
        pytest.importorskip("faiss")

    async def open(self, path: Path) -> PassageStore:
        return await open_catalogue(path, FaissIndex)


class TestChroma(PassageStoreContract):
    @pytest.fixture(autouse=True)
    def installed(self) -> None:
        pytest.importorskip("chromadb")

    async def open(self, path: Path) -> PassageStore:
        index = partial(ChromaIndex, url=None, key=None, collection="motet")
        return await open_catalogue(path, index)


class TestMilvus(PassageStoreContract):
    @pytest.fixture(autouse=True)
    def installed(self) -> None:
        pytest.importorskip("milvus_lite")

    async def open(self, path: Path) -> PassageStore:
        index = partial(MilvusIndex, url=None, key=None, collection="motet")
        return await open_catalogue(path, index)
