"""Spans: pieces of a text as offsets, so that every passage can be pointed at.

Invariants:

- `start < end`, both are offsets of characters (code points) into the text as it was given.
- A span begins and ends with a character that is not whitespace.
- Splitting loses only whitespace: each other character is in exactly one of the pieces.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import sentencex

from motet_retriever import tokens

__all__ = ["Span", "fit", "lines", "sentences", "trimmed"]

_LINE = re.compile(r"[^\r\n]+")
_WORD = re.compile(r"\S+")

LANGUAGE = "en"
"""Whose abbreviations do not end a sentence. Full stops of other scripts are known all the same."""


class Span(NamedTuple):
    """Where a piece of a text is."""

    start: int
    """Offset of its first character."""
    end: int
    """Offset after its last character."""


def trimmed(text: str, start: int, end: int) -> Span | None:
    """`text[start:end]` without the whitespace around it; None if nothing is left."""
    piece = text[start:end]
    length = len(piece.rstrip())
    if not length:
        return None
    return Span(start + len(piece) - len(piece.lstrip()), start + length)


def sentences(text: str, span: Span) -> list[Span]:
    """The sentences within `span`.

    A paragraph and an item of a list end a sentence too; abbreviations, initials and the points
    in numbers do not.
    """
    found: list[dict[str, Any]] = sentencex.get_sentence_boundaries(  # pyright: ignore[reportAttributeAccessIssue]  # a compiled module
        LANGUAGE, text[span.start : span.end]
    )
    bounds = ((span.start + each["start_index"], span.start + each["end_index"]) for each in found)
    return _trimmed_all(text, bounds)


def lines(text: str, span: Span) -> list[Span]:
    """The lines within `span` that are not empty."""
    return _trimmed_all(text, (found.span() for found in _LINE.finditer(text, *span)))


def fit(text: str, span: Span, limit: int) -> list[Span]:
    """`span` cut into pieces of at most `limit` tokens, at ends of lines, then at spaces.

    Only a word that is over the limit by itself is cut within.
    """
    if tokens.count(text[span.start : span.end]) <= limit:
        return [span]
    for separated in (_LINE, _WORD):
        pieces = _trimmed_all(
            text, (found.span() for found in separated.finditer(text, span.start, span.end))
        )
        if len(pieces) > 1:
            break
    else:
        middle = (span.start + span.end) // 2
        pieces = [Span(span.start, middle), Span(middle, span.end)]
    parts = (part for piece in pieces for part in fit(text, piece, limit))
    return list(_packed(text, parts, limit))


def _packed(text: str, pieces: Iterable[Span], limit: int) -> Iterator[Span]:
    """Neighbours joined while they stay within `limit` tokens."""
    joined: Span | None = None
    size = 0
    for piece in pieces:
        more = tokens.count(text[piece.start : piece.end])
        if joined is not None and size + more <= limit:
            joined, size = Span(joined.start, piece.end), size + more
            continue
        if joined is not None:
            yield joined
        joined, size = piece, more
    if joined is not None:
        yield joined


def _trimmed_all(text: str, bounds: Iterable[tuple[int, int]]) -> list[Span]:
    return [span for start, end in bounds if (span := trimmed(text, start, end)) is not None]
