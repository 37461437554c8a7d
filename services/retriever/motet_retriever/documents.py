"""Documents: from what somebody sends to passages that can be indexed.

Invariants:

- `passage.text == text[passage.start:passage.end]`, where `text` is the document's text exactly as
  given, or as decoded from UTF-8 without a byte order mark.
- The fingerprint covers everything that the passages are made from; equal fingerprints mean equal
  passages with equal ids.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import assert_never
from uuid import UUID, uuid5

from motet.errors import FaultError
from motet.messages import BlobRef, Document, DocumentInfo, FaultType, Passage, now
from motet_retriever.chunking import Chunking, chunk
from motet_retriever.outline import Outline, outline_markdown, outline_plain

__all__ = ["Fetch", "PreparedDocument", "UnreadableError", "fingerprint", "prepare", "read"]

Fetch = Callable[[BlobRef], Awaitable[bytes]]

CUTTING = 1
"""Version of how documents are cut: a change of the code that cuts otherwise is a new one, and
makes each document be stored again when it is next ingested."""

PASSAGES = UUID("5a1f3c1e-97d4-4f0c-8d55-2f6f0e8f7c11")
"""Namespace of the ids of passages."""

CONTEXT_CHARACTERS = 120
"""How much of title and headings is indexed with each passage: some 25 tokens, so that a passage
of 200 still fits an embedding model that reads 256."""


class UnreadableError(Exception):
    """A document cannot be made findable; the message is a sentence that says why."""


@dataclass(frozen=True, slots=True)
class PreparedDocument:
    """A document, cut."""

    info: DocumentInfo
    passages: tuple[Passage, ...]

    def words(self) -> list[str]:
        """For each passage the text to index: its own under its title and headings."""
        return [f"{_context(passage)}\n{passage.text}" for passage in self.passages]


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


def fingerprint(document: Document, text: str, how: Chunking) -> str:
    """Identifies the version of a document that `prepare` would make."""
    parts = (CUTTING, how.tokens, how.overlap, document.media_type, document.title, text)
    return hashlib.sha256("\0".join(map(repr, parts)).encode()).hexdigest()


def prepare(document: Document, text: str, how: Chunking) -> PreparedDocument:
    """Cuts a document. Takes the processor for a while: for a worker's thread."""
    outline = _outline(document, text)
    title = document.title or outline.title or _last_part(document.source)
    version = fingerprint(document, text, how)
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
        )
        for position, piece in enumerate(chunk(text, outline.blocks, how))
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
    match document.media_type:
        case "text/markdown":
            return outline_markdown(text)
        case "text/plain":
            return outline_plain(text)
        case _:
            assert_never(document.media_type)


def _last_part(source: str) -> str:
    """`b.md` of `https://example.org/a/b.md?c`."""
    parts = [part for part in re.split(r"[/\\]", re.sub(r"[?#].*", "", source)) if part.strip()]
    return parts[-1] if parts else source


def _context(passage: Passage) -> str:
    headings = [heading for heading in passage.section if heading != passage.title]
    return " > ".join([passage.title, *headings])[:CONTEXT_CHARACTERS]
