"""Chunking: passages as windows that slide over the sentences of a section.

A section is cut into units (sentences, small list items, tables and code as a whole), and a window
takes as many as its budget of tokens allows; the next one begins with the last sentences of the one
before, so that what stands across a border is found too.

Invariants:

- A passage is one stretch of the document, `text[start:end]`, within one section, of at most
  `Chunking.tokens` tokens; it begins and ends with a character that is not whitespace.
- Every character that is not whitespace is in a passage.
- Passages are in order, and each has something that the one before has not.
- A heading begins the passage of what it is above, and never ends one that has other content.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from motet_retriever import tokens
from motet_retriever.outline import Block
from motet_retriever.spans import Span, fit, sentences

__all__ = ["Chunk", "Chunking", "chunk"]


@dataclass(frozen=True, slots=True)
class Chunking:
    """How documents are cut."""

    tokens: int = 200
    """Tokens that a passage has at most, as `motet_retriever.tokens` counts."""
    overlap: int = 1
    """Sentences at most that a passage repeats from the one before, and at most half its tokens."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage to be."""

    span: Span
    section: tuple[str, ...]


@dataclass(slots=True)
class _Section:
    """Blocks under one heading; the first section of a document has none."""

    path: tuple[str, ...]
    heading: Span | None
    blocks: list[Block] = field(default_factory=list)


def chunk(text: str, blocks: Sequence[Block], how: Chunking) -> list[Chunk]:
    """The passages of a document whose outline is `blocks`."""
    return [
        Chunk(window, section.path)
        for section in _sections(blocks)
        for window in _windows(text, _units(text, section, how.tokens), how)
    ]


def _sections(blocks: Sequence[Block]) -> Iterator[_Section]:
    """Sections in order. A heading without content joins the one after it if that is deeper."""
    section = _Section((), None)
    for block in blocks:
        if block.kind != "heading":
            section.blocks.append(block)
            continue
        start = block.span.start
        if section.blocks or len(block.section) <= len(section.path):
            yield section
        elif section.heading is not None:
            start = section.heading.start
        section = _Section(block.section, Span(start, block.span.end))
    yield section


def _units(text: str, section: _Section, limit: int) -> list[Span]:
    """What the windows of a section are made of; its heading is one with what it is above."""
    units = [unit for block in section.blocks for unit in _block_units(text, block, limit)]
    if section.heading is None:
        return units
    if units:
        first = Span(section.heading.start, units[0].end)
        if _size(text, first) <= limit:
            return [first, *units[1:]]
    return [*fit(text, section.heading, limit), *units]


def _block_units(text: str, block: Block, limit: int) -> list[Span]:
    match block.kind:
        case "whole":
            return fit(text, block.span, limit)
        case "item" if _size(text, block.span) <= limit:
            return [block.span]
        case "prose" | "item" | "heading":
            return [
                piece
                for sentence in sentences(text, block.span)
                for piece in fit(text, sentence, limit)
            ]
        case _:
            assert_never(block.kind)


def _windows(text: str, units: Sequence[Span], how: Chunking) -> Iterator[Span]:
    """Each as many units as fit, beginning with at most `how.overlap` of the window before."""
    sizes = [_size(text, unit) for unit in units]
    first, end = 0, 0
    while end < len(units):
        size = sum(sizes[first:end])
        while end < len(units) and (first == end or size + sizes[end] <= how.tokens):
            size += sizes[end]
            end += 1
        yield Span(units[first].start, units[end - 1].end)
        first = _overlap(sizes, end, how)


def _overlap(sizes: Sequence[int], end: int, how: Chunking) -> int:
    """Where the window after the one that ended before `end` begins.

    The next unit must fit beside what is repeated. That keeps the beginning after the one before:
    a window that ended at `end` was full.
    """
    if end == len(sizes):
        return end
    room = min(how.tokens // 2, how.tokens - sizes[end])
    first = end
    while first > 0 and end - first < how.overlap and sizes[first - 1] <= room:
        first -= 1
        room -= sizes[first]
    return first


def _size(text: str, span: Span) -> int:
    return tokens.count(text[span.start : span.end])
