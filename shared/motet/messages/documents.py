"""Documents: what the `retriever` agent makes findable, lists and removes."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from motet.media import is_recording
from motet.messages.base import Message, Timestamp, Value
from motet.messages.blob import BlobRef
from motet.messages.filters import CustomFields
from motet.messages.principal import Label
from motet.messages.retrieval import Passage

__all__ = [
    "DeleteRequest",
    "DeleteResult",
    "Document",
    "DocumentFailure",
    "DocumentInfo",
    "DocumentsRequest",
    "DocumentsResult",
    "EraseRequest",
    "EraseResult",
    "IngestRequest",
    "IngestResult",
    "ReadRequest",
    "ReadResult",
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
    scope: Literal["tenant", "task"] = "tenant"
    """Whose they become: the tenant's, or those of the task that the call is made in. A task's own
    are found by its searches alone, are in no list and no graph, and are erased once it has ended;
    their labels are left out."""


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
        characters: int = Field(default=0, ge=0)
        """Length of its text; 0 where it failed."""
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


class ReadRequest(Message):
    """Reads a document's text, one part after another."""

    source: str = Field(min_length=1, max_length=1024)
    """The document's source. One of the task's own goes before one of the tenant's."""
    page: int | None = Field(default=None, ge=1)
    """Only what begins on this page, slide or sheet, from 1."""
    first: int = Field(default=0, ge=0)
    """The position of the first passage of the part; the `next` of the part before."""
    characters: int = Field(default=20_000, ge=1, le=100_000)
    """How long the part is at most; it has whole passages, and at least one."""


class ReadResult(Message):
    """A part of a document."""

    document: DocumentInfo
    """What is known of it; `characters` is the length of all of its text."""
    text: str
    """The part's text: its passages without what they repeat of each other."""
    passages: tuple[Passage, ...]
    """The same in passages, by which it can be cited."""
    next: int | None = None
    """The position of the first passage after the part; None at the end."""


class EraseRequest(Message):
    """Erases the documents of the task that the call is made in, for good.

    The task can have no others after that.
    """


class EraseResult(Message):
    """What was erased."""

    documents: int = Field(ge=0)
    """How many documents there were."""
    passages: int = Field(ge=0)
    """How many passages they had."""
