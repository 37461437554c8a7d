"""Office files: text documents (DOCX), slides (PPTX) and sheets (XLSX, XLS, ODS).

Opened by python-docx, python-pptx and calamine, once `archives` has looked through them. What their
program would not show (deleted text, hidden text, hidden slides and sheets) is left out. A slide
and a sheet are a page and a section each; a text document has pages where the program that wrote
it noted where they began.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from io import BytesIO
from typing import Any

from motet_retriever.parsers import OLE
from motet_retriever.parsers.archives import looked_through, properties
from motet_retriever.parsers.parsed import Parsed, UnreadableError, Writer

__all__ = ["parse_docx", "parse_pptx", "parse_sheets"]

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")


def parse_docx(data: bytes, limit: int) -> Parsed:
    """A text document.

    Raises:
        UnreadableError: It is encrypted, broken, or too large.
    """
    from docx import Document

    _check(data)
    looked_through(data)
    document: Any = Document(BytesIO(data))
    writer = Writer(limit)
    body = document.element.body
    if next(body.iter(f"{_W}lastRenderedPageBreak"), None) is not None:
        writer.page()
    _write_blocks(body, writer, _levels(document))
    for kind in ("footnotes", "endnotes"):
        for part in document.part.package.iter_parts():
            if part.partname == f"/word/{kind}.xml":
                _write_notes(part.blob, writer)
    said = properties(data)
    return writer.parsed(said.title, said.language, said.time)


def _levels(document: Any) -> dict[str, int]:
    """For each style of headings its level."""
    levels: dict[str, int] = {}
    for style in document.styles:
        name = (style.name or "").lower()
        if name == "title":
            levels[style.style_id] = 1
        elif name.startswith("heading ") and name[8:].isdigit():
            levels[style.style_id] = int(name[8:])
    return levels


def _write_blocks(parent: Any, writer: Writer, levels: dict[str, int]) -> None:
    for element in parent:
        if element.tag == f"{_W}p":
            _write_paragraph(element, writer, levels)
        elif element.tag == f"{_W}tbl":
            writer.table(_table_rows(element))
        elif element.tag in (f"{_W}sdt", f"{_W}sdtContent", f"{_W}ins", f"{_W}customXml"):
            _write_blocks(element, writer, levels)


def _write_paragraph(paragraph: Any, writer: Writer, levels: dict[str, int]) -> None:
    style = paragraph.find(f"{_W}pPr/{_W}pStyle")
    name = "" if style is None else style.get(f"{_W}val") or ""
    outline = paragraph.find(f"{_W}pPr/{_W}outlineLvl")
    level = levels.get(name, 0)
    if outline is not None and (outline.get(f"{_W}val") or "").isdigit():
        level = (int(outline.get(f"{_W}val")) + 1) % 10
    text, turns = _text(paragraph)
    first, later = turns
    for _ in range(first):
        writer.page()
    listed = paragraph.find(f"{_W}pPr/{_W}numPr")
    if level:
        writer.heading(level, text)
    elif listed is not None or name.lower().startswith("list"):
        depth = None if listed is None else listed.find(f"{_W}ilvl")
        number = "0" if depth is None else depth.get(f"{_W}val") or "0"
        writer.item(text, min(int(number), 8) if number.isdigit() else 0)
    else:
        writer.prose(text)
    for _ in range(later):
        writer.page()


def _text(paragraph: Any) -> tuple[str, tuple[int, int]]:
    """A paragraph's text, and how many pages begin before and within it."""
    words: list[str] = []
    before = within = 0
    hidden: Any = None
    for element in paragraph.iter():
        if hidden is not None and _is_within(element, hidden):
            continue
        tag = element.tag
        if tag in (_FALLBACK, f"{_W}del", f"{_W}moveFrom") or _vanishes(element):
            hidden = element
        elif tag == f"{_W}t":
            words.append(element.text or "")
        elif tag == f"{_W}tab":
            words.append("\t")
        elif (tag in (f"{_W}br", f"{_W}cr") and element.get(f"{_W}type") != "page") or (
            tag == f"{_W}p" and element is not paragraph
        ):
            words.append("\n")
        elif tag == f"{_W}lastRenderedPageBreak":
            if "".join(words).strip():
                within += 1
            else:
                before += 1
    return "".join(words), (before, within)


def _vanishes(element: Any) -> bool:
    mark = element.find(f"{_W}rPr/{_W}vanish") if element.tag == f"{_W}r" else None
    return mark is not None and mark.get(f"{_W}val") not in ("0", "false")


def _is_within(element: Any, ancestor: Any) -> bool:
    return any(each is ancestor for each in element.iterancestors())


def _table_rows(table: Any) -> Iterator[list[str]]:
    for row in table.iter(f"{_W}tr"):
        if next(row.iterancestors(f"{_W}tbl"), None) is not table:
            continue  # of a table in a cell, whose text is that cell's
        yield [
            " ".join(_text(paragraph)[0] for paragraph in _outer_paragraphs(cell))
            for cell in row.iterchildren(f"{_W}tc")
        ]


