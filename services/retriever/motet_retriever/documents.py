"""Documents: from what somebody sends to passages that can be indexed.

Invariants:

- `passage.text == text[passage.start:passage.end]`, where `text` is the document's text exactly as
  given, or as decoded from UTF-8 without a byte order mark, or as transcribed.
- The fingerprint covers everything that the passages are made from; equal fingerprints mean equal
  passages with equal ids. Of a recording it covers the bytes, so that one which is unchanged is
  not transcribed again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from uuid import UUID, uuid5

from motet.errors import FaultError
from motet.messages import (
    BlobRef,
    Document,
    DocumentInfo,
    FaultType,
    Passage,
    TimedText,
    Transcript,
    now,
    timed_text,
)
from motet_retriever.chunking import Chunking, chunk
from motet_retriever.outline import Outline, outline_markdown, outline_plain

__all__ = [
    "ENDING",
    "PreparedDocument",
    "Sources",
    "UnreadableError",
    "fingerprint",
    "hear",
    "prepare",
    "read",
]

Fetch = Callable[[BlobRef], Awaitable[bytes]]
Transcribe = Callable[[BlobRef], Awaitable[Transcript]]

CUTTING = 1
"""Version of how documents are cut: a change of the code that cuts otherwise is a new one, and
makes each document be stored again when it is next ingested."""

PASSAGES = UUID("5a1f3c1e-97d4-4f0c-8d55-2f6f0e8f7c11")
"""Namespace of the ids of passages."""

CONTEXT_CHARACTERS = 120
"""How much of title and headings is indexed with each passage: some 25 tokens, so that a passage
of 200 still fits an embedding model that reads 256."""


ENDING = {FaultType.CANCELLED, FaultType.DEADLINE_EXCEEDED, FaultType.BUDGET_EXCEEDED}
"""Faults of the call and not of a document."""


class UnreadableError(Exception):
    """A document cannot be made findable; the message is a sentence that says why."""


@dataclass(frozen=True, slots=True)
class PreparedDocument:
    """A document, cut."""

    info: DocumentInfo
    passages: tuple[Passage, ...]

    def versioned(self, mark: str) -> PreparedDocument:
        """The same with `mark` at the end of its fingerprint."""
        fingerprint = self.info.fingerprint + mark
        return replace(self, info=self.info.model_copy(update={"fingerprint": fingerprint}))

    def words(self) -> list[str]:
        """For each passage the text to index: its own under its title and headings."""
        return [f"{_context(passage)}\n{passage.text}" for passage in self.passages]


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the content of documents is had."""

    fetch: Fetch
    """Gets the bytes of an object in the store."""
    transcribe: Transcribe | None = None
    """Has a recording transcribed; None where nobody does that."""


async def hear(document: Document, sources: Sources) -> TimedText:
    """The text of a recording.

    Raises:
        UnreadableError: It is no recording, nobody speaks in it, or nobody transcribes.
        FaultError: The transcription failed for another reason.
    """
    if sources.transcribe is None:
        raise UnreadableError("It is a recording, and no agent that transcribes is running.")
    assert document.blob is not None  # noqa: S101  # its type sees to that
    try:
        transcript = await sources.transcribe(document.blob)
    except FaultError as error:
        if error.fault.retryable or error.fault.type in ENDING:
            raise
        raise UnreadableError(error.fault.message) from None
    text = timed_text(transcript.segments)
    if not text.text:
        raise UnreadableError("Nobody speaks in it.")
    return text


async def read(document: Document, fetch: Fetch, max_bytes: int) -> str:
    """The text of a document.

    Raises:
        UnreadableError: It is empty, too large, not text, or its blob is missing or changed.
        FaultError: The object store does not answer now.
    """
    text = document.text or ""
    if document.blob is not None:
        _check_size(document.blob.size, max_bytes)
        text = _decoded(await _fetched(document.blob, fetch))
    try:
        _check_size(len(text.encode()), max_bytes)
    except UnicodeEncodeError as error:
        raise UnreadableError(f"It has half a character (a lone surrogate): {error}.") from None
    if "\0" in text:
        raise UnreadableError("It has NUL characters, so it is not text.")
    if not text.strip():
        raise UnreadableError("It has no text.")
    return text


async def _fetched(blob: BlobRef, fetch: Fetch) -> bytes:
    try:
        return await fetch(blob)
    except FaultError as error:
        if error.fault.type in (FaultType.NOT_FOUND, FaultType.INVALID_INPUT):
            raise UnreadableError(error.fault.message) from None
        raise


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableError(
            f"It is not UTF-8 text: byte {error.start} is 0x{data[error.start]:02x}."
        ) from None


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise UnreadableError(
            f"It has {size:,} bytes, and the limit is {limit:,} "
            "(MOTET_RETRIEVER_MAX_DOCUMENT_BYTES)."
        )


def fingerprint(document: Document, content: str, how: Chunking) -> str:
    """Identifies the version of a document that `prepare` would make.

    `content` is its text, or the SHA-256 of a recording.
    """
    parts = (CUTTING, how.tokens, how.overlap, document.media_type, document.title, content)
    return hashlib.sha256("\0".join(map(repr, parts)).encode()).hexdigest()


def prepare(document: Document, heard: TimedText, version: str, how: Chunking) -> PreparedDocument:
    """Cuts a document. Takes the processor for a while: for a worker's thread.

    Args:
        document: Where it comes from, and how to read it.
        heard: Its text; with times for a recording.
        version: Its fingerprint.
        how: How to cut it.
    """
    text = heard.text
    outline = _outline(document, text)
    title = document.title or outline.title or _last_part(document.source)
    passages = tuple(
        Passage(
            id=str(uuid5(PASSAGES, f"{document.source}\0{version}\0{position}")),
            source=document.source,
            title=title,
            text=text[piece.span.start : piece.span.end],
            section=piece.section,
            position=position,
            start=piece.span.start,
            end=piece.span.end,
            start_s=times[0] if times else None,
            end_s=times[1] if times else None,
        )
        for position, piece in enumerate(chunk(text, outline.blocks, how))
        for times in [heard.heard(piece.span.start, piece.span.end)]
    )
    info = DocumentInfo(
        source=document.source,
        title=title,
        media_type=document.media_type,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        fingerprint=version,
        characters=len(text),
        passages=len(passages),
        ingested_at=now(),
    )
    return PreparedDocument(info, passages)


def _outline(document: Document, text: str) -> Outline:
    if document.media_type == "text/markdown":
        return outline_markdown(text)
    return outline_plain(text)


def _last_part(source: str) -> str:
    """`b.md` of `https://example.org/a/b.md?c`."""
    parts = [part for part in re.split(r"[/\\]", re.sub(r"[?#].*", "", source)) if part.strip()]
    return parts[-1] if parts else source


def _context(passage: Passage) -> str:
    headings = [heading for heading in passage.section if heading != passage.title]
    return " > ".join([passage.title, *headings])[:CONTEXT_CHARACTERS]
