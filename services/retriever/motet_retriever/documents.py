"""Documents: from what somebody sends to passages that can be indexed.

Invariants:

- `passage.text == text[passage.start:passage.end]`, where `text` is the document's text: as it was
  given or decoded for plain text, Markdown and code, as its parser wrote it for other files, or as
  transcribed.
- The fingerprint covers everything that the passages are made from, and who sees them; equal
  fingerprints mean equal passages with equal ids. Content counts by its bytes, so that a file
  which is unchanged is neither fetched nor read again, and a recording not transcribed.
- No two tenants have a passage of the same id.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from motet.errors import FaultError
from motet.messages import (
    BlobRef,
    Document,
    DocumentFailure,
    DocumentInfo,
    FaultType,
    Passage,
    TimedText,
    Transcript,
    now,
    timed_text,
)
from motet_retriever.chunking import Chunk, Chunking
from motet_retriever.outline import outline_plain
from motet_retriever.parsers import PARSING
from motet_retriever.parsers.parsed import Parsed, UnreadableError, one_line
from motet_retriever.tokens import count

__all__ = [
    "ENDING",
    "Limits",
    "PreparedDocument",
    "Sources",
    "UnreadableError",
    "content_hash",
    "failed",
    "fingerprint",
    "hear",
    "prepare",
    "read",
]

Fetch = Callable[[BlobRef], Awaitable[bytes]]
Transcribe = Callable[[BlobRef], Awaitable[Transcript]]
Parse = Callable[[bytes, str, int], Awaitable[Parsed]]
"""Reads a file: its bytes, its media type, and the characters that its text may have."""

CUTTING = 2
"""Version of how documents are cut: a change of the code that cuts otherwise is a new one, and
makes each document be stored again when it is next ingested."""

PASSAGES = UUID("5a1f3c1e-97d4-4f0c-8d55-2f6f0e8f7c11")
"""Namespace of the ids of passages."""

CONTEXT_CHARACTERS = 120
"""How much of title and headings is indexed with each passage: some 25 tokens, so that a passage
of 200 still fits an embedding model that reads 256."""


ENDING = {FaultType.CANCELLED, FaultType.DEADLINE_EXCEEDED, FaultType.BUDGET_EXCEEDED}
"""Faults of the call and not of a document."""


TITLE_CHARACTERS = 500

WRITTEN = frozenset(["text/plain", "text/markdown"])
"""What is read as it stands, so that its bytes are its text's."""


class Limits(NamedTuple):
    """How large documents may be."""

    text_bytes: int
    """Of a document's text in UTF-8, and so of plain text."""
    file_bytes: int
    """Of another file."""


