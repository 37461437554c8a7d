"""HTML: what a reader of the page sees of it, without what leads elsewhere.

Parsed by libxml2 (lxml), which mends what is broken and fetches nothing. Scripts, styles,
templates, navigation, forms' controls, the site's footer, and what the page hides do not become
text; where the page says which part is its main one, only that does. Links keep their text.

Style sheets are not applied: what only they hide is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]  # a compiled module

from motet_retriever.parsers.parsed import (
    Parsed,
    UnreadableError,
    Writer,
    language_tag,
    moment,
    one_line,
)

__all__ = ["declared_encoding", "parse_html", "write_html"]

_SKIPPED = re.compile(
    "script|style|template|noscript|nav|iframe|object|embed|svg|canvas|audio|video|map|button|select"
    "|textarea|input|datalist|dialog|head|menu"
)
_SKIPPED_ROLES = re.compile("navigation|search|menu|menubar|toolbar|dialog", re.IGNORECASE)
_BLOCKS = re.compile(
    "address|article|aside|blockquote|body|caption|center|dd|details|div|dl|dt|fieldset|figcaption"
    "|figure|footer|form|h[1-6]|header|hgroup|hr|html|legend|li|main|ol|p|pre|section|summary|table"
    "|tbody|td|tfoot|th|thead|tr|ul"
)
_HIDING = re.compile(r"(display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_CHARSET = re.compile(
    rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})", re.IGNORECASE
)
_TIMES = (
    "article:modified_time",
    "last-modified",
    "dcterms.modified",
    "article:published_time",
    "dcterms.date",
    "dc.date",
    "date",
)


def declared_encoding(data: bytes) -> str | None:
    """What the page's beginning says of its encoding."""
    found = _CHARSET.search(data[:4096])
    return None if found is None else found[1].decode("ascii")


def parse_html(text: str, limit: int) -> Parsed:
    """A page.

    Raises:
        UnreadableError: It is nested too deeply, or its text is too large.
    """
    writer = Writer(limit)
    root = write_html(text, writer)
    if root is None:
        return writer.parsed()
    said = {
        (each.get("name") or each.get("property") or each.get("http-equiv") or "").lower(): (
            each.get("content") or ""
        )
        for each in root.iter("meta")
    }
    title = next((one_line("".join(each.itertext())) for each in root.iter("title")), "")
    times = (moment(said.get(name)) for name in _TIMES)
    return writer.parsed(
        title or said.get("og:title"),
        language_tag(root.get("lang") or root.get("{http://www.w3.org/XML/1998/namespace}lang")),
        next((time for time in times if time is not None), None),
    )


def write_html(text: str, writer: Writer) -> Any:
    """Writes what is seen of a page; returns its root element, None for an empty one.

    Raises:
        UnreadableError: As `parse_html`.
    """
    parser = etree.HTMLParser(
        encoding="utf-8", remove_comments=True, remove_pis=True, no_network=True, huge_tree=True
    )
    try:
        root = etree.fromstring(text.encode("utf-8", "replace"), parser)
    except etree.XMLSyntaxError as error:
        if not text.strip():
            return None
        raise UnreadableError(f"It is not readable as HTML: {error.msg}.") from None
    if any("depth" in each.message.lower() for each in parser.error_log):
        raise UnreadableError("It is nested too deeply.")
    if root is None:
        return None
    main = [each for each in root.iter("main") if one_line("".join(each.itertext()))]
    for part in main[:1] or [root]:
        _Page(writer).walk(part)
    return root


