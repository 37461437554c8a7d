"""Media: what kind of file a name tells of."""

from __future__ import annotations

from pathlib import Path

__all__ = ["MEDIA_TYPES", "is_recording", "media_type"]

MEDIA_TYPES = {
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".txt": "text/plain",
    ".aac": "audio/aac",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".mp3": "audio/mpeg",
    ".oga": "audio/ogg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".wav": "audio/wav",
    ".weba": "audio/webm",
    ".avi": "video/x-msvideo",
    ".m4v": "video/mp4",
    ".mkv": "video/x-matroska",
    ".mov": "video/quicktime",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
}
"""Media types of what can be ingested, by the ending of a file's name; the same on every system."""


def media_type(path: Path) -> str:
    """The media type that a file's name tells; `application/octet-stream` when it does not."""
    return MEDIA_TYPES.get(path.suffix.lower(), "application/octet-stream")


def is_recording(media_type: str) -> bool:
    """Whether something of this media type is heard and not read."""
    return media_type.startswith(("audio/", "video/"))
