"""Stores with a catalogue, and processes that are killed while they change one."""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import pytest

from motet_retriever.stores.catalogue_store import CatalogueStore, MakeIndex
from motet_retriever.stores.chroma_index import ChromaIndex
from motet_retriever.stores.faiss_index import FaissIndex
from motet_retriever.stores.milvus_index import MilvusIndex
from tests.integration.stored_documents import DIMENSION, version

__all__ = ["INDEXES", "LAST_STEP", "needs", "open_catalogue", "replace_and_die"]


def needs(package: str) -> None:
    """Skips a test where a package is not installed, without importing it."""
    if find_spec(package) is None:
        pytest.skip(f"the package {package} of an extra is not installed")


IN_THE_FOLDER: dict[str, Any] = {"url": None, "key": None, "collection": "motet"}
INDEXES: dict[str, MakeIndex] = {
    "faiss": FaissIndex,
    "chroma": partial(ChromaIndex, **IN_THE_FOLDER),
    "milvus": partial(MilvusIndex, **IN_THE_FOLDER),
}
LAST_STEP = 4


async def open_catalogue(path: Path, index: MakeIndex) -> CatalogueStore:
    return await CatalogueStore.open(path, index, model="fake:m", dimension=DIMENSION)


async def replace_and_die(kind: str, path: Path, step: int) -> None:
    """Replaces `a`, and is killed at a step of that.

    0 before the vectors are added, 1 after that, 2 before the commit, 3 before the old vectors are
    removed, 4 after that.
    """
    store = await open_catalogue(path, INDEXES[kind])
    index, catalogue = cast("Any", store)._index, cast("Any", store)._catalogue
    _die_around(index, "add", step, 0)
    _die_around(index, "remove", step, 3)
    if step == 2:

        def seen(statement: str) -> None:
            if statement == "COMMIT":
                signal.raise_signal(signal.SIGKILL)

        await store._worker.run(catalogue._db.set_trace_callback, seen)
    await store.put(*version("a", ["new"] * 300, "v2"))


def _die_around(index: Any, name: str, step: int, first: int) -> None:
    call: Callable[..., None] = getattr(index, name)

    def dying(*arguments: Any) -> None:
        if step == first:
            signal.raise_signal(signal.SIGKILL)
        call(*arguments)
        if step == first + 1:
            signal.raise_signal(signal.SIGKILL)

    setattr(index, name, dying)
