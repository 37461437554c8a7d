"""Chunking: how a document becomes passages.

A section is cut into units (sentences, small list items, tables and code as a whole), and passages
are made of neighbouring units, in one of three ways:

- `window` slides over them: a passage takes as many units as its budget of tokens allows, and the
  next one begins with the last sentences of the one before, so that what stands across a border is
  found too.
- `structure` keeps apart what is made otherwise: a table or a piece of code has passages of its
  own, unless the whole section is one passage; only prose has windows. A table too large for one
  passage is cut between its rows, and its header goes with each part.
- `semantic` does the same, and cuts prose where neighbouring sentences are least alike.

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
from itertools import groupby
from typing import Literal, assert_never

import numpy as np
from numpy.typing import NDArray

from motet_retriever import tokens
from motet_retriever.outline import Block
from motet_retriever.spans import Span, fit, lines, sentences

__all__ = ["WAYS", "Chunk", "Chunking", "Way", "chunk", "sentences_of"]

Way = Literal["structure", "window", "semantic"]
WAYS: tuple[Way, ...] = ("structure", "window", "semantic")
Made = Literal["text", "table", "code"]

CAPTION_TOKENS = 40
"""Up to how many a paragraph of one sentence before a table is its caption, and goes with it."""

DIFFERENT = 0.95
"""The share of neighbours in a document that are nearer to each other than two sentences between
which prose is cut although it would fit. (Kamradt's 95th percentile of cosine distances, in
"5 Levels of Text Splitting", 2024.)"""


@dataclass(frozen=True, slots=True)
class Chunking:
    """How documents are cut."""

    tokens: int = 200
    """Tokens that a passage has at most, as `motet_retriever.tokens` counts."""
    overlap: int = 1
    """Sentences at most that a window repeats from the one before, and at most half its tokens."""
    way: Way = "structure"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage to be."""

    span: Span
    section: tuple[str, ...]
    block: Made = "text"
    """What most of it is made of."""
    header: Span | None = None
    """The row that names the columns of the table that it goes on with."""


@dataclass(frozen=True, slots=True)
class _Unit:
    """What is not cut any further."""

    span: Span
    size: int
    """In tokens."""
    made: Made
    block: int
    """Which of the section's blocks it is of."""
    header: Span | None = None


@dataclass(slots=True)
class _Section:
    """Blocks under one heading; the first section of a document has none."""

    path: tuple[str, ...]
    heading: Span | None
    blocks: list[Block] = field(default_factory=list)


def chunk(
    text: str,
    blocks: Sequence[Block],
    how: Chunking,
    vectors: NDArray[np.float32] | None = None,
) -> list[Chunk]:
    """The passages of a document whose outline is `blocks`.

    `vectors` are the embeddings, of length 1, of what `sentences_of` gives, for the way `semantic`;
    without them that is the way `structure`.
    """
    sections = [(section, _units(text, section, how.tokens)) for section in _sections(blocks)]
    apart = None if vectors is None else _Apart(vectors)
    chunks: list[Chunk] = []
    place = 0
    for section, units in sections:
        for run in _runs(units, how):
            offset = place + units.index(run[0])
            pieces = _split(run, how, offset, apart if how.way == "semantic" else None)
            chunks += [_chunk(piece, section.path) for piece in pieces]
        place += len(units)
    return chunks


def sentences_of(text: str, blocks: Sequence[Block], how: Chunking) -> list[str]:
    """What the way `semantic` compares, in order."""
    return [
        text[unit.span.start : unit.span.end]
        for section in _sections(blocks)
        for unit in _units(text, section, how.tokens)
    ]


def _sections(blocks: Sequence[Block]) -> Iterator[_Section]:
    """Sections in order. A heading without content joins the one after it if that is deeper."""
    section = _Section((), None)
    for block in blocks:
        if block.kind != "heading":
            if block.section != section.path and (section.blocks or section.heading is None):
                # Code has sections without headings.
                if section.blocks:
                    yield section
                section = _Section(block.section, None)
            section.blocks.append(block)
            continue
        start = block.span.start
        if section.blocks or len(block.section) <= len(section.path):
            yield section
        elif section.heading is not None:
            start = section.heading.start
        section = _Section(block.section, Span(start, block.span.end))
    yield section


def _units(text: str, section: _Section, limit: int) -> list[_Unit]:
    """What passages of a section are made of; its heading is one with what it is above."""
    units = [
        _Unit(span, _size(text, span), _made(block), number, block.header)
        for number, block in enumerate(section.blocks)
        for span in _block_units(text, block, limit)
    ]
    if section.heading is None:
        return units
    if units:
        first = Span(section.heading.start, units[0].span.end)
        size = _size(text, first)
        if size <= limit:
            return [_Unit(first, size, units[0].made, 0, units[0].header), *units[1:]]
    alone = fit(text, section.heading, limit)
    return [*(_Unit(span, _size(text, span), "text", -1) for span in alone), *units]


def _block_units(text: str, block: Block, limit: int) -> list[Span]:
    match block.kind:
        case "table" | "code" | "whole" | "item" if _size(text, block.span) <= limit:
            return [block.span]
        case "table" | "code" | "whole":
            pieces = lines(text, block.span)
        case "prose" | "item" | "heading":
            pieces = sentences(text, block.span)
        case _:
            assert_never(block.kind)
    return [part for piece in pieces for part in fit(text, piece, limit)]


