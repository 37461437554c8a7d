"""The port of passage stores: what every adapter does, whichever engine is behind it.

Invariants, held by one test class that each adapter's tests inherit:

- A document is its tenant and its source. `put` replaces all of it: no search sees passages of two
  versions of a document, or a part of one, at any time, also after the process was killed half-way.
- A `put` that fails leaves the version before findable.
- What returned survives the death of the process; what `flush` followed survives loss of power.
- After `delete` no search, list or count finds anything of the document.
- Whatever is read, but for `export`, is of the principal's tenant (in a search, also of that of who
  is `beside`), and without labels or with one that the principal has. The engine's own query says
  so: nothing else is ever proposed, counted, or paged over.
- Calls may come concurrently, and none blocks the event loop for longer than one batch takes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from motet.messages import DocumentInfo, Filter, Label, Passage, Principal

__all__ = [
    "Branch",
    "Found",
    "HiddenError",
    "IndexedPassage",
    "Level",
    "PassageStore",
    "Query",
    "StoredDocument",
    "Vector",
    "owner",
]

Branch = Literal["dense", "sparse"]
Vector = NDArray[np.float32]

Level = Literal["passage", "section", "document"]
"""What is searched. A section or a document that is one passage is found by that passage; of
others there is an entry of their own, which no search of passages finds."""


@dataclass(frozen=True, slots=True)
class IndexedPassage:
    """A passage, a section or a document, with what makes it findable."""

    passage: Passage
    words: str
    """The text that BM25 looks at: the passage under its title and headings. Ends with its text."""
    vector: Vector
    """Its embedding, of length 1."""
    levels: tuple[Level, ...] = ("passage",)
    """As what it is found. One without `passage` is a section or document of several passages:
    its text is short or empty, its vector the mean of theirs."""

    @property
    def lead(self) -> str:
        """The words before the passage's text: what a store keeps, to give the words again.

        Raises:
            ValueError: The words do not end with the text.
        """
        if not self.words.endswith(self.passage.text):
            raise ValueError(f"The words of {self.passage.id!r} do not end with its text.")
        return self.words[: len(self.words) - len(self.passage.text)]


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document as it was put."""

    tenant: str
    document: DocumentInfo
    passages: list[IndexedPassage]
    """By position; none of one that has only failed."""

    @property
    def owner(self) -> Principal:
        """Somebody who sees it, so may replace and remove it."""
        return owner(self.tenant, self.document.labels[:1])


def owner(tenant: str, access: Sequence[Label] = ()) -> Principal:
    """Somebody in the store, who may have a name that no tenant can have."""
    return Principal.model_construct(tenant=tenant, access=tuple(access))


@dataclass(frozen=True, slots=True)
class Query:
    """A search. A branch is asked when there is something to ask it by."""

    limit: int
    """Passages that each branch proposes at most."""
    principal: Principal
    """Who asks."""
    beside: Principal | None = None
    """Somebody else whose passages are searched as well."""
    vector: Vector | None = None
    """An embedding of length 1, for the dense branch."""
    words: str | None = None
    """Text, for the sparse branch."""
    sources: tuple[str, ...] = ()
    """Only passages of these documents; empty means all."""
    where: Filter | None = None
    """Only passages for which this holds."""
    level: Level = "passage"
    """What is searched."""
    exact: bool = False
    """Whether the dense branch compares with every passage, where the engine would else use an
    approximate index."""
    vectors: bool = False
    """Whether what is found comes with its embedding."""


class Found:
    """A passage that a branch proposes.

    Most of what branches propose is on no page: `id` and `score` cost nothing, and a store may
    leave it to `passage` to make one of what it has stored.
    """

    __slots__ = ("_passage", "id", "score", "vector")

    def __init__(
        self,
        passage: Passage | bytes,
        score: float,
        vector: Vector | None = None,
        *,
        id: str | None = None,
    ) -> None:
        """`passage` is one, or its JSON, with its `id` beside."""
        self._passage = passage
        self.id = passage.id if isinstance(passage, Passage) else id or self.passage.id
        self.score = score
        """Cosine or BM25, by branch."""
        self.vector = vector
        """Its embedding, where the query asked for it."""

    @property
    def passage(self) -> Passage:
        """What was found."""
        if not isinstance(self._passage, Passage):
            self._passage = Passage.model_validate_json(self._passage)
        return self._passage


class HiddenError(Exception):
    """A document of this source is there that the principal does not see, so cannot replace."""


class PassageStore(ABC):
    """Documents and their passages, findable by meaning and by words."""

    @abstractmethod
    async def put(
        self, principal: Principal, document: DocumentInfo, passages: Sequence[IndexedPassage]
    ) -> None:
        """Adds a document to the principal's tenant, or replaces the version that is there.

        The labels that decide who sees it are those of `document`.

        Raises:
            HiddenError: A version is there that the principal does not see.
        """

    @abstractmethod
    async def fail(self, principal: Principal, document: DocumentInfo) -> None:
        """Keeps why an attempt at a document has failed, for `find` and `page` to tell.

        The version that is there gets the `failure` of `document`, and stays as it is otherwise.
        Where none is, `document` is kept, without passages. A `put` or `delete` ends that.

        Raises:
            HiddenError: A version is there that the principal does not see.
        """

    @abstractmethod
    async def delete(self, principal: Principal, sources: Sequence[str]) -> dict[str, int]:
        """Removes documents that the principal sees; returns how many passages each had."""

    @abstractmethod
    async def find(self, principal: Principal, sources: Sequence[str]) -> dict[str, DocumentInfo]:
        """Those of the documents that are there and that the principal sees, by source."""

    @abstractmethod
    async def page(
        self, principal: Principal, limit: int, after: str | None
    ) -> tuple[list[DocumentInfo], str | None]:
        """Up to `limit` documents that the principal sees, in a fixed order, and the cursor after.

        The cursor is opaque; None begins, and comes back with the last page.

        Raises:
            ValueError: `after` is no cursor of this store.
        """

    @abstractmethod
    async def search(self, query: Query) -> Mapping[Branch, Sequence[Found]]:
        """What each branch proposes, best first, seen at one moment."""

    @abstractmethod
    async def read(
        self, principal: Principal, source: str, *, where: Filter | None = None, limit: int = 1000
    ) -> list[Passage]:
        """The passages of a document that the principal sees, in order; none if it is not there."""

    @abstractmethod
    async def newest(self, principal: Principal, where: Filter | None, limit: int) -> list[Passage]:
        """Passages that the principal sees and for which `where` holds, by `time`, newest first.

        Those without a time are left out.
        """

    @abstractmethod
    async def get(self, principal: Principal, ids: Sequence[str]) -> dict[str, Passage]:
        """Those of the passages that are there and that the principal sees, by id."""

    @abstractmethod
    async def export(
        self, limit: int, after: str | None, *, passages: bool = True
    ) -> tuple[list[StoredDocument], str | None]:
        """Up to `limit` documents of all tenants and labels, and the cursor after, as of `page`.

        Each is whole and in the version that counts, with vectors, words and levels as they were
        put, also where nothing but its failure is kept. The order is fixed: a document that is
        there from the first page to the last is on one of them. Without `passages` the same comes
        without them, so costs little. For the machinery only: what it gives is not for any
        principal.

        Raises:
            ValueError: `after` is no cursor of this store.
        """

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
