"""Parsers: what a file of each kind says, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motet_retriever.parsers import archives
from motet_retriever.parsers.parsed import Parsed, UnreadableError, Writer
from motet_retriever.parsers.reading import DOCX, PPTX, XLSX, parse
from tests.unit.retriever.files import (
    ENCRYPTED_PDF,
    docx_file,
    mail,
    pdf_file,
    pptx_file,
    repacked,
    xlsx_file,
)

LIMIT = 100_000
OLE = bytes.fromhex("d0cf11e0a1b11ae1")


def read(data: bytes | str, media_type: str) -> Parsed:
    parsed = parse(data.encode() if isinstance(data, str) else data, media_type, LIMIT)
    hold(parsed)
    return parsed


def hold(parsed: Parsed) -> None:
    """The invariants of what is parsed."""
    done = 0
    for block in parsed.blocks:
        start, end = block.span
        part = parsed.text[start:end]
        assert done <= start < end
        assert part == part.strip()
        assert not parsed.text[done:start].strip()
        if block.header is not None:
            assert start == block.header.start < block.header.end <= end
        done = end
    assert not parsed.text[done:].strip()
    assert list(parsed.pages) == sorted(parsed.pages)
    assert all(0 <= page <= len(parsed.text) for page in parsed.pages)


def seen(parsed: Parsed) -> list[tuple[str, tuple[str, ...], str]]:
    return [
        (block.kind, block.section, parsed.text[block.span.start : block.span.end])
        for block in parsed.blocks
    ]


def on_pages(parsed: Parsed) -> list[str]:
    ends = [*parsed.pages[1:], len(parsed.text)]
    return [parsed.text[a:b].strip() for a, b in zip(parsed.pages, ends, strict=True)]


def test_html_is_what_a_reader_sees() -> None:
    page = """<!doctype html><html lang="de-at"><head><title>Die &lt;F&auml;hre&gt;</title>
    <meta property="article:published_time" content="2026-03-01T10:00:00+01:00">
    <style>p {color: red}</style><script>alert("evil")</script></head><body>
    <nav><a href="/">Start</a></nav><header><h1>Die F&auml;hre</h1></header>
    <p>Sie f&auml;hrt um <a href="https://example.org/neun">neun&nbsp;Uhr</a>,<br>t&#228;glich.
    <script>document.write("evil")</script><!-- evil --></p>
    <p hidden>evil</p><div style="display: none"><p>evil</p></div><p aria-hidden="true">evil</p>
    <template>evil</template><noscript>evil</noscript><button>evil</button>
    <ul><li>eins<li>zwei<ul><li>drei</ul></ul>
    <table><tr><th>Ort<th>Zeit<tr><td>Linz<td>9 | 10<tr hidden><td>evil<td>evil</table>
    <pre>a  =  1
  b</pre><img alt="Ein Schiff" src="x">
    <footer>evil</footer></body></html>"""
    parsed = read(page, "text/html")
    top = ("Die Fähre",)
    assert seen(parsed) == [
        ("heading", top, "# Die Fähre"),
        ("prose", top, "Sie fährt um neun Uhr,\ntäglich."),
        ("item", top, "- eins"),
        ("item", top, "- zwei"),
        ("item", top, "- drei"),
        ("table", top, "| Ort | Zeit |\n|---|---|\n| Linz | 9 \\| 10 |"),
        ("code", top, "a  =  1\n  b"),
        ("prose", top, "Ein Schiff"),
    ]
    assert "evil" not in parsed.text
    assert parsed.title == "Die <Fähre>"
    assert parsed.language == "de-AT"
    assert parsed.time == datetime(2026, 3, 1, 9, tzinfo=UTC)


def test_the_main_part_of_a_page_is_enough() -> None:
    page = "<body><div>Menu</div><main><h2>A</h2><p>b</p></main><div>Ads</div></body>"
    assert read(page, "text/html").text == "## A\n\nb"
    assert read("<p>a</p><main></main>", "text/html").text == "a"


def test_a_table_that_is_layout_is_no_table() -> None:
    page = "<table><tr><td><h1>A</h1><p>b</p></td><td><table><tr><td>c</table></td></tr></table>"
    assert [kind for kind, _, _ in seen(read(page, "text/html"))] == ["heading", "prose", "prose"]


def test_html_says_its_encoding() -> None:
    page = '<meta http-equiv="content-type" content="text/html; charset=iso-8859-2"><p>Łódź</p>'
    assert read(page.encode("iso-8859-2"), "text/html").text == "Łódź"


def test_pdf_has_pages() -> None:
    def lines(page: int, month: str) -> list[str]:
        inside = [f"Ships come in {month} of a long exam-", "ple year, and in the Roman I-", "II."]
        return ["The Harbour Report", *inside, "More later.", f"So {month}.", f"page {page}"]

    months = ["May", "June", "July", "August"]
    pages = [lines(page, month) for page, month in enumerate(months)]
    parsed = read(pdf_file([*pages[:2], [], *pages[2:]]), "application/pdf")
    said = [f"Ships come in {m} of a long example year, and in the Roman I-II." for m in months]
    first, second, empty, *others = on_pages(parsed)
    assert [page.splitlines()[0] for page in (first, second, *others)] == said
    assert empty == ""
    assert first.splitlines()[1:] == ["More later.", "So May."]
    assert parsed.language == "en"


def test_the_headings_of_a_pdf_are_taller() -> None:
    body = ["They come in the morning, and leave in the evening."] * 6
    lines = ["# The Harbour", "## Ships", "## of the north", *body, "## Docks", *body]
    parsed = read(pdf_file([lines, body]), "application/pdf")
    ships, docks = ("The Harbour", "Ships of the north"), ("The Harbour", "Docks")
    prose = "\n".join(body)
    assert seen(parsed) == [
        ("heading", ships[:1], "# The Harbour"),
        ("heading", ships, "## Ships of the north"),
        ("prose", ships, prose),
        ("heading", docks, "## Docks"),
        ("prose", docks, prose),
        ("prose", docks, prose),
    ]
    assert parsed.title == "The Harbour"


def test_docx() -> None:
    parsed = read(docx_file(), DOCX)
    rent, deposit, keys = ("Rent",), ("Rent", "Deposit"), ("Keys",)
    assert seen(parsed) == [
        ("heading", rent, "# Rent"),
        ("prose", rent, "It is 900 a month & due on the first."),
        ("prose", rent, "Seen."),
        ("prose", rent, "Kept and added"),
        ("item", rent, "- Water"),
        ("item", rent, "- Heat"),
        ("heading", deposit, "## Deposit"),
        ("table", deposit, "| Kind | Amount |\n|---|---|\n| Cash | 1\\|800 |"),
        ("heading", keys, "# Keys"),
        ("prose", keys, "There are three."),
    ]
    assert (parsed.title, parsed.pages) == ("The lease", ())
    assert parsed.time is not None


def test_docx_has_the_pages_that_its_program_noted() -> None:
    first, second = on_pages(read(docx_file(rendered=True), DOCX))
    assert first.startswith("# Rent")
    assert second == "# Keys\n\nThere are three."


def test_pptx() -> None:
    parsed = read(pptx_file(), PPTX)
    first, second, third = on_pages(parsed)
    assert first == "# Growth\n\n- More ships\n  - Two in May\n\nSay it slowly."
    assert second == ""
    table, chart = (
        "| Year | Ships |\n|---|---|\n| 2026 | 7 |",
        "|  | Tons |\n|---|---|\n| North | 12 |",
    )
    assert third == f"# Slide 3\n\n{table}\n\n{chart}"
    assert parsed.title == "Plans"


def test_xlsx() -> None:
    moment = datetime(2026, 3, 1)  # noqa: DTZ001  # sheets have no time zones
    rows = [["Name", "Tons", "Since"], ["Ada", 12, moment], ["Bo", 0.5, ""], [], ["", "Sum", 12.5]]
    parsed = read(xlsx_file({"Ships": rows, "Lists": [["x"]], "More": [["a"]]}, ["Lists"]), XLSX)
    ships = [
        "| Name | Tons | Since |",
        "|---|---|---|",
        "| Ada | 12 | 2026-03-01 |",
        "| Bo | 0.5 |  |",
    ]
    total = ["| Sum | 12.5 |", "|---|---|"]
    first, second, third = on_pages(parsed)
    assert first.splitlines() == ["# Ships", "", *ships, "", *total]
    assert second == ""
    assert third == "# More\n\n| a |\n|---|"
    assert parsed.title == "Figures"


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_csv(separator: str) -> None:
    text = f'Name{separator}Words\r\nAda{separator}"one ""two""\r\nthree"\r\n\r\nBo{separator}\r\n'
    assert seen(read(text, "text/csv")) == [
        ("table", (), '| Name | Words |\n|---|---|\n| Ada | one "two" three |\n| Bo |')
    ]


def test_json_is_taken_apart_where_it_is_large() -> None:
    value = {
        "title": "Harbour",
        "open": True,
        "ships": [{"name": f"Ship {n} ü"} for n in range(99)],
    }
    parsed = read(json.dumps(value), "application/json")
    assert seen(parsed)[0] == ("code", (), '"title": "Harbour"\n"open": true')
    assert seen(parsed)[7] == ("code", ("ships", "[6]"), '{\n "name": "Ship 6 ü"\n}')
    assert parsed.title == "Harbour"


def test_json_lines() -> None:
    parsed = read('{"a": 1}\n\n{"a": 2}\n', "application/jsonl")
    assert [section for _, section, _ in seen(parsed)] == [("line 1",), ("line 3",)]


HEAD = """From: Änne Roe <anne@example.org>
To: bo@example.org
Date: Tue, 03 Mar 2026 10:00:00 +0100"""


def test_mail() -> None:
    inner = mail(**{"deep.txt": (b"too deep", "text/plain")})
    message = mail(**{
        "fares.csv": (b"Who,Fare\nAdult,9\n", "text/csv"),
        "broken.pdf": (b"%PDF-1.4", "application/pdf"),
        "photo.png": (b"\x89PNG\r\n\x1a\n", "image/png"),
    })  # fmt: skip
    message.add_attachment(inner)
    parsed = read(message.as_bytes(), "message/rfc822")
    top = "Über die Fähre"
    assert seen(parsed) == [
        ("heading", (top,), f"# {top}"),
        ("prose", (top,), HEAD),
        ("prose", (top,), "Dear Bo,"),
        ("prose", (top,), "the ferry leaves at nine."),
        ("heading", (top, "Attachment: fares.csv"), "## Attachment: fares.csv"),
        ("table", (top, "Attachment: fares.csv"), "| Who | Fare |\n|---|---|\n| Adult | 9 |"),
        ("heading", (top, "Attachment: broken.pdf"), "## Attachment: broken.pdf"),
        ("prose", (top, "Attachment: broken.pdf"),
         "broken.pdf (application/pdf, 8 bytes). It is a broken PDF."),
        ("heading", (top, "Attachment: photo.png"), "## Attachment: photo.png"),
        ("prose", (top, "Attachment: photo.png"),
         "photo.png (image/png, 8 bytes). It is said to be image/png, and it is a PNG image."),
        ("heading", (top, f"Attachment: {top}"), f"## Attachment: {top}"),
        ("prose", (top, f"Attachment: {top}"), f"{top} (message/rfc822, 0 bytes)."),
    ]  # fmt: skip
    assert parsed.title == top
    assert parsed.time == datetime(2026, 3, 3, 9, tzinfo=UTC)


def test_python() -> None:
    body = "\n".join(f"        x{n} = {n}" for n in range(90))
    text = f'''"""Module."""
import os


# Says it.
@decorated
def greet(name):
    """Greets."""


class Ship:
    """Floats."""

    def sail(self):
{body}

    def sink(self): ...
'''
    parsed = read(text, "text/x-python")
    assert parsed.text == text
    assert [(section, part.splitlines()[0]) for _, section, part in seen(parsed)] == [
        ((), '"""Module."""'),
        (("greet",), "# Says it."),
        (("Ship",), "class Ship:"),
        (("Ship", "sail"), "def sail(self):"),
        (("Ship", "sink"), "def sink(self): ..."),
    ]


CODE = {
    "text/x-go": """package main

