"""Documents: what the `retriever` agent makes findable, lists and removes."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from motet.media import is_recording
from motet.messages.base import Message, Timestamp, Value
from motet.messages.blob import BlobRef
from motet.messages.filters import CustomFields
from motet.messages.principal import Label

__all__ = [
    "DeleteRequest",
    "DeleteResult",
    "Document",
    "DocumentFailure",
    "DocumentInfo",
    "DocumentsRequest",
    "DocumentsResult",
    "IngestRequest",
    "IngestResult",
]


class Document(Value):
    """A text or a file to be made findable. Exactly one of `text` and `blob` is given.

    It belongs to the tenant on whose behalf it is ingested; tenants have sources of their own.
    """

    source: str = Field(min_length=1, max_length=1024)
    """Where it comes from (a path or an address); identifies it: the same source replaces."""
    title: str | None = None
    """Its title; None takes the one in it, its first heading, else the source's last part."""
    media_type: str = Field(
        default="text/plain", pattern=r"^[a-z]+/[A-Za-z0-9.+_-]{1,100}$", max_length=120
    )
    """How to read it; `motet.media.MEDIA_TYPES` has those that are read. A recording, `audio/…` or
    `video/…`, is transcribed by the speech agent."""
    text: str | None = None
    """Its content."""
    blob: BlobRef | None = None
    """Its content in the object store: a large document, a file, or a recording."""
    labels: tuple[Label, ...] = Field(default=(), max_length=32)
    """Access labels: who has one of these sees it; empty means everybody of its tenant."""
    language: str | None = Field(default=None, pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")
    """Its language as a BCP 47 tag; None has it guessed."""
    time: Timestamp | None = None
    """The moment that it speaks of or was written at; None takes what the file says, if it does."""
    fields: CustomFields = Field(default_factory=dict, max_length=32)
    """Fields of its own, to filter by."""

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


class DocumentFailure(Value):
    """Why the last attempt to make a document findable has failed."""

    reason: str
    """In a sentence."""
    at: Timestamp
    """When."""


class DocumentInfo(Value):
    """A document that is findable, or that was to be and has failed."""

    source: str
    """Where it came from; identifies it."""
    title: str
    """Its title, as given or found."""
    media_type: str
    """How it was read."""
    sha256: str
    """SHA-256 of its text in UTF-8."""
    content_sha256: str = ""
    """SHA-256 of its bytes as they came: of the file, or of the given text in UTF-8. Who has a file
    of the same need not send it again. Empty where that was not noted."""
    fingerprint: str
    """Identifies this version of it: its text, its title, and how it was cut. An equal one is not
    stored again."""
    characters: int = Field(ge=0)
    """Length of its text; offsets of passages are below it."""
    passages: int = Field(ge=0)
    """How many passages it has."""
    ingested_at: Timestamp
    """When this version was stored."""
    labels: tuple[Label, ...] = ()
    """Access labels: who has one of these sees it; empty means everybody of its tenant."""
    language: str | None = None
    """Its language as a BCP 47 tag, as given or guessed."""
    time: Timestamp | None = None
    """The moment that it speaks of or was written at."""
    pages: int | None = Field(default=None, ge=1)
    """How many pages, slides or sheets it has; None for what has none."""
    fields: CustomFields = Field(default_factory=dict)
    """Fields of its own."""
    failure: DocumentFailure | None = None
    """Why the last attempt to store it, or another version of it, has failed; None if it has not.
    With passages the version before is still findable, without any there is none."""


class DocumentsRequest(Message):
    """Lists documents."""

    sources: tuple[str, ...] = Field(default=(), max_length=1000)
    """Only these; empty means all."""
    failed: bool = False
    """Only those whose last attempt has failed."""
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