def _write_notes(blob: bytes, writer: Writer) -> None:
    from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]  # a compiled module

    root = etree.fromstring(blob, etree.XMLParser(resolve_entities=False, no_network=True))
    for note in root:
        if note.get(f"{_W}type") is None:  # others are the lines that separate them
            writer.item(" ".join(_text(each)[0] for each in _outer_paragraphs(note)))


def _outer_paragraphs(element: Any) -> Iterator[Any]:
    """Its paragraphs but those in text boxes of others, whose text is theirs."""
    for paragraph in element.iter(f"{_W}p"):
        if next(paragraph.iterancestors(f"{_W}p"), None) is None:
            yield paragraph


def parse_pptx(data: bytes, limit: int) -> Parsed:
    """Slides, each a page and a section under its title.

    Raises:
        UnreadableError: As `parse_docx`.
    """
    from pptx import Presentation

    _check(data)
    looked_through(data)
    writer = Writer(limit)
    for number, slide in enumerate(Presentation(BytesIO(data)).slides, 1):
        writer.page()
        if slide.element.get("show") == "0":
            continue
        title = slide.shapes.title
        named = title.text_frame.text.strip() if title is not None else ""
        writer.heading(1, named or f"Slide {number}")
        skipped = None if title is None else title.shape_id
        for shape in _shapes(slide.shapes):
            if shape.shape_id != skipped:
                _write_shape(shape, writer)
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            writer.prose(slide.notes_slide.notes_text_frame.text)
    said = properties(data)
    return writer.parsed(said.title, said.language, said.time)


def _shapes(shapes: Iterable[Any]) -> Iterator[Any]:
    """All shapes, those in groups too."""
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _shapes(shape.shapes)
        else:
            yield shape


def _write_shape(shape: Any, writer: Writer) -> None:
    if getattr(shape, "has_table", False):
        writer.table([cell.text_frame.text for cell in row.cells] for row in shape.table.rows)
    elif getattr(shape, "has_chart", False):
        _write_chart(shape.chart, writer)
    elif shape.has_text_frame:
        paragraphs = [each for each in shape.text_frame.paragraphs if each.text.strip()]
        for paragraph in paragraphs:
            if len(paragraphs) > 1:
                writer.item(paragraph.text, paragraph.level)
            else:
                writer.prose(paragraph.text)


def _write_chart(chart: Any, writer: Writer) -> None:
    if chart.has_title and chart.chart_title.has_text_frame:
        writer.prose(chart.chart_title.text_frame.text)
    for plot in chart.plots:
        names = [str(each) for each in plot.categories]
        series = list(plot.series)
        rows = [["", *(each.name for each in series)]]
        for place, name in enumerate(names):
            values = (each.values[place] if place < len(each.values) else None for each in series)
            rows.append([name, *("" if value is None else _cell(value) for value in values)])
        writer.table(rows)


def parse_sheets(data: bytes, limit: int) -> Parsed:
    """Sheets, each a page and a section; an empty row ends a table.

    Raises:
        UnreadableError: As `parse_docx`.
    """
    from python_calamine import (
        CalamineWorkbook,
        PasswordError,
        SheetTypeEnum,
        SheetVisibleEnum,
    )

    is_archive = not data.startswith(OLE)
    if is_archive:
        looked_through(data)
    elif _ENCRYPTED in data:
        raise UnreadableError("It is encrypted.")
    writer = Writer(limit)
    try:
        workbook = CalamineWorkbook.from_filelike(BytesIO(data))
    except PasswordError:
        raise UnreadableError("It is encrypted.") from None
    for sheet in workbook.sheets_metadata:
        writer.page()
        if sheet.visible != SheetVisibleEnum.Visible or sheet.typ != SheetTypeEnum.WorkSheet:
            continue
        writer.heading(1, sheet.name)
        rows = workbook.get_sheet_by_name(sheet.name).iter_rows()
        for table in _tables([_cell(value) for value in row] for row in rows):
            writer.table(table)
    said = properties(data) if is_archive else None
    return writer.parsed(
        *((said.title, said.language, said.time) if said is not None else (None, None, None))
    )


def _tables(rows: Iterable[Sequence[str]]) -> Iterator[list[Sequence[str]]]:
    """Rows in tables, without their empty columns at both sides."""
    table: list[Sequence[str]] = []
    for row in rows:
        if any(row):
            table.append(row)
        elif table:
            yield _narrowed(table)
            table = []
    if table:
        yield _narrowed(table)


def _narrowed(rows: list[Sequence[str]]) -> list[Sequence[str]]:
    used = [place for row in rows for place, cell in enumerate(row) if cell]
    first, last = min(used), max(used)
    return [row[first : last + 1] for row in rows]


def _cell(value: Any) -> str:
    """A cell as a reader writes it."""
    match value:
        case bool():
            return "TRUE" if value else "FALSE"
        case float():
            return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.15g}"
        case datetime():
            return value.isoformat(" ", "minutes" if not value.second else "seconds")
        case date() | time():
            return value.isoformat()
        case timedelta():
            return str(value)
        case _:
            return str(value).strip()


def _check(data: bytes) -> None:
    if data.startswith(OLE):
        raise UnreadableError(
            "It is encrypted."
            if _ENCRYPTED in data
            else "It is of Office before 2007: save it in today's format."
        )
