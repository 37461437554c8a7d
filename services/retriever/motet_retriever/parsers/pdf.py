"""PDF: the text of each page, by PDFium.

Lines that stand at the top or the bottom of most pages (running heads, page numbers) are left out;
a word that is hyphenated at a line's end is put together; the entries of the file's own outline
make headings of the lines that they name. Nothing is recognised from images.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from motet_retriever.parsers.parsed import (
    Parsed,
    UnreadableError,
    Writer,
    aware,
    clean,
    language_tag,
    one_line,
)

__all__ = ["parse_pdf"]

_HYPHEN = re.compile("(?<=\\w)(?:\ufffe|\x02|\xad)[ \t]*\r?\n?")
_BROKEN_WORD = re.compile(r"(?<=[^\W\d_])-\r?\n(?=[^\W\d_])")
_DATE = re.compile(r"D:(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:([+-])(\d\d)'?(\d\d)?|Z)?")

_EDGE = 2
"""Lines at the top and at the bottom of a page that may be running ones."""
_RUNNING_FROM = 4
"""Pages from which on there is something like a running line."""
_RUNNING_SHARE = 0.6
_FULL = 2 * _EDGE + 1
"""Lines from which on a page has an inside; of one with fewer, nothing is running."""

_NEEDS_PASSWORD = 4
"""FPDF_ERR_PASSWORD."""


def parse_pdf(data: bytes, limit: int) -> Parsed:
    """The pages of a PDF.

    Raises:
        UnreadableError: It is encrypted, broken, too large, or has no text.
    """
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == _NEEDS_PASSWORD or "assword" in str(error):
            raise UnreadableError("It is encrypted, and opens with a password only.") from None
        raise UnreadableError("It is a broken PDF.") from None
    with document:
        pages = [_lines(document, number) for number in range(len(document))]
        headings = _headings(document)
        said = document.get_metadata_dict()
        language = _language(document)
    if not pages or not any(pages):
        raise UnreadableError("It has no text; if it was scanned, recognise its text first.")
    writer = Writer(limit)
    for number, lines in enumerate(_without_running(pages)):
        writer.page()
        _write_page(lines, headings.get(number, {}), writer)
    time = _moment(said.get("ModDate", "")) or _moment(said.get("CreationDate", ""))
    return writer.parsed(said.get("Title"), language, time)


def _lines(document: Any, number: int) -> list[str]:
    """The lines of a page, those that are empty too."""
    import pypdfium2

    with suppress(pypdfium2.PdfiumError):  # a page that is broken is empty, as for a reader
        page = document[number]
        text_page = page.get_textpage()
        try:
            text = text_page.get_text_range()
        finally:
            text_page.close()
            page.close()
        text = _BROKEN_WORD.sub("", _HYPHEN.sub("", text))
        return [line.strip() for line in clean(text).split("\n")] if text.strip() else []
    return []


def _headings(document: Any) -> dict[int, dict[str, int]]:
    """For each page the lines that the outline names, with their levels."""
    import pypdfium2

    found: defaultdict[int, dict[str, int]] = defaultdict(dict)
    with suppress(pypdfium2.PdfiumError):
        for entry in document.get_toc():
            place = entry.get_dest()
            number = None if place is None else place.get_index()
            title = _key(entry.get_title())
            if number is not None and title:
                found[number].setdefault(title, entry.level + 1)
    return found


def _write_page(lines: Sequence[str], headings: dict[str, int], writer: Writer) -> None:
    paragraph: list[str] = []
    for line in [*lines, ""]:
        level = headings.get(_key(line)) if line else None
        if line and level is None:
            paragraph.append(line)
            continue
        writer.prose("\n".join(paragraph))
        paragraph = []
        if level is not None:
            writer.heading(level, line)


def _key(line: str) -> str:
    """A line without what outline and page write differently: numbers, spaces, case."""
    return re.sub(r"^[\d.]+\s*", "", one_line(line)).casefold()


def _without_running(pages: Sequence[list[str]]) -> list[list[str]]:
    """The pages without the lines that most of them have at the same edge."""
    filled = [page for page in pages if _edges(page)]
    if len(filled) < _RUNNING_FROM:
        return list(pages)
    counts = Counter(mark for page in filled for mark in {mark for _, mark in _edges(page)})
    running = {mark for mark, count in counts.items() if count >= len(filled) * _RUNNING_SHARE}
    kept: list[list[str]] = []
    for page in pages:
        dropped = {place for place, mark in _edges(page) if mark in running}
        kept.append([line for place, line in enumerate(page) if place not in dropped])
    return kept


def _edges(page: Sequence[str]) -> list[tuple[int, tuple[str, str]]]:
    """The outer lines of a page: place, and edge with words whose numbers do not count."""
    places = [place for place, line in enumerate(page) if line]
    if len(places) < _FULL:
        return []
    top = [(place, "top") for place in places[:_EDGE]]
    bottom = [(place, "bottom") for place in places[_EDGE:][-_EDGE:]]
    return [(place, (edge, re.sub(r"\d+", "0", page[place]))) for place, edge in top + bottom]


def _language(document: Any) -> str | None:
    import ctypes

    import pypdfium2.raw

    buffer = (ctypes.c_ushort * 64)()
    pypdfium2.raw.FPDFCatalog_GetLanguage(document.raw, buffer, ctypes.sizeof(buffer))
    return language_tag(bytes(buffer).decode("utf-16-le", "ignore").split("\0")[0])


def _moment(text: str) -> datetime | None:
    """A date of PDF (ISO 32000-1, 7.9.4)."""
    found = _DATE.match(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, sign, hours, minutes = found.groups()
    zone = UTC
    try:
        if sign:
            offset = timedelta(hours=int(hours), minutes=int(minutes or 0))
            zone = timezone(offset if sign == "+" else -offset)
        return aware(
            datetime(
                int(year),
                int(month or 1),
                int(day or 1),
                int(hour or 0),
                int(minute or 0),
                int(second or 0),
                tzinfo=zone,
            )
        )
    except (ValueError, OverflowError):
        return None