@dataclass(frozen=True, slots=True)
class PreparedDocument:
    """A document, cut."""

    info: DocumentInfo
    passages: tuple[Passage, ...]
    text: str
    """All of it, which the passages' offsets point into."""
    headers: tuple[str, ...]
    """For each passage the header of the table that it goes on with; empty for others."""

    def versioned(self, mark: str) -> PreparedDocument:
        """The same with `mark` at the end of its fingerprint."""
        fingerprint = self.info.fingerprint + mark
        return replace(self, info=self.info.model_copy(update={"fingerprint": fingerprint}))

    def refused(self, reason: str) -> PreparedDocument:
        """The same with a failure noted, for what is stored all the same."""
        failure = DocumentFailure(reason=reason, at=now())
        return replace(self, info=self.info.model_copy(update={"failure": failure}))

    def words(self) -> list[str]:
        """For each passage the text to index: its own under its title and headings."""
        return [
            "\n".join(filter(None, (context(passage), header, passage.text)))
            for passage, header in zip(self.passages, self.headers, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the content of documents is had."""

    fetch: Fetch
    """Gets the bytes of an object in the store."""
    transcribe: Transcribe | None = None
    """Has a recording transcribed; None where nobody does that."""


async def hear(document: Document, sources: Sources) -> tuple[Parsed, TimedText]:
    """The text of a recording, and its times.

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
    blocks = outline_plain(text.text).blocks
    return Parsed(text.text, blocks, language=transcript.language), text


async def read(document: Document, fetch: Fetch, parse: Parse, limits: Limits) -> Parsed:
    """The text of a document that is no recording.

    Raises:
        UnreadableError: It is empty, too large, not what it is said to be, or broken, or its blob
            is missing or changed.
        FaultError: The object store does not answer now.
    """
    _check_size(document, limits)
    if document.blob is not None:
        data = await _fetched(document.blob, fetch)
    else:
        data = _encoded(document.text or "")
    parsed = await parse(data, document.media_type, limits.text_bytes)
    if len(_encoded(parsed.text)) > limits.text_bytes:
        raise UnreadableError(
            f"Its text has more than {limits.text_bytes:,} bytes, the limit "
            "(MOTET_RETRIEVER_MAX_DOCUMENT_BYTES)."
        )
    return parsed


def _check_size(document: Document, limits: Limits) -> None:
    """Refuses a document that is too large, before anything of it is fetched."""
    blob = document.blob
    size = len(_encoded(document.text or "")) if blob is None else blob.size
    is_text = blob is None or document.media_type in WRITTEN
    limit = limits.text_bytes if is_text else limits.file_bytes
    if size > limit:
        name = "DOCUMENT" if is_text else "FILE"
        raise UnreadableError(
            f"It has {size:,} bytes, and the limit is {limit:,} (MOTET_RETRIEVER_MAX_{name}_BYTES)."
        )


async def _fetched(blob: BlobRef, fetch: Fetch) -> bytes:
    try:
        return await fetch(blob)
    except FaultError as error:
        if error.fault.type in (FaultType.NOT_FOUND, FaultType.INVALID_INPUT, FaultType.TOO_LARGE):
            raise UnreadableError(error.fault.message) from None
        raise


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise UnreadableError(f"It has half a character (a lone surrogate): {error}.") from None


def content_hash(document: Document) -> str:
    """The SHA-256 of a document's bytes, in hexadecimal.

    Raises:
        UnreadableError: Its text has no bytes: it has half a character.
    """
    if document.blob is not None:
        return document.blob.sha256
    return hashlib.sha256(_encoded(document.text or "")).hexdigest()


def fingerprint(document: Document, how: Chunking, *, model: str = "") -> str:
    """Identifies the version of a document that `prepare` would make.

    `model` embeds the sentences, where that decides how documents are cut.

    Raises:
        UnreadableError: As `content_hash`.
    """
    parts = (
        *(CUTTING, PARSING, how, model if how.way == "semantic" else ""),
        *(document.media_type, document.title, content_hash(document)),
        *(sorted(set(document.labels)), document.language, document.time),
        sorted(document.fields.items()),
    )
    return hashlib.sha256("\0".join(map(repr, parts)).encode()).hexdigest()


def prepare(
    document: Document,
    parsed: Parsed,
    chunks: list[Chunk],
    version: str,
    *,
    tenant: str = "default",
    heard: TimedText | None = None,
    header_tokens: int = 60,
) -> PreparedDocument:
    """Makes the passages of a document.

    Args:
        document: Where it comes from.
        parsed: Its text.
        chunks: How that is cut.
        version: Its fingerprint.
        tenant: Whose it is.
        heard: Its text with times, for a recording.
        header_tokens: How much of a table's header is indexed with each part of the table.
    """
    text = parsed.text
    title = one_line(document.title or parsed.title or "") or _last_part(document.source)
    common: dict[str, Any] = {
        "source": document.source,
        "title": title[:TITLE_CHARACTERS],
        "media_type": document.media_type,
        "language": document.language or parsed.language,
        "time": document.time or parsed.time,
        "ingested_at": now(),
        "labels": tuple(sorted(set(document.labels))),
        "fields": document.fields,
    }
    name = f"{tenant}\0{document.source}\0{version}"
    passages: list[Passage] = []
    for position, each in enumerate(chunks):
        start, end = each.span
        times = heard.heard(start, end) if heard is not None else None
        passages.append(
            Passage(
                id=str(uuid5(PASSAGES, f"{name}\0{position}")),
                text=text[start:end],
                section=each.section,
                position=position,
                start=start,
                end=end,
                start_s=times[0] if times else None,
                end_s=times[1] if times else None,
                page=bisect_right(parsed.pages, start) or None,
                block=each.block,
                **common,
            )
        )
    headers = ("" if each.header is None else text[slice(*each.header)] for each in chunks)
    info = DocumentInfo(
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        content_sha256=content_hash(document),
        fingerprint=version,
        characters=len(text),
        passages=len(passages),
        pages=len(parsed.pages) or None,
        **common,
    )
    return PreparedDocument(
        info, tuple(passages), text, tuple(_clipped(each, header_tokens) for each in headers)
    )


def failed(document: Document, reason: str) -> DocumentInfo:
    """What is known of a document that could not be made findable."""
    at = now()
    return DocumentInfo(
        source=document.source,
        title=one_line(document.title or "")[:TITLE_CHARACTERS] or _last_part(document.source),
        media_type=document.media_type,
        sha256="",
        fingerprint="",
        characters=0,
        passages=0,
        ingested_at=at,
        labels=tuple(sorted(set(document.labels))),
        language=document.language,
        time=document.time,
        fields=document.fields,
        failure=DocumentFailure(reason=reason, at=at),
    )


def _clipped(text: str, limit: int) -> str:
    """The beginning of `text`, of at most `limit` tokens, cut at a space."""
    while text and count(text) > limit:
        text = text[: len(text) * 3 // 4].rpartition(" ")[0]
    return text


def _last_part(source: str) -> str:
    """`b.md` of `https://example.org/a/b.md?c`."""
    parts = [part for part in re.split(r"[/\\]", re.sub(r"[?#].*", "", source)) if part.strip()]
    return parts[-1] if parts else source


def context(passage: Passage) -> str:
    """Title and headings of a passage, as they are indexed with it."""
    headings = [heading for heading in passage.section if heading != passage.title]
    return " > ".join([passage.title, *headings])[:CONTEXT_CHARACTERS]
