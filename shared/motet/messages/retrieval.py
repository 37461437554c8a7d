"""Retrieval: what the `retriever` agent takes and gives."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from motet.media import is_recording
from motet.messages.base import Message, Timestamp, Value
from motet.messages.blob import BlobRef

__all__ = [
    "BranchScore",
    "DeleteRequest",
    "DeleteResult",
    "Document",
    "DocumentInfo",
    "DocumentsRequest",
    "DocumentsResult",
    "IngestRequest",
    "IngestResult",
    "Passage",
    "SearchRequest",
    "SearchResult",
]


class Document(Value):
    """A text to be made findable. Exactly one of `text` and `blob` is given."""

    source: str = Field(min_length=1, max_length=1024)
    """Where it comes from (a path or an address); identifies it: the same source replaces."""
    title: str | None = None
    """Its title; None takes the first heading, else the source's last part."""
    media_type: str = Field(
        default="text/plain", pattern=r"^(text/(plain|markdown)|(audio|video)/[a-z0-9.+-]{1,60})$"
    )
    """How to read it. A recording, `audio/…` or `video/…`, is transcribed by the speech agent."""
    text: str | None = None
    """Its content."""
    blob: BlobRef | None = None
    """Its content in the object store: a large document, or a recording."""

    @property
    def is_recording(self) -> bool:
        """Whether it is heard and not read."""
        return is_recording(self.media_type)

    @model_validator(mode="after")
    def _one_content(self) -> Self:
        if (self.text is None) == (self.blob is None):
            raise ValueError("give exactly one of 'text' and 'blob'")
        if self.is_recording and self.blob is None:
            raise ValueError("a recording is given as 'blob'")
        return self


class IngestRequest(Message):
    """Makes documents findable; a document whose source is known is replaced."""

    documents: tuple[Document, ...] = Field(min_length=1, max_length=1000)


class IngestResult(Message):
    """What became of the documents, in the order of the request."""

    class Item(Value):
        """One document."""

        source: str
        """The document's source."""
        status: Literal["added", "replaced", "unchanged", "failed"]
        """What was done; unchanged means that its content hash was known."""
        passages: int = Field(ge=0)
        """How many passages it has now."""
        reason: str | None = None
        """Why it failed."""

    items: tuple[Item, ...]


class BranchScore(Value):
    """What one branch of a fused search said of a passage."""

    branch: Literal["dense", "sparse"]
    """`dense` compares embeddings (cosine); `sparse` is BM25."""
    rank: int = Field(ge=1)
    """Place in the branch's own list, from 1."""
    score: float
    """The branch's own score, comparable only within the branch."""


class Passage(Value):
    """A piece of a document."""

    id: str
    """Stable as long as the document's content is unchanged."""
    source: str
    """The document's source."""
    title: str
    """The document's title."""
    text: str
    """The passage itself."""
    section: tuple[str, ...] = ()
    """The headings above it, outermost first."""
    position: int = Field(ge=0)
    """Its place in the document, from 0."""
    start: int = Field(ge=0)
    """Offset of its first character in the document's text."""
    end: int = Field(ge=0)
    """Offset after its last character."""
    start_s: float | None = Field(default=None, ge=0)
    """Where it begins in a recording, in seconds; None for what was written."""
    end_s: float | None = Field(default=None, ge=0)
    """Where it ends in a recording."""
    score: float = 0.0
    """The fused score; higher is better."""
    branches: tuple[BranchScore, ...] = ()
    """Why it is here: rank and score in each branch that found it."""


class SearchRequest(Message):
    """Finds passages for a question."""

    query: str = Field(min_length=1, max_length=4000)
    """What to look for, in plain words."""
    limit: int = Field(default=5, ge=1, le=100)
    """How many passages at most."""
    mode: Literal["hybrid", "dense", "sparse"] = "hybrid"
    """Which branches to ask."""
    sources: tuple[str, ...] = ()
    """Only passages of these documents; empty means all."""


class SearchResult(Message):
    """Passages, best first."""

    passages: tuple[Passage, ...]


class DocumentInfo(Value):
    """A document that is findable."""

    source: str
    """Where it came from; identifies it."""
    title: str
    """Its title, as given or found."""
    media_type: str
    """How it was read."""
    sha256: str
    """SHA-256 of its text in UTF-8."""
    fingerprint: str
    """Identifies this version of it: its text, its title, and how it was cut. An equal one is not
    stored again."""
    characters: int = Field(ge=0)
    """Length of its text; offsets of passages are below it."""
    passages: int = Field(ge=0)
    """How many passages it has."""
    ingested_at: Timestamp
    """When this version was stored."""


class DocumentsRequest(Message):
    """Lists the documents that are findable."""

    sources: tuple[str, ...] = Field(default=(), max_length=1000)
    """Only these; empty means all."""
    limit: int = Field(default=100, ge=1, le=1000)
    """How many at most, where all are listed."""
    after: str | None = None
    """The `next` of the page before; None begins."""


class DocumentsResult(Message):
    """A page of documents, in an order that stays the same from page to page."""

    documents: tuple[DocumentInfo, ...]
    next: str | None = None
    """Where the next page begins; None after the last."""


class DeleteRequest(Message):
    """Removes documents, with all that could be found of them."""

    sources: tuple[str, ...] = Field(min_length=1, max_length=1000)


class DeleteResult(Message):
    """What became of the documents, in the order of the request."""

    class Item(Value):
        """One document."""

        source: str
        """The document's source."""
        status: Literal["deleted", "unknown"]
        """Unknown means that there was no such document."""
        passages: int = Field(ge=0)
        """How many passages it had."""

    items: tuple[Item, ...]
