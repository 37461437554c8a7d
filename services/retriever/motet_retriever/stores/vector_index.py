"""The port of vector indexes: what finds rows of a catalogue by their embeddings.

A row is a passage's number in the catalogue, which keeps the embedding too: an index can be lost
and made again. Rows are never used again, so what an index has for a row is never out of date, only
missing or left over; `CatalogueStore` compares both when it opens.

One thread calls an index.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from motet.errors import SetupError
from motet_retriever.stores.port import Vector

__all__ = ["AT_ONCE", "Home", "Rows", "VectorIndex", "Vectors", "batches", "not_installed"]

Rows = NDArray[np.int64]
Vectors = NDArray[np.float32]
"""One embedding of length 1 a line."""

AT_ONCE = 1000
"""Rows that a call of an engine takes."""


@dataclass(frozen=True, slots=True)
class Home:
    """Whose an index is, and of what."""

    catalogue: str
    """The catalogue's own id, a UUID. Nothing but it writes to the index."""
    model: str
    """What made the embeddings."""
    dimension: int
    """Numbers in an embedding."""

    def collection(self, name: str) -> str:
        """The name of an index on a server: no two catalogues have the same."""
        return f"{name[:200]}-{self.catalogue}"


class VectorIndex(ABC):
    """Rows by their embeddings, and by who finds them."""

    given_rows: ClassVar[bool]
    """Whether a search is told the rows that it may find, however many, and compares with all of
    them. Another is told who asks, and may be approximate: the catalogue completes what it finds.
    """

    @abstractmethod
    def add(self, rows: Rows, vectors: Vectors, to: Sequence[Sequence[str]]) -> None:
        """Adds rows, each with who finds it as `finders` writes that, unless it is `given_rows`."""

    @abstractmethod
    def remove(self, rows: Rows) -> None:
        """Removes rows; those that are not there are passed over."""

    @abstractmethod
    def search(
        self, vector: Vector, limit: int, *, seen: Sequence[str], among: Rows | None
    ) -> tuple[Rows, NDArray[np.float32]]:
        """The nearest rows, at most `limit`, best first, and their inner products.

        Only rows that have one of `seen` under `to` are looked at, or those `among` where the index
        is `given_rows`.
        """

    @abstractmethod
    def rows(self) -> Rows:
        """All rows that are there."""

    @abstractmethod
    def flush(self) -> None:
        """Returns once what was added and removed is on disk, as far as the engine can tell."""

    @abstractmethod
    def close(self) -> None:
        """Lets go of the engine."""


def not_installed(store: str, error: ImportError) -> SetupError:
    """What to say where the packages of a store are missing."""
    return SetupError(
        f"MOTET_RETRIEVER_STORE={store} needs packages that are not installed ({error.name}): "
        f"pip install 'motet-retriever[{store}]'"
    )


def batches(count: int) -> Iterator[slice]:
    """Slices of at most `AT_ONCE` that cover so many rows."""
    return (slice(first, first + AT_ONCE) for first in range(0, count, AT_ONCE))