class _Page:
    """A walk over a page's elements, which gathers words until a block ends."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._words: list[str] = []
        self._heading = 0
        self._lists = 0
        self._in_item = 0
        self._articles = 0

    def walk(self, root: Any) -> None:
        walker = etree.iterwalk(root, events=("start", "end"))
        for event, element in walker:
            tag = element.tag
            if event == "end":
                self._end(tag)
                if element is not root:
                    self._words.append(element.tail or "")
                continue
            if _is_hidden(element) or (tag == "footer" and not self._articles):
                walker.skip_subtree()
            elif tag == "pre":
                self._flush()
                self._writer.code("".join(element.itertext()))
                walker.skip_subtree()
            elif tag == "table" and _is_data(element):
                self._flush()
                self._writer.table(_rows(element))
                walker.skip_subtree()
            else:
                self._start(tag, element)
        self._flush()

    def _start(self, tag: str, element: Any) -> None:
        if _BLOCKS.fullmatch(tag):
            self._flush()
        if tag in _HEADINGS:
            self._heading = _HEADINGS[tag]
        elif tag in ("ul", "ol"):
            self._lists += 1
        elif tag == "li":
            self._in_item = self._lists
        elif tag in ("article", "main", "section"):
            self._articles += 1
        elif tag == "br":
            self._words.append(_BREAK)
        elif tag == "img":
            self._words.append(f" {element.get('alt') or ''} ")
        self._words.append(element.text or "")

    def _end(self, tag: str) -> None:
        if _BLOCKS.fullmatch(tag):
            self._flush()
        if tag in _HEADINGS:
            self._heading = 0
        elif tag in ("ul", "ol"):
            self._lists -= 1
        elif tag == "li":
            self._in_item = 0
        elif tag in ("article", "main", "section"):
            self._articles -= 1

    def _flush(self) -> None:
        text = _spaced("".join(self._words))
        self._words = []
        if not text:
            return
        if self._heading:
            self._writer.heading(self._heading, text)
        elif self._in_item:
            self._writer.item(text, self._in_item - 1)
        else:
            self._writer.prose(text)


_HEADINGS = {f"h{level}": level for level in range(1, 7)}


def _is_hidden(element: Any) -> bool:
    if not isinstance(element.tag, str) or _SKIPPED.fullmatch(element.tag):
        return True
    said = element.attrib
    return (
        ("hidden" in said and said["hidden"] != "until-found")
        or said.get("aria-hidden", "").lower() == "true"
        or _SKIPPED_ROLES.fullmatch(said.get("role", "")) is not None
        or bool(_HIDING.search(said.get("style", "")))
    )


def _is_data(table: Any) -> bool:
    """Whether a table has data and is not there for the page's layout."""
    inner = next(table.iterdescendants("table", "h1", "h2", "h3", "article", "section"), None)
    if table.get("role") in ("presentation", "none") or inner is not None:
        return False
    rows = [sum(1 for cell in row if cell.tag in ("td", "th")) for row in table.iter("tr")]
    return len(rows) > 1 and max(rows) > 1


def _rows(table: Any) -> Iterator[list[str]]:
    for row in table.iter("tr"):
        if _is_hidden(row):
            continue
        cells: list[str] = []
        for cell in row:
            if cell.tag in ("td", "th") and not _is_hidden(cell):
                wide = cell.get("colspan", "1")
                more = min(int(wide), 100) - 1 if wide.isascii() and wide.isdigit() else 0
                cells += [_seen(cell), *[""] * more]
        yield cells


def _seen(element: Any) -> str:
    """What is seen of an element, in one line."""
    words: list[str] = []
    walker = etree.iterwalk(element, events=("start", "end"))
    for event, each in walker:
        if event == "start":
            if _is_hidden(each):
                walker.skip_subtree()
                continue
            words += [
                " " if _BLOCKS.fullmatch(each.tag) or each.tag == "br" else "",
                each.text or "",
            ]
            if each.tag == "img":
                words.append(each.get("alt") or "")
        else:
            words += [" " if _BLOCKS.fullmatch(each.tag) else ""]
            if each is not element:
                words.append(each.tail or "")
    return one_line("".join(words))


def _spaced(text: str) -> str:
    """Text with single spaces, and line breaks where the page has `br`."""
    # Line ends of the source are spaces; only `br` breaks a line.
    return "\n".join(filter(None, (one_line(line) for line in text.split(_BREAK))))


_BREAK = "\ue000"
"""Stands for `br` until the words are put together; of the private use area."""