def _made(block: Block) -> Made:
    match block.kind:
        case "table":
            return "table"
        case "code":
            return "code"
        case "heading" | "prose" | "item" | "whole":
            return "text"
        case _:
            assert_never(block.kind)


def _runs(units: Sequence[_Unit], how: Chunking) -> Iterator[list[_Unit]]:
    """The units in stretches that share no passage."""
    if how.way == "window" or sum(unit.size for unit in units) <= how.tokens:
        if units:
            yield list(units)
        return
    runs = [
        list(run)
        for _, run in groupby(units, lambda unit: (unit.made, unit.block * (unit.made != "text")))
    ]
    for run, following in zip(runs, [*runs[1:], None], strict=True):
        if following is not None and _ends_in_caption(run, following, how.tokens):
            following.insert(0, run.pop())
        if run:
            yield run


def _ends_in_caption(run: Sequence[_Unit], table: Sequence[_Unit], limit: int) -> bool:
    caption, size = run[-1], sum(unit.size for unit in table)
    return (
        caption.made == "text"
        and (len(run) == 1 or run[-2].block != caption.block)
        and table[0].made == "table"
        and caption.size <= CAPTION_TOKENS
        and (caption.size + size <= limit or size > limit)
    )


def _split(
    run: Sequence[_Unit], how: Chunking, offset: int, apart: _Apart | None
) -> Iterator[Sequence[_Unit]]:
    """The passages of a run, whose first unit is that number `offset` of the document."""
    made = run[-1].made
    if apart is not None and made == "text":
        yield from apart.split(run, how.tokens, offset)
    elif how.way == "window" or made == "text":
        yield from _windows(run, how.tokens, how.overlap)
    else:
        yield from _windows(run, how.tokens - _header_size(run, how.tokens), 0)


def _header_size(run: Sequence[_Unit], limit: int) -> int:
    """Room for the header that is indexed with each part of a large table: a third at most."""
    header = run[-1].header
    if header is None or sum(unit.size for unit in run) <= limit:
        return 0
    largest = max(unit.size for unit in run)
    in_first = next((unit.size for unit in run if unit.span.end >= header.end), 0)
    return max(0, min(in_first, limit // 3, limit - largest))


def _windows(units: Sequence[_Unit], limit: int, overlap: int) -> Iterator[Sequence[_Unit]]:
    """Each as many units as fit, beginning with at most `overlap` of the window before."""
    first, end = 0, 0
    while end < len(units):
        size = sum(unit.size for unit in units[first:end])
        while end < len(units) and (first == end or size + units[end].size <= limit):
            size += units[end].size
            end += 1
        yield units[first:end]
        first = _overlap(units, end, limit, overlap)


def _overlap(units: Sequence[_Unit], end: int, limit: int, overlap: int) -> int:
    """Where the window after the one that ended before `end` begins.

    The next unit must fit beside what is repeated. That keeps the beginning after the one before:
    a window that ended at `end` was full.
    """
    if end == len(units):
        return end
    room = min(limit // 2, limit - units[end].size)
    first = end
    while first > 0 and end - first < overlap and units[first - 1].size <= room:
        first -= 1
        room -= units[first].size
    return first


class _Apart:
    """How far neighbouring units of a document are from each other."""

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        self._distances = 1 - np.einsum("ij,ij->i", vectors[:-1], vectors[1:])
        self._different = (
            float(np.quantile(self._distances, DIFFERENT)) if len(self._distances) else np.inf
        )

    def split(self, units: Sequence[_Unit], limit: int, offset: int) -> Iterator[Sequence[_Unit]]:
        """The units in pieces within `limit`, cut where they are furthest apart.

        No piece has less than a quarter of `limit`, where that can be had.
        """
        waiting = [(0, len(units))]
        while waiting:
            first, end = waiting.pop()
            at = self._cut(units, first, end, limit, offset)
            if at is None:
                yield units[first:end]
            else:
                waiting += [(at, end), (first, at)]

    def _cut(
        self, units: Sequence[_Unit], first: int, end: int, limit: int, offset: int
    ) -> int | None:
        """Before which unit to cut; None for not at all."""
        if end - first < 2:
            return None
        sizes = np.cumsum([unit.size for unit in units[first:end]])
        total = int(sizes[-1])
        gaps = self._distances[offset + first : offset + end - 1]
        fair = (sizes[:-1] >= limit // 4) & (total - sizes[:-1] >= limit // 4)
        if total > limit and not fair.any():
            fair[:] = True
        if not fair.any():
            return None
        best = int(np.argmax(np.where(fair, gaps, -np.inf)))
        if total <= limit and gaps[best] <= self._different:
            return None
        return first + best + 1


def _chunk(units: Sequence[_Unit], section: tuple[str, ...]) -> Chunk:
    span = Span(units[0].span.start, units[-1].span.end)
    sizes: dict[Made, int] = {}
    for unit in units:
        sizes[unit.made] = sizes.get(unit.made, 0) + unit.size
    made = max(sizes, key=lambda each: sizes[each])
    header = units[0].header
    goes_on = header is not None and span.start >= header.end
    return Chunk(span, section, made, header if goes_on else None)


def _size(text: str, span: Span) -> int:
    return tokens.count(text[span.start : span.end])
