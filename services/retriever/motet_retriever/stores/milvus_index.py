"""Vectors in Milvus, in a folder of the store (Milvus Lite) or on a server.

A row is an entity with its number as the primary key, whose array `to` says who finds it. The index
is approximate, so the catalogue completes what it misses.

Milvus Lite runs in the process, and listens at a free port of loopback, where it asks for no key.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from typing_extensions import override

from motet.errors import FaultError
from motet.messages import FaultType
from motet_retriever.stores.port import Vector
from motet_retriever.stores.vector_index import (
    AT_ONCE,
    Home,
    Rows,
    VectorIndex,
    Vectors,
    batches,
    not_installed,
)

__all__ = ["MilvusIndex"]

KEYS = 256
"""Finders that a row has at most: three levels, and as many labels as a document may have."""
KEY_BYTES = 512
"""Of a finder: a level, a tenant and a label."""
CALL_WITHIN_S = 15.0


@contextmanager
def _without_dotenv() -> Generator[None]:
    """Keeps pymilvus from taking a file `.env`, of whatever, into this process' environment."""
    name = "PYTHON_DOTENV_DISABLED"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


class MilvusIndex(VectorIndex):
    """A collection of Milvus's."""

    given_rows: ClassVar[bool] = False

    def __init__(
        self, path: Path, home: Home, *, url: str | None, key: str | None, collection: str
    ) -> None:
        """The collection in the store's folder `path`, or on the server at `url`.

        Raises:
            SetupError: Milvus is not installed.
            FaultError: The server does not answer.
        """
        try:
            with _without_dotenv():
                from pymilvus import MilvusClient, MilvusException

                if url is None:
                    import_module("milvus_lite")
        except ImportError as error:
            raise not_installed("milvus", error) from None
        self._failures = MilvusException
        self._remote = url is not None
        if url is None:
            # That Milvus Lite has no timestamps, which `rows` can do without.
            logging.getLogger("pymilvus.client.iterator.query_iterator").setLevel(logging.ERROR)
        self._file = str(path / "milvus.db")
        # Milvus takes letters, digits and underscores, and no digit first.
        self._name = re.sub(r"^(?=\d)|\W", "_", home.collection(collection), flags=re.ASCII)
        with self._asking():
            self._client: Any = MilvusClient(
                url or self._file, token=key or "", timeout=CALL_WITHIN_S
            )
        try:
            with self._asking():
                self._prepare(home)
        except BaseException:
            self.close()
            raise

    def _prepare(self, home: Home) -> None:
        if not self._client.has_collection(self._name):
            self._create(home.dimension)
        self._client.load_collection(self._name)

    def _create(self, dimension: int) -> None:
        from pymilvus import DataType

        schema = self._client.create_schema()
        schema.add_field("row", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
        schema.add_field(
            "to",
            DataType.ARRAY,
            element_type=DataType.VARCHAR,
            max_capacity=KEYS,
            max_length=KEY_BYTES,
        )
        index = self._client.prepare_index_params()
        index.add_index("vector", index_type="AUTOINDEX", metric_type="IP")
        self._client.create_collection(self._name, schema=schema, consistency_level="Strong")
        # Waiting for it would take half a second, and is what Milvus Lite cannot be asked for.
        self._client.create_index(self._name, index, sync=False)

    @override
    def add(self, rows: Rows, vectors: Vectors, to: Sequence[Sequence[str]]) -> None:
        with self._asking():
            for some in batches(len(rows)):
                lines = zip(rows[some].tolist(), vectors[some], to[some], strict=True)
                self._client.upsert(
                    self._name,
                    [{"row": row, "vector": vector, "to": [*keys]} for row, vector, keys in lines],
                    timeout=CALL_WITHIN_S,
                )

    @override
    def remove(self, rows: Rows) -> None:
        with self._asking():
            for some in batches(len(rows)):
                self._client.delete(self._name, ids=rows[some].tolist(), timeout=CALL_WITHIN_S)

    @override
    def search(
        self, vector: Vector, limit: int, *, seen: Sequence[str], among: Rows | None
    ) -> tuple[Rows, Vector]:
        with self._asking():
            (found,) = self._client.search(
                self._name,
                [vector],
                limit=limit,
                filter=f"ARRAY_CONTAINS_ANY(to, {json.dumps([*seen])})",
                search_params={"metric_type": "IP"},
                timeout=CALL_WITHIN_S,
            )
        rows = np.array([hit["row"] for hit in found], np.int64)
        return rows, np.array([hit["distance"] for hit in found], np.float32)

    @override
    def rows(self) -> Rows:
        there: list[int] = []
        with self._asking():
            pages = self._client.query_iterator(
                self._name, batch_size=AT_ONCE, filter="row >= 0", output_fields=["row"]
            )
            while page := pages.next():
                there += [each["row"] for each in page]
            pages.close()
        return np.array(there, np.int64)

    @override
    def flush(self) -> None:
        with self._asking():
            self._client.flush(self._name)

    @override
    def close(self) -> None:
        self._client.close()
        if not self._remote:
            from milvus_lite.server_manager import server_manager_instance

            server_manager_instance.release_server(self._file)

    @contextmanager
    def _asking(self) -> Generator[None]:
        """Turns what goes wrong on a server into a fault."""
        try:
            yield
        except self._failures as error:
            if not self._remote:
                raise
            raise FaultError.of(
                FaultType.UNAVAILABLE, f"The Milvus server fails: {error}", retryable=True
            ) from error
