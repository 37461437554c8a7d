"""Encodings: bytes as text.

A byte order mark decides, then UTF-8, then what the file declares, then a guess by
charset-normalizer over the whole of it. What none of them decodes is refused, and so is text with
NUL characters, which is none.
"""

from __future__ import annotations

import codecs
from contextlib import suppress

from charset_normalizer import from_bytes

from motet_retriever.parsers.parsed import UnreadableError

__all__ = ["decoded"]

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_GUESS_FROM = 64
"""Bytes from which on a guess says something: of fewer, every single-byte encoding makes words."""

_CONFUSION = 0.2
"""Share of characters that do not go together, from which on it is no text."""


def decoded(data: bytes, declared: str | None = None) -> str:
    """The text of `data`, without its byte order mark.

    Raises:
        UnreadableError: It is no text, or its encoding is not known.
    """
    text = _decoded(data, declared)
    if "\0" in text:
        raise UnreadableError("It has NUL characters, so it is not text.")
    return text


def _decoded(data: bytes, declared: str | None) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            with suppress(UnicodeDecodeError):
                return data[len(mark) :].decode(encoding)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        problem = f"byte {error.start} is 0x{data[error.start]:02x}"
    if b"\0" in data:
        raise UnreadableError("It has NUL characters, so it is not text.")
    if declared is not None:
        with suppress(LookupError, UnicodeDecodeError):
            return data.decode(declared)
    if len(data) >= _GUESS_FROM:
        best = from_bytes(data).best()
        if best is not None and best.chaos < _CONFUSION:
            return str(best)
    raise UnreadableError(
        f"It is not UTF-8 text ({problem}), and its encoding cannot be told: save it as UTF-8."
    )
