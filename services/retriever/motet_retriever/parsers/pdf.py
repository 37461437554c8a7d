"""PDF: the text of each page, by PDFium.

Headings are the lines that the file's own outline names; of a file without one, the lines that are
taller than its body text. Lines that stand at the top or the bottom of most pages (running heads,
page numbers) are left out, and a word that is hyphenated at a line's end is put together. Nothing
is recognised from images.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from itertools import groupby
from typing import Any, NamedTuple

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

_HYPHEN = re.compile("(\\w?)[\ufffe\x02\xad](\\w?)")
"""What PDFium makes of a hyphen at a line's end, between the letters at its sides."""
_NOT_TITLES = re.compile(
    r"untitled.*|microsoft \w+ - .*|.*\.(docx?|indd|tex|dvi|qxd|rtf|odt)", re.IGNORECASE
)
_DATE = re.compile(r"D:(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:([+-])(\d\d)'?(\d\d)?|Z)?")

_EDGE = 2
"""Lines at the top and at the bottom of a page that may be running ones."""
_RUNNING_FROM = 4
"""Pages from which on there is something like a running line."""
_RUNNING_SHARE = 0.6
_FULL = 2 * _EDGE + 1
"""Lines from which on a page has an inside; of one with fewer, nothing is running."""

_TALLER = 1.2
"""From how many times the height of the body text on a line is a heading."""
_HEADING_CHARACTERS = 120
_HEADING_SHARE = 0.3
"""Of all characters: with more in taller lines, being taller means something else."""

_NEEDS_PASSWORD = 4
"""FPDF_ERR_PASSWORD."""


class _Line(NamedTuple):
    text: str
    height: int
    """Of its first character's box, in points."""


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
        outline = _outline(document)
        said = document.get_metadata_dict()
        language = _language(document)
    if not any(pages):
        raise UnreadableError("It has no text; if it was scanned, recognise its text first.")
    levels = _levels(pages)
    writer = Writer(limit)
    for number, lines in enumerate(_without_running(pages, levels)):
        writer.page()
        named = outline.get(number, {})
        _write_page(lines, writer, named if outline else None, levels)
    title = one_line(said.get("Title", ""))
    if not title or _NOT_TITLES.fullmatch(title):
        title = _title(pages, levels)
    time = _moment(said.get("ModDate", "")) or _moment(said.get("CreationDate", ""))
    return writer.parsed(title, language, time)


def _lines(document: Any, number: int) -> list[_Line]:
    """The lines of a page, those that are empty too."""
    import pypdfium2
    import pypdfium2.raw

    lines: list[_Line] = []
    with suppress(pypdfium2.PdfiumError):  # a page that is broken is empty, as for a reader
        page = document[number]
        text_page = page.get_textpage()
        text = text_page.get_text_range()
        box = pypdfium2.raw.FS_RECTF()
        offset = 0
        for line in text.split("\n"):
            first = offset + len(line) - len(line.lstrip())
            height = 0
            if line.strip() and pypdfium2.raw.FPDFText_GetLooseCharBox(text_page.raw, first, box):
                height = round(abs(box.top - box.bottom))
            lines.append(_Line(clean(_HYPHEN.sub(_joined, line)).strip(), height))
            offset += len(line) + 1
        text_page.close()
        page.close()
    return lines if any(line.text for line in lines) else []


def _joined(hyphen: re.Match[str]) -> str:
    """A word that goes on in small letters is put together; else the hyphen is its own."""
    before, after = hyphen.groups()
    return before + ("" if before.isalpha() and after.islower() else "-") + after


def _outline(document: Any) -> dict[int, dict[str, int]]:
    """For each page the lines that the file's outline names, with their levels."""
    import pypdfium2

    found: defaultdict[int, dict[str, int]] = defaultdict(dict)
    with suppress(pypdfium2.PdfiumError):
        for entry in document.get_toc():
            place = entry.get_dest()
            number = None if place is None else place.get_index()
            title = _key(entry.get_title())
            if number is not None and title:
                found[number].setdefault(title, entry.level + 1)
    return dict(found)


def _levels(pages: Sequence[Sequence[_Line]]) -> dict[int, int]:
    """For each height of headings their level; the tallest are of level 1."""
    lines = [line for page in pages for line in page if line.text]
    sizes: Counter[int] = Counter()
    for line in lines:
        sizes[line.height] += len(line.text)
    body = sizes.most_common(1)[0][0]
    taller = {
        line.height
        for line in lines
        if line.height >= max(body * _TALLER, body + 1) and any(map(str.isalpha, line.text))
    }
    if sum(sizes[height] for height in taller) > _HEADING_SHARE * sum(sizes.values()):
        return {}
    return {height: level for level, height in enumerate(sorted(taller, reverse=True), 1)}


def _title(pages: Sequence[Sequence[_Line]], levels: dict[int, int]) -> str:
    """The tallest lines of the first page that has text, where they are headings."""
    first = next(page for page in pages if page)
    height = max(line.height for line in first)
    return " ".join(line.text for line in first if line.height == height and height in levels)


def _write_page(
    lines: Sequence[_Line],
    writer: Writer,
    outline: dict[str, int] | None,
    levels: dict[int, int],
) -> None:
    """Writes a page; its headings are told by `outline`, without one by `levels`."""

    def level_of(line: _Line) -> int:
        if not line.text or len(line.text) > _HEADING_CHARACTERS:
            return 0
        return levels.get(line.height, 0) if outline is None else outline.get(_key(line.text), 0)

    for level, group in groupby(lines, level_of):
        text = "\n".join(line.text for line in group)
        if level:
            writer.heading(level, text)
        else:
            for paragraph in text.split("\n\n"):
                writer.prose(paragraph)


def _key(line: str) -> str:
    """A line without what outline and page write differently: numbers, spaces, case."""
    return re.sub(r"^[\d.]+\s*", "", one_line(line)).casefold()


def _without_running(pages: Sequence[list[_Line]], levels: dict[int, int]) -> list[list[_Line]]:
    """The pages without the lines that most of them have at the same edge."""
    edges = [_edges(page, levels) for page in pages]
    full = sum(1 for each in edges if each)
    if full < _RUNNING_FROM:
        return list(pages)
    counts = Counter(mark for each in edges for mark in set(each.values()))
    running = {mark for mark, count in counts.items() if count >= full * _RUNNING_SHARE}
    return [
        [line for place, line in enumerate(page) if each.get(place) not in running]
        for page, each in zip(pages, edges, strict=True)
    ]


def _edges(page: Sequence[_Line], levels: dict[int, int]) -> dict[int, tuple[str, str]]:
    """The outer lines of a page by place: the edge, and words whose numbers do not count."""
    places = [place for place, line in enumerate(page) if line.text]
    if len(places) < _FULL:
        return {}
    edges = {**dict.fromkeys(places[:_EDGE], "top"), **dict.fromkeys(places[-_EDGE:], "bottom")}
    return {
        place: (edge, re.sub(r"\d+", "0", page[place].text))
        for place, edge in edges.items()
        if page[place].height not in levels
    }


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
