"""Files of each kind, made by the libraries that other programs write them with."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from email.message import EmailMessage
from io import BytesIO
from typing import Any

import docx
import docx.oxml
import pptx
import pypdfium2
import pypdfium2.raw as pdfium
import xlsxwriter
from docx.enum.text import WD_BREAK
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

__all__ = [
    "ENCRYPTED_PDF",
    "docx_file",
    "mail",
    "pdf_file",
    "pptx_file",
    "repacked",
    "xlsx_file",
]

ENCRYPTED_PDF = b"""%%PDF-1.4
1 0 obj <</Type /Catalog /Pages 2 0 R>> endobj
2 0 obj <</Type /Pages /Kids [] /Count 0>> endobj
3 0 obj <</Filter /Standard /V 1 /R 2 /P -4 /O <%b> /U <%b>>> endobj
trailer <</Root 1 0 R /Encrypt 3 0 R /ID [<00> <00>]>>
%%%%EOF
""" % (b"ab" * 32, b"cd" * 32)
"""One that opens with a password only."""


def pdf_file(pages: Sequence[Sequence[str]]) -> bytes:
    """A PDF with these lines on its pages, from top to bottom, in Helvetica of 12 points.

    A line that begins with `## ` is of 18 points, one with `# ` of 24.
    """
    document = pypdfium2.PdfDocument.new()
    for lines in pages:
        page = document.new_page(595, 842)
        for number, line in enumerate(lines):
            mark, words = line.split(" ", 1) if line.startswith("#") else ("", line)
            size = {"": 12.0, "##": 18.0, "#": 24.0}[mark]
            text = pdfium.FPDFPageObj_NewTextObj(document.raw, b"Helvetica", size)
            encoded = (words + "\0").encode("utf-16-le")
            units = (pdfium.FPDF_WCHAR * (len(encoded) // 2)).from_buffer_copy(encoded)
            assert pdfium.FPDFText_SetText(text, units)
            pdfium.FPDFPageObj_Transform(text, 1, 0, 0, 1, 50, 780 - 30 * number)
            pdfium.FPDFPage_InsertObject(page.raw, text)
        page.gen_content()
        page.close()
    file = BytesIO()
    document.save(file)
    document.close()
    return file.getvalue()


def docx_file(*, rendered: bool = False) -> bytes:
    """A text document with headings, a list, a table, hidden and changed text, and a note."""
    document = docx.Document()
    document.core_properties.title = "The lease"
    document.add_heading("Rent", 1)
    document.add_paragraph("It is 900 a month & due on the first.")
    hidden = document.add_paragraph("Seen. ").add_run("Whispered.")
    hidden.font.hidden = True
    changed = document.add_paragraph("Kept ")._p
    changed.append(_xml('<w:ins w:id="1" w:author="a"><w:r><w:t>and added</w:t></w:r></w:ins>'))
    changed.append(_xml('<w:del w:id="2"><w:r><w:delText>struck</w:delText></w:r></w:del>'))
    document.add_paragraph("Water", style="List Bullet")
    document.add_paragraph("Heat", style="List Bullet")
    document.add_heading("Deposit", 2)
    table = document.add_table(2, 2)
    for place, words in enumerate(["Kind", "Amount", "Cash", "1|800"]):
        table.cell(place // 2, place % 2).text = words
    end = document.add_paragraph()
    end.add_run().add_break(WD_BREAK.PAGE)
    if rendered:
        document.add_paragraph()._p.append(_xml("<w:r><w:lastRenderedPageBreak/></w:r>"))
    document.add_heading("Keys", 1)
    document.add_paragraph("There are three.")
    return _saved(document)


def pptx_file() -> bytes:
    """Slides with bullets, notes, a table, a chart; the second is hidden."""
    slides = pptx.Presentation()
    slides.core_properties.title = "Plans"
    first = slides.slides.add_slide(slides.slide_layouts[1])
    first.shapes.title.text = "Growth"
    frame = first.placeholders[1].text_frame
    frame.text = "More ships"
    below = frame.add_paragraph()
    below.text, below.level = "Two in May", 1
    first.notes_slide.notes_text_frame.text = "Say it slowly."
    hidden = slides.slides.add_slide(slides.slide_layouts[5])
    hidden.shapes.title.text = "Nobody sees this"
    hidden._element.set("show", "0")
    last = slides.slides.add_slide(slides.slide_layouts[6])
    cells = last.shapes.add_table(2, 2, Inches(1), Inches(1), Inches(4), Inches(1)).table
    for place, words in enumerate(["Year", "Ships", "2026", "7"]):
        cells.cell(place // 2, place % 2).text = words
    data = CategoryChartData()
    data.categories = ["North"]
    data.add_series("Tons", (12.0,))
    last.shapes.add_chart(
        XL_CHART_TYPE.BAR_CLUSTERED, Inches(1), Inches(3), Inches(4), Inches(3), data
    )
    return _saved(slides)


def xlsx_file(sheets: dict[str, Sequence[Sequence[Any]]], hidden: Sequence[str] = ()) -> bytes:
    """Sheets with these rows."""
    file = BytesIO()
    with xlsxwriter.Workbook(file, {"default_date_format": "yyyy-mm-dd"}) as workbook:
        workbook.set_properties({"title": "Figures"})
        for name, rows in sheets.items():
            sheet = workbook.add_worksheet(name)
            if name in hidden:
                sheet.hide()
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)
    return file.getvalue()


def mail(**attachments: tuple[bytes, str]) -> EmailMessage:
    """An e-mail in two forms with attachments: for each name its bytes and its media type."""
    message = EmailMessage()
    message["From"] = "Änne Roe <anne@example.org>"
    message["To"] = "bo@example.org"
    message["Subject"] = "Über die Fähre"
    message["Date"] = "Tue, 03 Mar 2026 10:00:00 +0100"
    message.set_content("Dear Bo,\n\nthe ferry leaves at nine.\n")
    message.add_alternative("<p>the <b>ferry</b> leaves at nine</p>", subtype="html")
    for name, (data, media_type) in attachments.items():
        main, sub = media_type.split("/")
        message.add_attachment(data, maintype=main, subtype=sub, filename=name)
    return message


def repacked(archive: bytes, **members: bytes) -> bytes:
    """The archive with members replaced or added; `__` in a name stands for `/`, `_x` for `.x`."""
    file = BytesIO()
    new = {name.replace("__", "/").replace("_xml", ".xml"): data for name, data in members.items()}
    with zipfile.ZipFile(BytesIO(archive)) as old, zipfile.ZipFile(file, "w", 8) as packed:
        for name in old.namelist():
            packed.writestr(name, new.pop(name, old.read(name)))
        for name, data in new.items():
            packed.writestr(name, data)
    return file.getvalue()


def _xml(text: str) -> Any:
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    return docx.oxml.parse_xml(f'<w:p xmlns:w="{space}">{text}</w:p>')[0]


def _saved(document: Any) -> bytes:
    file = BytesIO()
    document.save(file)
    return file.getvalue()
