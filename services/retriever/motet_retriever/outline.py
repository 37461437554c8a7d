"""The outline of a document: its blocks in order, each under its headings.

Markdown is read by markdown-it-py (CommonMark, tables, front matter). The parser says which lines a
block covers; what no block covers (rules, definitions of links) becomes a block of its own.

Invariants:

- Blocks are in order and do not overlap; offsets are into the text as it was given, whatever its
  line ends.
- Every character that is not whitespace is in exactly one block.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.front_matter import front_matter_plugin

from motet_retriever.spans import Span, trimmed

__all__ = [
    "NAME_CHARACTERS",
    "Block",
    "BlockKind",
    "Outline",
    "outline_markdown",
    "outline_plain",
]

BlockKind = Literal["heading", "prose", "item", "table", "code", "whole"]
"""`prose` may be cut between sentences, an `item` of a list only when it is large, and a `table`,
`code`, and what is otherwise `whole` also only then, and between lines."""

NAME_CHARACTERS = 200
"""How much of a heading names its section, and of a title the document."""

_LINE_END = re.compile(r"\r\n?|\n")  # what markdown-it-py takes for the end of a line

_KINDS: dict[str, BlockKind] = {
    "heading_open": "heading",
    "paragraph_open": "prose",
    "blockquote_open": "prose",
    "list_item_open": "item",
    "table_open": "table",
    "fence": "code",
    "code_block": "code",
    "html_block": "whole",
    "front_matter": "whole",
}


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a document that belongs together."""

    kind: BlockKind
    span: Span
    section: tuple[str, ...] = ()
    """The headings above it, outermost first; a heading's own text is the last of its section."""
    header: Span | None = None
    """Of a table the row that names its columns."""


@dataclass(frozen=True, slots=True)
class Outline:
    """What a document is made of."""

    title: str | None
    """Its first heading."""
    blocks: tuple[Block, ...]


def outline_plain(text: str) -> Outline:
    """Plain text is one block of prose."""
    span = trimmed(text, 0, len(text))
    return Outline(None, () if span is None else (Block("prose", span),))


def outline_markdown(text: str) -> Outline:
    """The outline of Markdown."""
    lines = [0, *(found.end() for found in _LINE_END.finditer(text)), len(text)]
    tokens = _parser().parse(text)
    blocks: list[Block] = []
    headings: list[tuple[int, str]] = []
    title: str | None = None
    for kind, first, last, at in _gapless(_top_blocks(tokens), len(lines) - 1):
        span = trimmed(text, lines[first], lines[last])
        if span is None:
            continue
        if kind == "heading":
            level, words = int(tokens[at].tag[1:]), _words(tokens[at + 1])
            headings = [heading for heading in headings if heading[0] < level]
            if words:
                headings.append((level, words[:NAME_CHARACTERS]))
                title = title or words[:NAME_CHARACTERS]
        header = trimmed(text, span.start, lines[first + 1]) if kind == "table" else None
        blocks.append(Block(kind, span, tuple(words for _, words in headings), header))
    return Outline(title, tuple(blocks))


def _parser() -> MarkdownIt:
    """A parser of its own for each document: parsing keeps state in it."""
    return MarkdownIt("commonmark").enable("table").use(front_matter_plugin)


def _top_blocks(tokens: Iterable[Token]) -> Iterator[tuple[BlockKind, int, int, int]]:
    """Blocks at the top of the document, and the items of its lists.

    Each as its kind, its first line, the line after its last, and which token opens it.
    """
    for at, token in enumerate(tokens):
        level = 1 if token.type == "list_item_open" else 0
        kind = _KINDS.get(token.type)
        if kind is not None and token.level == level and token.map is not None:
            yield kind, token.map[0], token.map[1], at


def _gapless(
    blocks: Iterable[tuple[BlockKind, int, int, int]], lines: int
) -> Iterator[tuple[BlockKind, int, int, int]]:
    """The same with the lines between them as prose; of two that claim a line the first has it."""
    done = 0
    for kind, first, last, at in blocks:
        if done < first:
            yield "prose", done, first, -1
        if done < last:
            yield kind, max(first, done), last, at
            done = last
    if done < lines:
        yield "prose", done, lines, -1


def _words(inline: Token) -> str:
    """The words of a heading without its marks."""
    parts = (
        " " if child.type in ("softbreak", "hardbreak") else child.content
        for child in inline.children or ()
        if child.type != "html_inline"
    )
    return " ".join("".join(parts).split())
