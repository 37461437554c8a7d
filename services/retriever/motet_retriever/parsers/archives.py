"""Office files as ZIP archives: looked through before a library opens them.

What an archive unpacks to is counted while it is unpacked, whatever it declares, so that one made
to fill the memory is refused; and its XML has no document type, whose entities could do the same
(ISO/IEC 29500-2 forbids it).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from zipfile import BadZipFile, ZipFile, ZipInfo

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]  # a compiled module

from motet_retriever.parsers.parsed import UnreadableError, language_tag, moment

__all__ = ["Properties", "looked_through", "properties"]

MAX_BYTES = 256 << 20
"""Bytes that an archive may unpack to."""
MAX_MEMBERS = 10_000
PIECE = 1 << 20

_ENCRYPTED = 0x1
"""The bit of a member's flags that says so."""


@dataclass(frozen=True, slots=True)
class Properties:
    """What an Office file says of itself."""

    title: str | None
    language: str | None
    time: datetime | None


def properties(data: bytes) -> Properties:
    """What the archive's core properties say."""
    root = _core(data)
    said = {} if root is None else {etree.QName(each).localname: each.text for each in root}
    return Properties(
        said.get("title"),
        language_tag(said.get("language")),
        moment(said.get("modified")) or moment(said.get("created")),
    )


def looked_through(data: bytes) -> None:
    """Unpacks all of an archive, a piece at a time, and keeps nothing.

    Raises:
        UnreadableError: It is encrypted, broken, or unpacks to too much, or its XML has a document
            type.
    """
    try:
        with ZipFile(BytesIO(data)) as archive:
            members = archive.infolist()
            if len(members) > MAX_MEMBERS:
                raise UnreadableError(f"It is an archive of {len(members):,} files.")
            declared = sum(member.file_size for member in members)
            if declared > MAX_BYTES:
                raise _bomb(declared)
            left = MAX_BYTES
            for member in members:
                left -= _unpacked(archive, member, left)
    except (BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise UnreadableError(f"It is a broken archive: {error}.") from None


def _unpacked(archive: ZipFile, member: ZipInfo, limit: int) -> int:
    if member.flag_bits & _ENCRYPTED:
        raise UnreadableError("It is encrypted.")
    size = 0
    tail = b""
    is_xml = member.filename.lower().endswith((".xml", ".rels", ".vml"))
    with archive.open(member) as file:
        while piece := file.read(PIECE):
            size += len(piece)
            if size > limit:
                raise _bomb(MAX_BYTES)
            # Without NUL an UTF-16 declaration reads like one in UTF-8.
            seen = tail + piece.replace(b"\0", b"")
            if is_xml and (b"<!DOCTYPE" in seen or b"<!ENTITY" in seen):
                raise UnreadableError("Its XML declares a document type, which it must not.")
            tail = seen[-16:]
    return size


def _bomb(size: int) -> UnreadableError:
    return UnreadableError(f"It unpacks to {size:,} bytes or more, and the limit is {MAX_BYTES:,}.")


def _core(data: bytes) -> etree._Element | None:
    with ZipFile(BytesIO(data)) as archive:
        if "docProps/core.xml" not in archive.namelist():
            return None
        parser = etree.XMLParser(resolve_entities=False, no_network=True)
        try:
            return etree.fromstring(archive.read("docProps/core.xml"), parser)
        except etree.XMLSyntaxError:
            return None
