"""The knowledge graph: what the `graph` agent takes and gives.

Passages travel as the retriever's own type, so that what the graph finds is cited like what a
search finds. An entity is known by its canonical name; a statement always says which passages
state it. Nothing here names a tenant: each skill works within that of the call's principal.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from motet.messages.base import Message, Value
from motet.messages.retrieval import Passage

__all__ = [
    "EntityRequest",
    "EntityResult",
    "ForgetRequest",
    "ForgetResult",
    "GraphDocument",
    "GraphEntity",
    "GraphIngestRequest",
    "GraphIngestResult",
    "GraphPassage",
    "GraphPath",
    "GraphQueryRequest",
    "GraphQueryResult",
    "GraphSearchRequest",
    "GraphSearchResult",
    "GraphStatement",
    "NeighbourhoodRequest",
    "NeighbourhoodResult",
    "PathsRequest",
    "PathsResult",
    "Triple",
]

EntityName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=512)]
"""A name as somebody writes it."""


class Triple(Value):
    """A statement as it is extracted: two names, and what holds between them."""

    subject: EntityName
    predicate: Annotated[str, StringConstraints(strip_whitespace=True, max_length=512)]
    object: EntityName


class GraphPassage(Value):
    """A passage to be read for entities and statements."""

    id: str = Field(min_length=1, max_length=256)
    """Identifies it among all passages; the retriever's id makes both speak of the same."""
    text: str = Field(max_length=20_000)
    """The passage itself."""
    title: str = Field(default="", max_length=1000)
    """Its document's title, which counts as a name in it."""
    section: tuple[str, ...] = ()
    """The headings above it, outermost first."""
    position: int = Field(default=0, ge=0)
    """Its place in the document, from 0."""
    start: int = Field(default=0, ge=0)
    """Offset of its first character in the document's text."""
    end: int = Field(default=0, ge=0)
    """Offset after its last character."""
    triples: tuple[Triple, ...] | None = Field(default=None, max_length=1000)
    """Its statements where somebody has extracted them already; None has the graph do it."""


class GraphDocument(Value):
    """A document by its passages."""

    source: str = Field(min_length=1, max_length=1024)
    """Where it comes from; identifies it in its tenant: the same source replaces."""
    passages: tuple[GraphPassage, ...] = Field(max_length=10_000)
    """All of them."""


class GraphIngestRequest(Message):
    """Adds documents to the graph; a document whose source is known is replaced."""

    documents: tuple[GraphDocument, ...] = Field(min_length=1, max_length=1000)


class GraphIngestResult(Message):
    """What became of the documents, in the order of the request."""

    class Item(Value):
        """One document."""

        source: str
        """The document's source."""
        status: Literal["added", "replaced", "unchanged"]
        """What was done; unchanged means that the same was extracted from it before."""
        passages: int = Field(default=0, ge=0)
        """How many passages it has."""
        entities: int = Field(default=0, ge=0)
        """How many entities it mentions; 0 where it is unchanged."""
        statements: int = Field(default=0, ge=0)
        """How many statements it makes; 0 where it is unchanged."""

    items: tuple[Item, ...]


class ForgetRequest(Message):
    """Removes documents with every statement that only they make."""

    sources: tuple[str, ...] = Field(min_length=1, max_length=1000)


class ForgetResult(Message):
    """What became of the documents, in the order of the request."""

    class Item(Value):
        """One document."""

        source: str
        """The document's source."""
        status: Literal["deleted", "unknown"]
        """Unknown means that there was no such document."""

    items: tuple[Item, ...]


class GraphEntity(Value):
    """Something that passages speak of."""

    name: str
    """Its canonical name."""
    aliases: tuple[str, ...] = ()
    """Its other names."""
    passages: int = Field(default=0, ge=0)
    """How many passages mention it."""


class GraphStatement(Value):
    """What passages state of two entities."""

    subject: str
    """Canonical name."""
    predicate: str
    """In the passage's words."""
    object: str
    """Canonical name."""
    passages: tuple[str, ...]
    """Ids of the passages that state it."""


class EntityRequest(Message):
    """Looks up one entity."""

    name: EntityName
    """Any of its names."""
    limit: int = Field(default=5, ge=1, le=100)
    """How many passages at most."""


class EntityResult(Message):
    """An entity and the passages that mention it most."""

    entity: GraphEntity
    passages: tuple[Passage, ...]
    namesakes: tuple[GraphEntity, ...] = ()
    """Others that passages call by the same name; `passages` then has some of each in turn."""


class NeighbourhoodRequest(Message):
    """Looks at what is stated around an entity."""

    name: EntityName
    """Any of its names."""
    depth: int = Field(default=1, ge=1, le=3)
    """Statements away from it at most."""
    limit: int = Field(default=50, ge=1, le=1000)
    """How many statements at most; the nearest come first."""


class NeighbourhoodResult(Message):
    """What is stated around an entity."""

    entity: GraphEntity
    entities: tuple[GraphEntity, ...]
    """Whom the statements are about, without the entity itself."""
    statements: tuple[GraphStatement, ...]


class PathsRequest(Message):
    """Looks for how two entities are connected."""

    start: EntityName
    """Any name of the one."""
    end: EntityName
    """Any name of the other."""
    max_length: int = Field(default=4, ge=1, le=6)
    """Statements that a path has at most."""
    limit: int = Field(default=3, ge=1, le=20)
    """How many paths at most."""


class GraphPath(Value):
    """Statements that lead from one entity to another, read in either direction."""

    entities: tuple[str, ...]
    """Canonical names along the way, both ends included."""
    statements: tuple[GraphStatement, ...]
    """What connects each to the next."""
    joined_by_name: tuple[str, ...] = ()
    """Those along the way that one document speaks of before and another after, where no document
    has both: only the spelling of the name says that they are one."""


class PathsResult(Message):
    """The shortest paths, and the passages that state them."""

    paths: tuple[GraphPath, ...]
    passages: tuple[Passage, ...]


class GraphSearchRequest(Message):
    """Finds passages for a question through the entities that connect them."""

    query: str = Field(min_length=1, max_length=4000)
    """The question, in plain words."""
    limit: int = Field(default=5, ge=1, le=100)
    """How many passages at most."""


class GraphSearchResult(Message):
    """Passages, best first."""

    passages: tuple[Passage, ...]
    entities: tuple[str, ...] = ()
    """The entities from which the search set out, the heaviest first."""


class GraphQueryRequest(Message):
    """Asks the graph in Cypher. Only what reads is accepted, and only of a graph of one tenant."""

    cypher: str = Field(min_length=1, max_length=4000)
    """One statement over the labels Document, Passage and Entity."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Values of its `$names`: JSON."""
    limit: int = Field(default=100, ge=1, le=1000)
    """How many rows at most."""
    timeout_s: float = Field(default=5, gt=0, le=30)
    """Seconds that it may take."""


class GraphQueryResult(Message):
    """Rows, as JSON."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    truncated: bool = False
    """Whether there were more rows than the limit."""
