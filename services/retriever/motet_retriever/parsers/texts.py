"""Markdown and plain text, as they are; CSV as a table."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from io import StringIO

from motet_retriever.outline import outline_markdown, outline_plain
from motet_retriever.parsers.parsed import (
    MAX_COLUMNS,
    Parsed,
    UnreadableError,
    Writer,
    language_tag,
    moment,
    one_line,
)

__all__ = ["parse_csv", "parse_markdown", "parse_plain"]

_FRONT_MATTER = re.compile(r"---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_ENTRY = re.compile(
    r"^(title|date|updated|modified|lastmod|lang|language):[ \t]*(.+?)[ \t]*$", re.MULTILINE
)

_SNIFFED = 64 * 1024
"""Characters from which the separator is told."""


def parse_plain(text: str) -> Parsed:
    """Plain text: one block of prose."""
    return Parsed(text, outline_plain(text).blocks)


def parse_markdown(text: str) -> Parsed:
    """Markdown, with title, language and time from its front matter."""
    outline = outline_markdown(text)
    matter = _FRONT_MATTER.match(text)
    said = {name: value.strip("\"'") for name, value in _ENTRY.findall(matter[1] if matter else "")}
    times = (moment(said.get(name)) for name in ("updated", "modified", "lastmod", "date"))
    return Parsed(
        text,
        outline.blocks,
        one_line(said.get("title", ""))[:200] or outline.title,
        language_tag(said.get("lang") or said.get("language")),
        next((time for time in times if time is not None), None),
    )


def parse_csv(text: str, separator: str | None, limit: int) -> Parsed:
    """A table, whose first row names the columns.

    Args:
        text: The file.
        separator: Between cells; None has it told from the text.
        limit: Characters that the table may have.

    Raises:
        UnreadableError: It is no table, or has too many columns.
    """
    if separator is None:
        separator = _separator(text)
    writer = Writer(limit)
    try:
        writer.table(_rows(text, separator))
    except csv.Error as error:
        raise UnreadableError(f"It is not readable as a table: {error}.") from None
    return writer.parsed()


def _rows(text: str, separator: str) -> Iterator[list[str]]:
    for row in csv.reader(StringIO(text, newline=""), delimiter=separator):
        while row and not row[-1].strip():
            row.pop()
        yield row


def _separator(text: str) -> str:
    first = text[:_SNIFFED].split("\n", 1)[0]
    if first.count(",") + first.count(";") + first.count("\t") > MAX_COLUMNS:
        return max(",;\t|", key=first.count)
    try:
        return csv.Sniffer().sniff(text[:_SNIFFED], ",;\t|").delimiter
    except csv.Error:
        return max(",;\t|", key=first.count)  # one column, or rows of different lengths
