"""The manifest: what a backup consists of, so that it is known whole, or not.

A backup is a folder with a folder a stream, as the command `nats` has it, and the manifest beside.
It is written last: a folder without one is no backup.

The hashes find what a disk or a transfer has done. They find no malice: whoever can change a file
can change the manifest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from motet.errors import SetupError
from motet.messages import Timestamp

__all__ = [
    "ARCHIVE",
    "FORMAT",
    "MANIFEST",
    "META",
    "BackedUpFile",
    "BackedUpStream",
    "DamagedBackupError",
    "Manifest",
    "read_manifest",
    "verify",
]

FORMAT = 1
"""The version of this file's form."""

MANIFEST = "manifest.json"
META = "backup.json"
"""A stream's configuration and state, as the server gave them."""
ARCHIVE = "stream.tar.s2"
"""A stream's archive. From NATS 2.15 on it is no tar any more; every `nats` finds it by this name,
and newer ones by another as well."""

_READ_BYTES = 1 << 20

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,255}$")]


class DamagedBackupError(SetupError):
    """A folder is no backup, or not as it was written."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class BackedUpFile(_Part):
    """A file of a stream's folder."""

    size: int = Field(ge=0)
    """Bytes."""
    sha256: str

    @classmethod
    def of(cls, file: Path) -> BackedUpFile:
        """What is on the disk."""
        digest, size = hashlib.sha256(), 0
        with file.open("rb") as opened:
            while piece := opened.read(_READ_BYTES):
                digest.update(piece)
                size += len(piece)
        return cls(size=size, sha256=digest.hexdigest())


class BackedUpStream(_Part):
    """A stream, and the name of its folder."""

    name: Name
    copied_at: Timestamp
    """When its newest content was read."""
    messages: int = Field(ge=0)
    """How many it held when its snapshot was begun."""
    changes: int = Field(ge=0)
    """How many it was given during the backup, which are in the archive too."""
    consumers: int = Field(ge=0)
    last_sequence: int = Field(ge=0)
    """Of the archive."""
    end: int = Field(ge=0)
    """The stream's own, when everything was copied."""
    meta: BackedUpFile
    archive: BackedUpFile

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return self.meta.size + self.archive.size

    @property
    def empty(self) -> bool:
        """Whether there is no message in the archive."""
        return not self.messages and not self.changes


class Manifest(_Part):
    """What a backup consists of."""

    format: int
    motet: str
    """The version of Motet that made it."""
    topology: int
    """`Topology.VERSION` of that."""
    nats: str
    """The version of the server."""
    namespace: str
    began: Timestamp
    ended: Timestamp
    streams: tuple[BackedUpStream, ...]
    """In the order in which they were copied."""

    @property
    def size(self) -> int:
        """Bytes of all files but this one."""
        return sum(stream.size for stream in self.streams)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a backup.

    Raises:
        DamagedBackupError: There is none, or it cannot be read.
    """
    file = folder / MANIFEST
    try:
        text = file.read_bytes()
    except FileNotFoundError:
        raise DamagedBackupError(
            f"{folder} is no whole backup: {MANIFEST} is not in it, which `motet backup` writes "
            "when everything else is there."
        ) from None
    except OSError as error:
        raise SetupError(f"{file} cannot be read: {error.strerror}.") from None
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        raise DamagedBackupError(
            f"{file} is damaged ({error.errors()[0]['msg']}): take another backup."
        ) from None
    if manifest.format > FORMAT:
        raise SetupError(
            f"{folder} was made by Motet {manifest.motet}, in a form that this version does not "
            "know: restore it with that version."
        )
    return manifest


def verify(folder: Path, told: Callable[[str, int], None]) -> Manifest:
    """The manifest of a backup all of whose files are as they were written.

    Args:
        folder: The backup.
        told: Hears which stream is read, and how many of its bytes have been.

    Raises:
        DamagedBackupError: Something is missing, was cut short or changed.
    """
    manifest = read_manifest(folder)
    for stream in manifest.streams:
        for name, file, written in _files(folder, stream):
            try:
                found = BackedUpFile.of(file)
            except FileNotFoundError:
                raise DamagedBackupError(
                    f"{folder} is damaged: {name} is missing. Take another backup."
                ) from None
            except OSError as error:
                raise SetupError(f"{file} cannot be read: {error.strerror}.") from None
            if found.size != written.size:
                raise DamagedBackupError(
                    f"{folder} is damaged: {name} has {found.size:,} bytes, and had "
                    f"{written.size:,}. Take another backup."
                )
            if found != written:
                raise DamagedBackupError(
                    f"{folder} is damaged: {name} was changed since it was written, for its "
                    "SHA-256 is another. Take another backup."
                )
        told(stream.name, stream.size)
    return manifest


def _files(folder: Path, stream: BackedUpStream) -> Iterator[tuple[str, Path, BackedUpFile]]:
    for name, written in ((META, stream.meta), (ARCHIVE, stream.archive)):
        yield f"{stream.name}/{name}", folder / stream.name / name, written
