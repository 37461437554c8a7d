"""References to bodies that are too large for a message."""

from __future__ import annotations

from pydantic import Field

from motet.messages.base import Value

__all__ = ["BlobRef"]


class BlobRef(Value):
    """An object in the `blobs` store."""

    name: str = Field(min_length=1, max_length=512)
    """The object's name in the store."""
    size: int = Field(ge=0)
    """Bytes."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of the bytes, checked when they are read."""
    media_type: str = "application/octet-stream"
    """IANA media type of the bytes."""
    filename: str | None = None
    """What the user called it."""
