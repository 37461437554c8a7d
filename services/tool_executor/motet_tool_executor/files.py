"""Files in the object store as inputs of tools: a field that takes text may be a file with it."""

from __future__ import annotations

import codecs
from typing import Protocol

from pydantic import BaseModel

from motet.errors import FaultError
from motet.messages import BlobRef, FaultType
from motet_tool_executor.tables import MAX_CHARACTERS

__all__ = ["BlobStore", "with_text"]

_MAX_BYTES = 4 * MAX_CHARACTERS
"""What the longest text may take: four bytes a character."""
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Byte order marks, longest first where one begins another."""


class BlobStore(Protocol):
    """Where the bytes are."""

    async def get(self, ref: BlobRef, *, max_bytes: int) -> bytes:
        """The bytes of a reference."""
        ...


async def with_text(request: BaseModel, blobs: BlobStore) -> BaseModel:
    """The request with the text of each file that it refers to in place of the reference.

    Raises:
        FaultError: What the store raises; `invalid_input` for what is no text.
    """
    texts = {
        name: _decoded(await blobs.get(value, max_bytes=_MAX_BYTES), name, value)
        for name, value in request
        if isinstance(value, BlobRef)
    }
    return request.model_copy(update=texts) if texts else request


def _decoded(data: bytes, field: str, ref: BlobRef) -> str:
    try:
        for mark, encoding in _MARKS:
            if data.startswith(mark):
                return data[len(mark) :].decode(encoding)
        return data.decode()
    except UnicodeDecodeError:
        raise FaultError.of(
            FaultType.INVALID_INPUT,
            f"The file {ref.filename or ref.name!r} is no text in UTF-8 or UTF-16: save it as CSV "
            "in UTF-8.",
            field=field,
        ) from None
