"""Collections: one for each embedding model, and which of them serves.

Vectors of two models do not compare, so each model has a collection of its own, and a pointer says
which one searches are answered from. The pointer moves in one step, so whoever looks sees one
collection serve or another, never none.

Invariants, held by each adapter:

- The collection of a model and a dimension is always the same, and holds nothing of another.
- The pointer names a collection that was there when it moved.
- Marks outlive the process that made them. They say who migrates, and to what; see
  `motet_retriever.migration`. A place that one process has to itself needs none.
"""

from __future__ import annotations

import asyncio
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typing_extensions import override

from motet_retriever.stores.bm25 import WORDS
from motet_retriever.stores.folder import QDRANT, StoreFolder
from motet_retriever.stores.port import PassageStore

__all__ = ["Collections", "EmbeddingModel", "FolderCollections", "Mark", "State"]

Open = Callable[[Path, "EmbeddingModel"], Awaitable[PassageStore]]
"""Opens the store in a folder."""


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """By what the vectors of a collection were made, and the weights of its words."""

    name: str
    """As `provider:name`."""
    dimension: int
    words: int = WORDS
    """The version of what BM25 counts (`motet_retriever.stores.bm25`)."""

    @property
    def key(self) -> str:
        """Names the model's collection: eight hexadecimal digits."""
        made_by = f"{self.name}\0{self.dimension}"
        if self.words > 1:  # the first version was not named
            made_by += f"\0{self.words}"
        return hashlib.sha256(made_by.encode()).hexdigest()[:8]

    @property
    def made_by(self) -> dict[str, str | int]:
        """It, as a collection says of itself by what it was made."""
        words = {"words": self.words} if self.words > 1 else {}
        return {"embedding_model": self.name, "dimension": self.dimension, **words}

    def compares(self, other: EmbeddingModel) -> bool:
        """Whether vectors of the two compare; their words need not."""
        return (self.name, self.dimension) == (other.name, other.dimension)

    @classmethod
    def read(cls, made_by: Mapping[str, Any]) -> EmbeddingModel:
        """From what a collection says."""
        return cls(
            str(made_by["embedding_model"]), int(made_by["dimension"]), int(made_by.get("words", 1))
        )


@dataclass(frozen=True, slots=True)
class Mark:
    """Somebody migrates."""

    to: str
    """The key of the model."""
    token: str
    """Tells one mark from another; hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class State:
    """What is so at one moment."""

    serving: EmbeddingModel | None
    """Whose collection serves; None where there is none yet."""
    marks: frozenset[Mark] = frozenset()


class Collections(ABC):
    """The collections of a retriever."""

    @abstractmethod
    async def state(self) -> State:
        """Which one serves now, and who migrates.

        Raises:
            SetupError: What is there cannot be used.
            FaultError: A server fails.
        """

    @abstractmethod
    async def open(self, model: EmbeddingModel) -> PassageStore:
        """The collection of a model, made if it is not there; whoever opens it closes it."""

    @abstractmethod
    async def serve(self, model: EmbeddingModel) -> None:
        """Moves the pointer to the collection of a model, which was opened before."""

    @abstractmethod
    async def mark(self, mark: Mark | None, *instead_of: Mark) -> None:
        """Sets a mark, and takes others away, in one step."""

    @abstractmethod
    def where(self, model: EmbeddingModel) -> str:
        """Where the collection of a model is, for people."""

    @abstractmethod
    async def close(self) -> None:
        """Lets go of the place."""


class FolderCollections(Collections):
    """Folders within one that a process has to itself; `store.json` in it says which serves."""

    def __init__(self, path: Path, opened: Open, *, format: int, store: str = QDRANT) -> None:
        """Claims the folder, which is made if need be. Blocks for a moment.

        Args:
            path: The folder.
            opened: Opens the store in one of its folders.
            format: The version of what is in the folder.
            store: What kind of store is in it.

        Raises:
            SetupError: The folder cannot be written or read, another process has it, or it is of
                another version or kind of store.
        """
        self._open = opened
        self._made: dict[str, str | int] = {"format": format}
        if store != QDRANT:
            self._made["store"] = store
        self._folder = StoreFolder(path)
        try:
            there = self._folder.read(format, store)
        except BaseException:
            self._folder.release()
            raise
        self._serving = None
        if there is not None:
            self._serving = EmbeddingModel.read(there)

    @override
    async def state(self) -> State:
        return State(self._serving)

    @override
    async def open(self, model: EmbeddingModel) -> PassageStore:
        return await self._open(self._folder.path / model.key, model)

    @override
    async def serve(self, model: EmbeddingModel) -> None:
        await asyncio.to_thread(self._folder.write, {**self._made, **model.made_by})
        self._serving = model

    @override
    async def mark(self, mark: Mark | None, *instead_of: Mark) -> None:
        """Nobody else is there to see one."""

    @override
    def where(self, model: EmbeddingModel) -> str:
        return f"the folder {self._folder.path / model.key}"

    @override
    async def close(self) -> None:
        self._folder.release()
