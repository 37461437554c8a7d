"""Passage stores with a catalogue of their own keep what the port promises: FAISS, Chroma, Milvus.

Each adapter's tests are skipped where its packages, extras of the retriever, are not installed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from motet_retriever.stores.catalogue_store import CatalogueStore, MakeIndex
from motet_retriever.stores.faiss_index import FaissIndex
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
