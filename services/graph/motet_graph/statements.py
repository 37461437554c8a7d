"""What is extracted from a passage, and what a document is as the graph keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motet.messages import Passage

__all__ = [
    "Alias",
    "DocumentPart",
    "Extraction",
    "Mention",
    "Statement",
    "StoredPassage",
    "StoredStatement",
    "Vector",
]

Vector = NDArray[np.float32]
"""An embedding of length 1."""


@dataclass(frozen=True, slots=True)
class Alias:
    """Two names that a passage says are of one entity."""

    name: str
    other: str


@dataclass(frozen=True, slots=True)
class Statement:
    """Two names, and what holds between them, as a passage puts it."""

    subject: str
    predicate: str
    object: str
    context: str = ""
    """What states it where that is more than the three: a sentence under its title."""

    @property
    def text(self) -> str:
        """It as a line, which is what its embedding is of."""
        return self.context or f"{self.subject} {self.predicate} {self.object}"


@dataclass(frozen=True, slots=True)
class Extraction:
    """What one passage says."""

    names: tuple[str, ...] = ()
    """Every name in it, those of the statements and aliases included."""
    statements: tuple[Statement, ...] = ()
    aliases: tuple[Alias, ...] = ()


class Mention(NamedTuple):
    """An entity in a passage."""

    key: str
    """The entity's key, see `motet_graph.names.key`."""
    name: str
    """As the passage spells it."""


class StoredStatement(NamedTuple):
    """A statement, by keys of entities."""

    subject: str
    predicate: str
    object: str
    vector: Vector | None
    text: str | None = None
    """What the embedding is of; None where that follows from the names and the predicate, see
    `motet_graph.embedding.stated`."""


@dataclass(frozen=True, slots=True)
class StoredPassage:
    """A passage with all that it says, by keys of entities."""

    passage: Passage
    vector: Vector | None
    mentions: tuple[Mention, ...] = ()
    statements: tuple[StoredStatement, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    """Pairs of keys that it says are one entity."""
    titled: bool = True
    """Whether its title was given, and so is embedded along; else it is the source."""


@dataclass(frozen=True, slots=True)
class DocumentPart:
    """A document's share of the graph."""

    source: str
    fingerprint: str
    """Of its passages and of how they were read; an equal one is not stored again."""
    revision: str
    """Another one each time it is stored."""
    passages: tuple[StoredPassage, ...] = field(default=())
    model: str | None = None
    """The embedding model that made its vectors, as `provider:name`; None where that is not known,
    as of documents of an earlier version."""
