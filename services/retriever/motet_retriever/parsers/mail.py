"""E-mail (RFC 5322): who wrote what to whom, and what is attached.

Of a body that comes in two forms the plain one is read. Attachments that another parser reads
follow as sections of their own; those of an e-mail within are named only.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage, Message
from typing import Any

from motet_retriever.parsers.encodings import decoded
from motet_retriever.parsers.html import declared_encoding, write_html
from motet_retriever.parsers.parsed import (
    Parsed,
    UnreadableError,
    Writer,
    aware,
    clean,
    language_tag,
    one_line,
)

__all__ = ["parse_mail"]

ReadFile = Callable[[bytes, str, int], Parsed]
"""Reads an attachment: its bytes, its media type, and the characters that it may have."""

MAX_PARTS = 500
MAX_DEPTH = 20
"""Levels of parts within parts; mail programs make some four."""


def parse_mail(data: bytes, limit: int, read: ReadFile | None) -> Parsed:
    """An e-mail.

    Args:
        data: The message as it was sent.
        limit: Characters that the text may have.
        read: Reads attachments; None only names them.

    Raises:
        UnreadableError: It is no e-mail, has too many parts, or is too large.
    """
    message = message_from_bytes(data, policy=policy.default)
    if not (message["from"] or message["subject"]):
        raise UnreadableError("It is no e-mail: it says neither who sent it nor what it is about.")
    _check(message, 0, [0])
    writer = Writer(limit)
    subject = one_line(_header(message, "subject") or "")
    writer.heading(1, subject or "E-mail")
    names = ("from", "to", "cc", "date")
    said = ((name.title(), one_line(_header(message, name) or "")) for name in names)
    writer.prose("\n".join(f"{name}: {value}" for name, value in said if value))
    body = message.get_body(("plain", "html"))
    if body is not None:
        _write_body(body, writer)
    for part in message.iter_attachments():
        _write_attachment(part, writer, limit, read)
    return writer.parsed(
        subject, language_tag(_header(message, "content-language")), _time(message)
    )


def _check(message: Message, depth: int, count: list[int]) -> None:
    count[0] += 1
    if depth > MAX_DEPTH or count[0] > MAX_PARTS:
        raise UnreadableError("It has too many parts within parts to be an e-mail.")
    payload: Any = message.get_payload() if message.is_multipart() else ()
    for part in payload:
        _check(part, depth + 1, count)


def _header(message: Message, name: str) -> str | None:
    """A header, decoded; what the library cannot parse is none."""
    try:
        value = message[name]
    except (ValueError, IndexError, AttributeError, TypeError):
        return None
    return None if value is None else str(value)


def _time(message: EmailMessage) -> datetime | None:
    try:
        time = message["date"].datetime
    except (ValueError, IndexError, AttributeError, TypeError):
        return None
    return None if time is None else aware(time)


def _write_body(body: Message, writer: Writer) -> None:
    data = _bytes(body)
    charset = body.get_content_charset()
    if body.get_content_type() == "text/html":
        write_html(decoded(data, charset or declared_encoding(data)), writer)
        return
    for paragraph in clean(decoded(data, charset)).split("\n\n"):
        writer.prose(paragraph)


def _write_attachment(part: Message, writer: Writer, limit: int, read: ReadFile | None) -> None:
    media_type = part.get_content_type()
    name = one_line(part.get_filename() or "")
    inner: Any = part.get_payload()
    if media_type == "message/rfc822" and isinstance(inner, list) and inner:
        name = name or one_line(_header(inner[0], "subject") or "")
    writer.heading(2, f"Attachment: {name or media_type}")
    data = _bytes(part)
    parsed, reason = None, ""
    if read is not None and data:
        try:
            parsed = read(data, media_type, limit)
        except UnreadableError as error:
            reason = f" {error}"
    if parsed is None:
        writer.prose(f"{name or 'Without a name'} ({media_type}, {len(data):,} bytes).{reason}")
    else:
        writer.include(parsed, 2)


def _bytes(part: Message) -> bytes:
    content: Any = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""
