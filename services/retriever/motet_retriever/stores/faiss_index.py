"""Vectors in memory, by FAISS: every search compares with all rows that it may find.

Nothing of it is on disk: the catalogue has the vectors, and fills the index when it opens.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from typing_extensions import override

from motet_retriever.stores.port import Vector
from motet_retriever.stores.vector_index import Home, Rows, VectorIndex, Vectors, not_installed

__all__ = ["FaissIndex"]


class FaissIndex(VectorIndex):
    """A flat index of inner products."""

    given_rows: ClassVar[bool] = True

    def __init__(self, path: Path, home: Home) -> None:  # noqa: ARG002 - nothing is in the folder
        """An empty index.

        Raises:
            SetupError: FAISS is not installed.
        """
        try:
            import faiss
        except ImportError as error:
            raise not_installed("faiss", error) from None
        # FAISS's own hints are those of its C++ interface, and its Python one takes arrays.
        self._faiss: Any = faiss
        self._index: Any = self._faiss.IndexIDMap(self._faiss.IndexFlatIP(home.dimension))

    @override
    def add(self, rows: Rows, vectors: Vectors, to: Sequence[Sequence[str]]) -> None:
        self._index.add_with_ids(vectors, rows)

    @override
    def remove(self, rows: Rows) -> None:
        self._index.remove_ids(rows)

    @override
    def search(
        self, vector: Vector, limit: int, *, seen: Sequence[str], among: Rows | None
    ) -> tuple[Rows, Vector]:
        if among is None or not len(among):
            return np.empty(0, np.int64), np.empty(0, np.float32)
        allowed = np.zeros(int(among.max()) + 1, np.bool_)
        allowed[among] = True
        selector = self._faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
        scores, rows = self._index.search(
            vector[np.newaxis],
            min(limit, len(among)),
            params=self._faiss.SearchParameters(sel=selector),
        )
        return rows[0], scores[0]

    @override
    def rows(self) -> Rows:
        return self._faiss.vector_to_array(self._index.id_map)

    @override
    def flush(self) -> None:
        pass

    @override
    def close(self) -> None:
        self._index.reset()
