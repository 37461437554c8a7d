"""Media: what kind of file a name tells of."""

from __future__ import annotations

from pathlib import PurePath

__all__ = [
    "MEDIA_TYPES",
    "PICTURE_TYPES",
    "TABLE_TYPES",
    "input_media_type",
    "is_picture",
    "is_recording",
    "media_type",
]

MEDIA_TYPES = {
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".txt": "text/plain",
    ".text": "text/plain",
    ".log": "text/plain",
    ".rst": "text/plain",
    ".pdf": "application/pdf",
    ".htm": "text/html",
    ".html": "text/html",
    ".xhtml": "application/xhtml+xml",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".xls": "application/vnd.ms-excel",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".ndjson": "application/jsonl",
    ".eml": "message/rfc822",
    ".py": "text/x-python",
    ".pyi": "text/x-python",
    ".js": "text/javascript",
    ".jsx": "text/javascript",
    ".mjs": "text/javascript",
    ".cjs": "text/javascript",
    ".ts": "text/x-typescript",
    ".tsx": "text/x-typescript",
    ".java": "text/x-java",
    ".kt": "text/x-kotlin",
    ".scala": "text/x-scala",
    ".go": "text/x-go",
    ".rs": "text/x-rust",
    ".c": "text/x-c",
    ".h": "text/x-c",
    ".cc": "text/x-c++",
    ".cpp": "text/x-c++",
    ".cxx": "text/x-c++",
    ".hpp": "text/x-c++",
    ".cs": "text/x-csharp",
    ".swift": "text/x-swift",
    ".rb": "text/x-ruby",
    ".php": "text/x-php",
    ".pl": "text/x-perl",
    ".lua": "text/x-lua",
    ".r": "text/x-r",
    ".sh": "text/x-shellscript",
    ".bash": "text/x-shellscript",
    ".sql": "application/sql",
    ".css": "text/css",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".toml": "application/toml",
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

PICTURE_TYPES = {
    ".bmp": "image/bmp",
    ".gif": "image/gif",
    ".heic": "image/heic",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".webp": "image/webp",
}
"""Media types of pictures, which a task may have as inputs; they are not ingested."""

TABLE_TYPES = frozenset(MEDIA_TYPES[ending] for ending in (".csv", ".tsv", ".xlsx", ".xls", ".ods"))
"""Media types of files that are tables as a whole."""


def media_type(path: PurePath) -> str:
    """The media type that a file's name tells; `application/octet-stream` when it does not."""
    return MEDIA_TYPES.get(path.suffix.lower(), "application/octet-stream")


def input_media_type(path: PurePath) -> str:
    """The same for a task's input, which may be a picture too."""
    return PICTURE_TYPES.get(path.suffix.lower(), media_type(path))


def is_picture(media_type: str) -> bool:
    """Whether something of this media type is looked at and not read."""
    return media_type.startswith("image/")


def is_recording(media_type: str) -> bool:
    """Whether something of this media type is heard and not read."""
    return media_type.startswith(("audio/", "video/"))