// Greets.
func greet(a int) {
	b
}

type ship struct {
	name string
}
""",
    "text/x-rust": """use std;

pub fn greet(a: i32) -> i32 {
    a
}
impl ship {
    x
}
""",
    "text/javascript": """export async function greet(a) {
  b
}
export const ship = () => {
  1
}
""",
    "text/x-java": """import a;

public final class greet {
  int a;
}

interface ship {
}
""",
    "text/x-c": """#include <a.h>

static int greet(char *a)
{
  b;
}

struct ship {
  int a;
};
""",
    "text/x-ruby": "require 'a'\n\nmodule greet\n  x\nend\n\ndef ship(a)\n  b\nend\n",
    "text/x-shellscript": "#!/bin/sh\n\ngreet() {\n  echo a\n}\n\nfunction ship {\n  b\n}\n",
    "application/sql": "CREATE TABLE greet (\n a int\n);\n\ncreate or replace view ship as\n 1;\n",
    "application/yaml": "greet:\n  - a\nship:\n  b: 1\n",
    "application/toml": "[greet]\na = 1\n\n[ship]\nb = 2\n",
}
"""Each defines `greet`, then `ship`."""


@pytest.mark.parametrize("media_type", CODE)
def test_other_code(media_type: str) -> None:
    text = CODE[media_type]
    parsed = read(text, media_type)
    assert parsed.text == text
    assert [section[0] for _, section, _ in seen(parsed) if section] == ["greet", "ship"]


def test_markdown_says_what_it_is() -> None:
    text = "---\ntitle: 'The lease'\nlang: en\ndate: 2026-03-01\n---\n# Rent\n900\n"
    parsed = read(text, "text/markdown")
    assert parsed.text == text
    assert (parsed.title, parsed.language) == ("The lease", "en")
    assert parsed.time == datetime(2026, 3, 1, tzinfo=UTC)


GERMAN = "Größere Schiffe fahren über die Brücke und müssen dafür früher öffnen, hört man häufig. "


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252", "latin-1"]
)
def test_encodings_are_told(encoding: str) -> None:
    parsed = read((GERMAN * 2).encode(encoding), "text/plain")
    assert (parsed.text, parsed.language) == (GERMAN * 2, "de")


@pytest.mark.parametrize(
    "text, language",
    [
        ("The ship leaves the harbour at nine in the morning and comes back at night.", "en"),
        ("Le bateau quitte le port à neuf heures du matin et rentre dans la soirée.", "fr"),
        ("Short.", None),
        (
            "4711 / 0815 / 12-44 / XK-12 | 99.3 | 12.7 | 88 ABX CDY EFZ GHW IJV KLU MNT OPS QRR",
            None,
        ),
    ],
)
def test_a_language_is_told_only_where_it_is_sure(text: str, language: str | None) -> None:
    assert read(text, "text/plain").language == language


def test_a_language_that_is_none_is_not_told() -> None:
    assert read("<html lang='x-klingon'>a", "text/html").language is None


def test_what_nobody_named_is_told_by_its_content() -> None:
    unknown = "application/octet-stream"
    assert read(docx_file(), unknown).title == "The lease"
    assert read(pdf_file([["A ship."]]), unknown).pages == (0,)
    assert read("plain", unknown).text == "plain"


BOMB = b"<a>" + b"x" * (3 << 20) + b"</a>"
LAUGHS = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;">]><a>&c;</a>'


def bad_files() -> Iterable[tuple[str, bytes, str, str]]:
    yield "empty", b"", "application/pdf", "It has no text"
    yield "encrypted PDF", ENCRYPTED_PDF, "application/pdf", "It is encrypted"
    yield "broken PDF", pdf_file([["a"]])[:200], "application/pdf", "It is a broken PDF"
    yield "PDF of images", pdf_file([[]]), "application/pdf", "if it was scanned"
    yield "no PDF", b"Hello", "application/pdf", "It is said to be a PDF, and it does not begin"
    yield "PDF as text", pdf_file([["a"]]), "text/plain", "said to be text/plain, and it is a PDF"
    for name, media_type, file, part in [
        ("DOCX", DOCX, docx_file(), "word__document_xml"),
        ("PPTX", PPTX, pptx_file(), "ppt__presentation_xml"),
        ("XLSX", XLSX, xlsx_file({"a": [["b"]]}), "xl__workbook_xml"),
    ]:
        yield f"bomb in {name}", repacked(file, **{part: BOMB}), media_type, "It unpacks to"
        yield f"laughs in {name}", repacked(file, **{part: LAUGHS}), media_type, "document type"
        yield f"broken {name}", file[:-400], media_type, "It is a broken archive"
        yield f"damaged {name}", repacked(file, **{part: b"<a"}), media_type, "It is broken"
        yield (
            f"encrypted {name}",
            OLE + "EncryptedPackage".encode("utf-16-le"),
            media_type,
            ("It is encrypted"),
        )
        yield f"{name} as another", file, PPTX if media_type != PPTX else DOCX, "It is said to be"
    yield "old Office", OLE + b"\0" * 600, DOCX, "It is of Office before 2007"
    yield "NUL", b"a\0b", "text/plain", "It has NUL characters"
    yield "noise", bytes(range(1, 256)) * 4, "text/plain", "It is not UTF-8 text"
    yield "deep HTML", b"<div>" * 9999 + b"a", "text/html", "It is nested too deeply"
    yield "deep JSON", b"[" * 99_999, "application/json", "It is nested too deeply"
    yield "no JSON", b'{"a": tru}', "application/json", "It is not JSON: "
    yield "a line that is no JSON", b"1\n{", "application/jsonl", "Line 2 is not JSON: "
    yield "number without end", b"9" * 9999, "application/json", "It is not JSON: "
    yield "wide CSV", b"a," * 1_000_000, "text/csv", "A table in it has 1,000,000 columns"
    yield "no mail", b"Hello", "message/rfc822", "It is no e-mail"
    yield "image", b"\x89PNG\r\n\x1a\n", "image/png", "It is said to be image/png, and it is"
    yield "script only", b"<script>a</script>", "text/html", "It has no text"
    yield "unknown", b"a", "application/x-unknown", "application/x-unknown is not read"
    yield "large", b"<p>" + b"a " * LIMIT, "text/html", f"more than {LIMIT:,} characters"
    nested = b"Subject: a\n" + b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(60)
    )
    yield "mail in mail", nested + b"\na", "message/rfc822", "It has too many parts"


BAD = {name: rest for name, *rest in bad_files()}


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_BYTES", 2 << 20)
    data, media_type, reason = BAD[name]
    with pytest.raises(UnreadableError) as raised:
        parse(data, media_type, LIMIT)  # pyright: ignore[reportArgumentType]
    assert reason in str(raised.value)


TEXT = st.lists(
    st.one_of(
        st.sampled_from(["<p>", "</p>", "<td>", "<table>", "<tr>", "<li>", "<h2>", "<div hidden>"]),
        st.sampled_from(
            ["def f():\n", "    x\n", "class A:\n", "}\n", "\r\n", "\n\n", '"', ",", "\t"]
        ),
        st.text(max_size=8),
    ),
    max_size=30,
).map("".join)


@settings(max_examples=60)
@given(TEXT, st.sampled_from(["text/html", "text/csv", "text/x-python", "text/x-go", "text/plain"]))
def test_whatever_is_read_holds_together(text: str, media_type: str) -> None:
    try:
        parsed = parse(text.encode("utf-8", "ignore"), media_type, LIMIT)
    except UnreadableError:
        return
    hold(parsed)


BLOCKS = st.lists(
    st.one_of(
        st.tuples(st.just("heading"), st.integers(1, 6), st.text(max_size=9)),
        st.tuples(st.just("prose"), st.text(max_size=20)),
        st.tuples(st.just("item"), st.text(max_size=9), st.integers(0, 3)),
        st.tuples(st.just("code"), st.text(max_size=20)),
        st.tuples(
            st.just("table"), st.lists(st.lists(st.text(max_size=4), max_size=3), max_size=4)
        ),
        st.tuples(st.just("page")),
    ),
    max_size=12,
)


@given(BLOCKS)
def test_what_is_written_holds_together(blocks: list[tuple[str, ...]]) -> None:
    writer = Writer(LIMIT)
    for name, *arguments in blocks:
        getattr(writer, name)(*arguments)
    parsed = writer.parsed()
    hold(parsed)
    assert "\0" not in parsed.text
    parsed.text.encode()
    assert len(parsed.pages) == sum(name == "page" for name, *_ in blocks)
