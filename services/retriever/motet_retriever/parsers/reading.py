"""Reading: picks the parser for a file, and holds the file to what it says that it is.

What begins like another format than its media type names is refused; `application/octet-stream` is
what it begins like, or text. Language is what the file says, else a guess, else None.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from motet_retriever.parsers import OLE
from motet_retriever.parsers.encodings import decoded
from motet_retriever.parsers.languages import guessed
from motet_retriever.parsers.parsed import Parsed, UnreadableError

__all__ = ["parse"]

UNKNOWN = "application/octet-stream"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
XLS = "application/vnd.ms-excel"
ODS = "application/vnd.oasis.opendocument.spreadsheet"

_BEGINNINGS = (
    (b"%PDF-", "a PDF"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (OLE, "an old or encrypted Office file"),
    (b"\x1f\x8b", "compressed by gzip"),
    (b"BZh", "compressed by bzip2"),
    (b"\xfd7zXZ\x00", "compressed by xz"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x89PNG\r\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
    (b"SQLite format 3\x00", "a SQLite database"),
    (b"{\\rtf", "Rich Text"),
)
_ARCHIVES = {DOCX: b"word/", PPTX: b"ppt/", XLSX: b"xl/", ODS: b"content.xml"}
_NAMES = {
    "application/pdf": "a PDF",
    DOCX: "a DOCX file",
    PPTX: "a PPTX file",
    XLSX: "an XLSX file",
    XLS: "an XLS file",
    ODS: "an ODS file",
}


def parse(data: bytes, media_type: str, limit: int, *, attachments: bool = True) -> Parsed:
    """The text of a file.

    Args:
        data: The file.
        media_type: What it is.
        limit: Characters that its text may have.
        attachments: Whether those of an e-mail are read too.

    Raises:
        UnreadableError: It cannot be read; the sentence says why.
    """
    if not data.strip():
        raise UnreadableError("It has no text.")
    is_unknown = media_type == UNKNOWN
    if is_unknown:
        media_type = _told(data)
    _check(data, media_type)
    try:
        parsed = _parsed(data, media_type, limit, attachments=attachments)
    except (UnreadableError, MemoryError):
        raise
    except RecursionError:
        raise UnreadableError("It is nested too deeply.") from None
    except Exception as error:  # noqa: BLE001 - a library stumbled over what it did not expect
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise UnreadableError(f"It is broken ({said}).") from None
    if not parsed.text.strip():
        raise UnreadableError("It has no text.")
    if parsed.language is None:
        return replace(parsed, language=guessed(parsed))
    return parsed


def _told(data: bytes) -> str:
    """The media type that the content tells of."""
    if _looks_like_pdf(data):
        return "application/pdf"
    if data.startswith(b"PK"):
        for media_type, member in _ARCHIVES.items():
            if member in data:
                return media_type
    return "text/plain"


def _looks_like_pdf(data: bytes) -> bool:
    return b"%PDF-" in data[:1024]  # some have a few bytes before it, which readers skip


def _check(data: bytes, media_type: str) -> None:
    name = _NAMES.get(media_type)
    found = next((what for mark, what in _BEGINNINGS if data.startswith(mark)), None)
    match media_type:
        case "application/pdf":
            fits = _looks_like_pdf(data)
        case _ if media_type in _ARCHIVES:
            fits = data.startswith(OLE) or (
                data.startswith(b"PK") and _ARCHIVES[media_type] in data
            )
        case _ if media_type == XLS:
            fits = data.startswith((OLE, b"PK"))
        case _:
            if found is not None:
                raise UnreadableError(f"It is said to be {media_type}, and it is {found}.")
            return
    if not fits:
        what = f"it is {found}" if found is not None else "it does not begin like one"
        raise UnreadableError(f"It is said to be {name}, and {what}.")


def _parsed(data: bytes, media_type: str, limit: int, *, attachments: bool) -> Parsed:
    # Each parser is imported when the first of its files comes: most processes see few kinds.
    match media_type:
        case "application/pdf":
            from motet_retriever.parsers.pdf import parse_pdf

            return parse_pdf(data, limit)
        case _ if media_type in (DOCX, PPTX, XLSX, XLS, ODS):
            return _office(media_type)(data, limit)
        case "message/rfc822":
            from motet_retriever.parsers.mail import parse_mail

            return parse_mail(data, limit, _read_attachment if attachments else None)
        case "text/html" | "application/xhtml+xml":
            from motet_retriever.parsers.html import declared_encoding, parse_html

            return parse_html(decoded(data, declared_encoding(data)), limit)
        case _:
            return _text(decoded(data), media_type, limit)


def _office(media_type: str) -> Callable[[bytes, int], Parsed]:
    from motet_retriever.parsers import office

    match media_type:
        case _ if media_type == DOCX:
            return office.parse_docx
        case _ if media_type == PPTX:
            return office.parse_pptx
        case _:
            return office.parse_sheets


def _text(text: str, media_type: str, limit: int) -> Parsed:
    from motet_retriever.parsers import code, structured, texts

    parsers: dict[str, Callable[[], Parsed]] = {
        "text/markdown": lambda: texts.parse_markdown(text),
        "text/csv": lambda: texts.parse_csv(text, None, limit),
        "text/tab-separated-values": lambda: texts.parse_csv(text, "\t", limit),
        "application/json": lambda: structured.parse_json(text, limit),
        "application/jsonl": lambda: structured.parse_json_lines(text, limit),
        "application/x-ndjson": lambda: structured.parse_json_lines(text, limit),
        "text/x-python": lambda: code.parse_python(text),
    }
    if media_type in parsers:
        return parsers[media_type]()
    if media_type in _CODE or media_type.startswith("text/x-"):
        return code.parse_code(text)
    if media_type.startswith("text/"):
        return texts.parse_plain(text)
    raise UnreadableError(f"{media_type} is not read.")


_CODE = {"text/javascript", "text/css", "application/sql", "application/toml", "application/yaml"}


def _read_attachment(data: bytes, media_type: str, limit: int) -> Parsed:
    return parse(data, media_type, limit, attachments=False)
