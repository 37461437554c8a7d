"""The port of passage stores: what every adapter does, whichever engine is behind it.

Invariants, held by one test class that each adapter's tests inherit:

- A document is its source. `put` replaces all of it: no search sees passages of two versions of a
  document, or a part of one, at any time, also after the process was killed half-way.
- A `put` that fails leaves the version before findable.
- What returned survives the death of the process; what `flush` followed survives loss of power.
- After `delete` no search, list or count finds anything of the document.
- Calls may come concurrently, and none blocks the event loop for longer than one batch takes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motet.messages import DocumentInfo, Passage

__all__ = ["Branch", "Found", "IndexedPassage", "PassageStore", "Query", "Vector"]

Branch = Literal["dense", "sparse"]
Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class IndexedPassage:
    """A passage with what makes it findable."""

    passage: Passage
    words: str
    """The text that BM25 looks at: the passage under its title and headings."""
    vector: Vector
    """Its embedding, of length 1."""


@dataclass(frozen=True, slots=True)
class Query:
    """A search. A branch is asked when there is something to ask it by."""

    limit: int
    """Passages that each branch proposes at most."""
    vector: Vector | None = None
    """An embedding of length 1, for the dense branch."""
    words: str | None = None
    """Text, for the sparse branch."""
    sources: tuple[str, ...] = ()
    """Only passages of these documents; empty means all."""


class Found(NamedTuple):
    """A passage that a branch proposes."""

    passage: Passage
    score: float
    """Cosine or BM25, by branch."""


class PassageStore(ABC):
    """Documents and their passages, findable by meaning and by words."""

    @abstractmethod
    async def put(self, document: DocumentInfo, passages: Sequence[IndexedPassage]) -> None:
        """Adds a document, or replaces the version that is there."""

    @abstractmethod
    async def delete(self, sources: Sequence[str]) -> dict[str, int]:
        """Removes documents; returns the number of passages of each that was there."""

    @abstractmethod
    async def find(self, sources: Sequence[str]) -> dict[str, DocumentInfo]:
        """Those of the documents that are there, by source."""

    @abstractmethod
    async def page(self, limit: int, after: str | None) -> tuple[list[DocumentInfo], str | None]:
        """Up to `limit` documents in a fixed order, and the cursor after them.

        The cursor is opaque; None begins, and comes back with the last page.

        Raises:
            ValueError: `after` is no cursor of this store.
        """

    @abstractmethod
    async def search(self, query: Query) -> Mapping[Branch, Sequence[Found]]:
        """What each branch proposes, best first, seen at one moment."""

    @abstractmethod
    async def flush(self) -> None:
        """Returns once what was put and deleted survives loss of power."""

    @abstractmethod
    async def close(self) -> None:
        """Waits for what is under way and lets go of the store; a second call does nothing."""

    async def __aenter__(self) -> PassageStore:
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.close()
