"""What a parser gives, and what it writes it with.

Invariants:

- Blocks are in order and do not overlap; each begins and ends with a character that is not
  whitespace, and every such character is in one.
- Offsets of pages do not fall; there is one for each page, also where a page has no text.
- Text that a `Writer` wrote has no NUL, no other control characters but tab and line feed, and no
  half characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from motet_retriever.outline import NAME_CHARACTERS, Block, BlockKind
from motet_retriever.spans import Span, trimmed

__all__ = [
    "Parsed",
    "UnreadableError",
    "Writer",
    "aware",
    "clean",
    "language_tag",
    "moment",
    "one_line",
]

MAX_COLUMNS = 1000
"""Columns of a table; what has more is a matrix and not read by anybody."""

_UNWANTED = {
    **dict.fromkeys([*range(9), 11, 12, *range(14, 32), *range(127, 160)]),
    **dict.fromkeys([0xAD, 0x200B, 0x2060, 0xFEFF, 0xFFFE, 0xFFFF]),  # seen by nobody
    0x85: "\n",
    0x0B: "\n",
    0x0C: "\n",
    0xA0: " ",
    0x2028: "\n",
    0x2029: "\n",
}
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")


class UnreadableError(Exception):
    """A document cannot be made findable; the message is a sentence that says why."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document as it was read."""

    text: str
    """What passages' offsets point into."""
    blocks: tuple[Block, ...]
    title: str | None = None
    """As the file itself says, or its first heading."""
    language: str | None = None
    """As a BCP 47 tag: what the file says, else a guess, else None."""
    time: datetime | None = None
    """When it was written or last changed, as the file says."""
    pages: tuple[int, ...] = ()
    """For each page, slide or sheet the offset at which it begins; empty for what has none."""


class Writer:
    """Writes the text of a document, block by block."""

    def __init__(self, limit: int) -> None:
        """`limit` is the number of characters that the text may have."""
        self._limit = limit
        self._parts: list[str] = []
        self._length = 0
        self._blocks: list[Block] = []
        self._headings: list[tuple[int, str]] = []
        self._pages: list[int] = []
        self._new_pages = 0
        self.title: str | None = None
        """The first heading."""

    def page(self) -> None:
        """What comes next is on a new page."""
        self._new_pages += 1

    def heading(self, level: int, text: str) -> None:
        """A heading, of `level` 1 for the outermost."""
        text = one_line(text)
        if not text:
            return
        name = text[:NAME_CHARACTERS]
        level = min(max(level, 1), 6)
        self._headings = [each for each in self._headings if each[0] < level]
        self._headings.append((level, name))
        self.title = self.title or name
        self._add("heading", f"{'#' * level} {text}")

    def prose(self, text: str) -> None:
        """A paragraph."""
        self._add("prose", text)

    def item(self, text: str, depth: int = 0) -> None:
        """An item of a list, `depth` lists deep."""
        text = clean(text).strip()
        if text:
            close = bool(self._blocks) and self._blocks[-1].kind == "item"
            self._add("item", f"{'  ' * depth}- {text}", close=close)

    def code(self, text: str, section: Sequence[str] = ()) -> None:
        """Code as it is, under the names of what it defines."""
        self._add("code", text.strip("\n"), section=section)

    def table(self, rows: Iterable[Sequence[str]]) -> None:
        """A table as Markdown, whose first row is its header."""
        lines: list[str] = []
        size = 0
        for row in rows:
            cells = [one_line(cell).replace("|", "\\|") for cell in row]
            if len(cells) > MAX_COLUMNS:
                raise UnreadableError(
                    f"A table in it has {len(cells):,} columns, and the limit is {MAX_COLUMNS:,}."
                )
            if not any(cells):
                continue
            lines.append(f"| {' | '.join(cells)} |")
            if len(lines) == 1:
                lines.append(f"|{'---|' * len(cells)}")
            size += len(lines[-1]) + 1
            self._check(size)
        if lines:
            self._add("table", "\n".join(lines), header=len(lines[0]))

    def include(self, parsed: Parsed, level: int) -> None:
        """A document within this one, its headings below `level`; its pages are not told."""
        for block in parsed.blocks:
            text = parsed.text[block.span.start : block.span.end]
            under = (*(name for at, name in self._headings if at <= level), *block.section)
            header = block.header and block.header.end - block.header.start
            self._add(block.kind, text, section=under, header=header)

    def parsed(
        self,
        title: str | None = None,
        language: str | None = None,
        time: datetime | None = None,
    ) -> Parsed:
        """What was written; `title` is that of the file, before its first heading."""
        self._turn(self._length)
        named = one_line(title or "")[:NAME_CHARACTERS]
        return Parsed(
            "".join(self._parts),
            tuple(self._blocks),
            named or self.title,
            language,
            time,
            tuple(self._pages),
        )

    def _add(
        self,
        kind: BlockKind,
        text: str,
        *,
        section: Sequence[str] = (),
        header: int | None = None,
        close: bool = False,
    ) -> None:
        text = clean(text).rstrip()
        inner = trimmed(text, 0, len(text))
        if inner is None:
            return
        between = ("\n" if close else "\n\n") if self._parts else ""
        start = self._length + len(between)
        self._check(len(between) + len(text))
        self._parts += [between, text]
        self._length = start + len(text)
        self._turn(start)
        span = Span(start + inner.start, start + inner.end)
        path = tuple(section) or tuple(name for _, name in self._headings)
        row = None if header is None else Span(span.start, min(span.start + header, span.end))
        self._blocks.append(Block(kind, span, path, row))

    def _turn(self, offset: int) -> None:
        self._pages += [offset] * self._new_pages
        self._new_pages = 0

    def _check(self, more: int) -> None:
        if self._length + more > self._limit:
            raise UnreadableError(
                f"Its text has more than {self._limit:,} characters, the limit "
                "(MOTET_RETRIEVER_MAX_DOCUMENT_BYTES)."
            )


def clean(text: str) -> str:
    """Text without what nobody sees: control characters, soft hyphens, half characters."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").translate(_UNWANTED)
    return _SURROGATE.sub("\ufffd", text)


def one_line(text: str) -> str:
    """Text with single spaces for all whitespace."""
    return " ".join(clean(text).split())


def language_tag(text: str | None) -> str | None:
    """A BCP 47 tag in its usual form, `pt-BR`; None for what is none."""
    tag = (text or "").strip().replace("_", "-")
    if not _TAG.fullmatch(tag) or tag.lower() in ("und", "zxx", "mul"):
        return None
    first, *rest = tag.split("-")
    return "-".join([first.lower(), *(each.upper() if len(each) == 2 else each for each in rest)])


def moment(text: str | None) -> datetime | None:
    """A moment or a date as ISO 8601; one without a time zone is taken to be in UTC."""
    try:
        found = datetime.fromisoformat((text or "").strip())
        return aware(found)
    except (ValueError, OverflowError):
        return None


def aware(time: datetime) -> datetime | None:
    """The moment in UTC; without a time zone it is taken to be so. None outside 1900 to 9998."""
    if not 1900 <= time.year < 9999:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
