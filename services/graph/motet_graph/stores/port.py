"""The port of graph stores: what is the same whichever server keeps the graph.

The graph has documents, passages and entities:

    (:Document {tenant, source})-[:HAS]->(:Passage {tenant, id})
    (:Passage)-[:MENTIONS {name}]->(:Entity {tenant, key, name})
    (:Entity)-[:RELATES {predicate, passage, source}]->(:Entity)
    (:Entity)-[:SAME_AS {passage, source}]->(:Entity)

Invariants, held by one test class that runs against every server:

- No node or relation belongs to two tenants, or connects what belongs to two. What is given a
  tenant reads and changes nothing of another; `query` alone reads all there is.
- One node an entity: its key is unique in its tenant, however many workers write at once.
- A document is its tenant and its source. `put` replaces all of it in one transaction, and putting
  the same again changes nothing.
- After `put` or `delete` nothing of the version before is left: no passage, no statement, no alias,
  and no entity that nothing mentions.
- `renew` undoes no change of a document, also when that comes at the same time.
- What reads never writes: a query runs as a user, or in a transaction, that the server keeps from
  writing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from motet_graph.statements import DocumentPart, Vector

__all__ = ["DocumentVersion", "EntityRecord", "GraphStore", "Rows"]


class EntityRecord(NamedTuple):
    """An entity's node."""

    key: str
    name: str
    """The first spelling that was stored."""
    vector: Vector | None
    """Embedding of that spelling."""
    model: str | None = None
    """The embedding model that made it; None where that is not known."""


class DocumentVersion(NamedTuple):
    """Which version of a document is there."""

    revision: str
    fingerprint: str
    model: str | None
    """The embedding model that made its vectors; None where that is not known."""


class Rows(NamedTuple):
    """What a query gave."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    """As JSON."""
    truncated: bool


class GraphStore(ABC):
    """Documents, passages, entities and what is stated of them."""

    @abstractmethod
    async def put(
        self, tenant: str, part: DocumentPart, entities: Mapping[str, EntityRecord]
    ) -> None:
        """Adds a document, or replaces the version that is there.

        Args:
            tenant: Whose it is.
            part: The document.
            entities: Every entity that it mentions, by key. Of one that is there the name stays,
                and so does the vector, unless another model made it.

        Raises:
            FaultError: `unavailable`, to be tried again.
        """

    @abstractmethod
    async def renew(
        self,
        tenant: str,
        part: DocumentPart,
        entities: Mapping[str, EntityRecord],
        *,
        instead_of: str,
    ) -> bool:
        """Gives a document the vectors of another model, as another revision; whether it did.

        Args:
            tenant: Whose it is.
            part: The document as it was loaded, but for vectors, model and revision.
            entities: Entities that it mentions, by key, with vectors of that model.
            instead_of: The revision that was loaded; nothing changes where another one is there.

        Raises:
            FaultError: `unavailable`, to be tried again.
        """

    @abstractmethod
    async def delete(self, tenant: str, sources: Sequence[str]) -> set[str]:
        """Removes documents; returns those that were there."""

    @abstractmethod
    async def revision(self, tenant: str) -> str | None:
        """Another one after each change of what a tenant has; None where that is not known."""

    @abstractmethod
    async def revisions(
        self, tenant: str, sources: Sequence[str] | None = None
    ) -> dict[str, DocumentVersion]:
        """Versions of a tenant's documents, or of some of them, by source."""

    @abstractmethod
    async def made_by_others(self, model: str) -> list[tuple[str, str]]:
        """Tenant and source of every document whose vectors another embedding model made."""

    @abstractmethod
    async def has_others(self, tenant: str) -> bool:
        """Whether anything is there that belongs to another tenant."""

    @abstractmethod
    async def load(self, tenant: str, sources: Sequence[str]) -> list[DocumentPart]:
        """Documents as they were put; one that is not there is left out."""

    @abstractmethod
    async def entities(self, tenant: str, keys: Sequence[str]) -> list[EntityRecord]:
        """Those of the entities that are there."""

    @abstractmethod
    async def query(
        self, statement: str, parameters: Mapping[str, Any], *, limit: int, timeout_s: float
    ) -> Rows:
        """The rows of a checked query, over what every tenant has.

        Raises:
            FaultError: `invalid_input` where the server does not take it, `deadline_exceeded` when
                it took too long, or `unavailable`.
        """

    @abstractmethod
    async def close(self) -> None:
        """Ends the connections."""
