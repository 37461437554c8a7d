"""Sentences: the pieces of a text that each state something.

A piece is a sentence, an item of a list, a heading or a row of a table. Every piece is literally in
the text, so that it can be quoted, and the pieces hold all of the text but its white space.
"""

from __future__ import annotations

import regex

from motet.text.languages import base_language, likely_language

__all__ = ["sentences"]

_LINE_STARTS_ANEW = regex.compile(r"\s*(?:[-*+•▪◦‣–]\s|\d{1,3}[.)]\s|\#{1,6}\s|\||>)")
"""An item of a list, a heading, a row or a quotation."""

_INITIAL = regex.compile(r"(?<![\p{L}\p{N}.])\p{Lu}\.\s*$")
"""An initial, or a title of one letter: no end of a sentence."""


def sentences(text: str, language: str | None = None) -> list[str]:
    """The sentences of a text, in order, each a literal part of it.

    Args:
        text: A sentence may go on over the end of a line, but not over an empty one, nor into an
            item of a list, a heading or a row of a table.
        language: Its language; None to find out.
    """
    language = base_language(language) or likely_language(text) or "en"
    return [
        piece
        for block in _blocks(text)
        for part in _segment(block, language)
        if (piece := part.strip())
    ]


def _blocks(text: str) -> list[str]:
    """Runs of lines within which a sentence may go on over the end of a line."""
    blocks: list[str] = []
    together = ""
    for line in text.splitlines(keepends=True):
        ends = not line.strip() or _LINE_STARTS_ANEW.match(line)
        if together and (ends or _is_row(together)):
            blocks.append(together)
            together = ""
        together += line
    return [block for block in (*blocks, together) if block.strip()]


def _is_row(block: str) -> bool:
    return block.lstrip().startswith(("|", "#"))


def _segment(block: str, language: str) -> list[str]:
    import sentencex

    if _is_row(block):
        return [block]
    # The library ends a sentence at a line's end, which a wrapped text has in the middle of one.
    flat = regex.sub(r"[\r\n]", " ", block)
    found: list[str] = []
    start = begin = 0
    parts: list[str] = sentencex.segment(language, flat)  # pyright: ignore[reportAttributeAccessIssue]
    for part in parts:
        start += len(part)
        if not _INITIAL.search(block, begin, start):
            found.append(block[begin:start])
            begin = start
    if begin < len(block):
        found.append(block[begin:])
    return found
