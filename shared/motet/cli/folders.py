"""Folders: which files are documents, and under which names.

Invariants:

- A document is named by the path to it as it was given, which has no `..`: the same folder, named
  the same way, gives the same names.
- A link is not followed out of the folder that was named, and a link to a folder is not followed.
- What cannot be read is told and stops nothing; it never looks like something that was removed.
- A file counts as removed only when the system says that it is not there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from motet.cli.terminal import Status, fail
from motet.media import is_recording, media_type

__all__ = ["File", "Listing", "Root", "Version", "files_in", "is_removed", "roots_of"]

MAX_DOCUMENT_BYTES = 256 << 20
MAX_RECORDING_BYTES = 2 << 30
"""Bytes of a file that is sent, unless said otherwise. The retriever and the speech agent have
limits of their own."""

MAX_SOURCE = 1024
"""Characters of a name. See `motet.messages.Document`."""

_UNKNOWN = media_type(Path("unknown"))

_OFFICE_LOCK = "~$"
"""How the files begin that an office suite lays beside a document that is open."""


class Version(NamedTuple):
    """What changes with a file's content."""

    inode: int
    size: int
    modified_ns: int


class Root(NamedTuple):
    """A file or folder that was named."""

    path: Path
    name: str
    """The name of its document, or what names begin with; empty for the folder that we are in."""
    is_folder: bool

    @property
    def prefix(self) -> str:
        """How names of what is in the folder begin."""
        return self.name if self.name.endswith("/") or not self.name else f"{self.name}/"

    def inside(self, source: str) -> Path | None:
        """Where the file of a document is; None for one that is not in this folder."""
        rest = source.removeprefix(self.prefix)
        if not self.is_folder or not source.startswith(self.prefix) or not rest:
            return None
        parts = PurePosixPath(rest).parts
        return None if ".." in parts or rest.startswith("/") else self.path.joinpath(*parts)


@dataclass(frozen=True, slots=True)
class File:
    """A file that is a document."""

    path: Path
    source: str
    media_type: str
    version: Version

    @property
    def modified(self) -> datetime:
        """When it was last changed."""
        return datetime.fromtimestamp(self.version.modified_ns / 1e9, UTC)


@dataclass(slots=True)
class Listing:
    """What was found."""

    files: dict[str, File] = field(default_factory=dict[str, File])
    """By the document's name."""
    skipped: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """What is no document, and why."""
    failed: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """What would be one, and why it cannot be."""


def roots_of(paths: Sequence[Path], relative_to: Path | None = None) -> list[Root]:
    """The files and folders that were named; ends the command when one is not there.

    Args:
        paths: As they were given.
        relative_to: The folder from which documents are named; None names them as given.
    """
    roots: list[Root] = []
    for path in paths:
        named = path.relative_to(relative_to) if relative_to else path
        if ".." in named.parts:
            fail(
                f"{str(path)!r} has '..', so its documents would have another name from elsewhere: "
                f"name it {str(path.resolve())!r}.",
                Status.USAGE,
            )
        if not path.exists():
            fail(f"There is no file or folder {str(path)!r}.", Status.USAGE)
        name = named.as_posix()
        roots.append(Root(path, "" if name == "." else name, path.is_dir()))
    return roots


def files_in(roots: Iterable[Root], max_bytes: int | None = None) -> Listing:
    """The documents among files and in folders, each once.

    A file that is named itself is taken whatever its ending; what is hidden is passed by.

    Args:
        roots: What was named.
        max_bytes: Bytes that a file may have; None takes the limits of this module.
    """
    listing = Listing()
    for root in roots:
        if not root.is_folder:
            _take(listing, root.path, root.name, max_bytes)
            continue
        inside = root.path.resolve()
        for path in _walked(root, listing):
            source = root.prefix + path.relative_to(root.path).as_posix()
            if media_type(path) == _UNKNOWN or path.name.startswith(_OFFICE_LOCK):
                listing.skipped.append((source, "its ending is of no known kind of document"))
            elif path.is_symlink() and not path.resolve().is_relative_to(inside):
                listing.skipped.append((source, "it is a link that leads out of the folder"))
            else:
                _take(listing, path, source, max_bytes)
    return listing


def _walked(root: Root, listing: Listing) -> Iterator[Path]:
    """The files in a folder, hidden ones left out."""

    def unread(error: OSError) -> None:
        path = Path(error.filename)
        source = root.prefix + path.relative_to(root.path).as_posix()
        listing.failed.append((source, _reason(error)))

    for folder, folders, names in os.walk(root.path, onerror=unread):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (Path(folder, name) for name in folders):
            if path.is_symlink():
                source = root.prefix + path.relative_to(root.path).as_posix()
                listing.skipped.append((source, "links to folders are not followed"))
        yield from (Path(folder, name) for name in sorted(names) if not name.startswith("."))


def _take(listing: Listing, path: Path, source: str, max_bytes: int | None) -> None:
    """Notes a file, or why it is none."""
    kind = media_type(path)
    if kind == _UNKNOWN:  # it was named itself
        kind = "text/plain"
    limit = max_bytes or (MAX_RECORDING_BYTES if is_recording(kind) else MAX_DOCUMENT_BYTES)
    try:
        source.encode()
        found = path.stat()
    except UnicodeEncodeError:
        said = source.encode(errors="backslashreplace").decode()
        listing.failed.append((said, "its name is not UTF-8"))
        return
    except OSError as error:
        listing.failed.append((source, _reason(error)))
        return
    if not stat.S_ISREG(found.st_mode):
        listing.skipped.append((source, "it is no regular file"))
    elif len(source) > MAX_SOURCE:
        listing.failed.append((source, f"its name has more than {MAX_SOURCE:,} characters"))
    elif found.st_size > limit:
        reason = f"it has {found.st_size:,} bytes, and the limit is {limit:,} (--max-mib)"
        listing.failed.append((source, reason))
    else:
        version = Version(found.st_ino, found.st_size, found.st_mtime_ns)
        listing.files[source] = File(path, source, kind, version)


def is_removed(path: Path) -> bool:
    """Whether a file is not there, for certain: one that cannot be looked at is."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def _reason(error: OSError) -> str:
    return f"it cannot be read: {error.strerror or error}"
