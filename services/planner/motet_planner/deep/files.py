"""Files: what a deep task writes, kept on the bus, so that any replica of the planner sees it.

Contents are blobs of the object store, under names that are used once. The bucket `files` says
which blob a path has, under keys whose parts are made safe by `as_token`:

    <tenant>.task.<task>.<part of the path>.…        a file of a task
    <tenant>.memory.<access>.<part of the path>.…    a file below /memories/, for a tenant's tasks

Invariants:

- A path has one whole content at any time: the entry that names it is changed by compare-and-set,
  after the new blob is stored and before the old one is removed.
- A file is changed from the content that it has, never from one that another has replaced: `edit`
  is done again on the newer one. Of two who write a whole file the last one's stands.
- A `Files` reaches the keys of its own tenant, task and access only; a path cannot leave them.
- What a task wrote, its blobs as well as the entries, is gone when its record can be gone at the
  latest. Memories stay until they are deleted; tasks that may see different documents do not share
  them, so that nobody reads in a memory what they may not read in a document.
- Sizes are bounded. Replicas that write at the same moment may exceed a folder's bound by one file
  each.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from motet.errors import FaultError
from motet.messages import BlobRef, FaultType, Message, Principal, new_id
from motet.messages.base import Timestamp, now
from motet_planner.checkpoints import Stored, as_token

__all__ = ["MEMORIES", "BlobStore", "File", "Files", "Index", "Limits", "clean_path"]

MEMORIES = "/memories"
"""Below it lies what outlives the task."""
_BLOBS = "deep/"
"""How the names of all contents begin."""
_TRIES = 5
"""Tries at a change that others get ahead of."""
_STALE_S = 2.0
"""Seconds after which a content that does not come may be one that was replaced meanwhile."""
_GONE_S = 120.0
"""Seconds that the mark of a deleted file is kept, for whoever is about to change it."""
_PART_BYTES = 200
_PATH_BYTES = 1_000
_PARTS = 16


class Revised(Stored, Protocol):
    """A value with its place in the bucket."""

    @property
    def revision(self) -> int: ...


class Index(Protocol):
    """A bucket; `motet.bus.Bucket` is one."""

    async def get(self, key: str) -> Revised | None:
        """The newest value."""
        ...

    async def put(
        self, key: str, value: bytes, revision: int | None = None, *, ttl_s: float | None = None
    ) -> int | None:
        """Writes a value; None when another revision was the newest."""
        ...

    async def items(self, prefix: str = "") -> Sequence[Stored]:
        """The values whose keys lie below `prefix`."""
        ...


class BlobStore(Protocol):
    """The object store; `motet.bus.Blobs` is one."""

    async def keep(self, name: str, data: bytes, *, ttl_s: float | None = None) -> BlobRef:
        """Stores bytes under a name that was never used."""
        ...

    async def get(self, ref: BlobRef) -> bytes:
        """Bytes that were stored."""
        ...

    async def forget(self, name: str) -> None:
        """Removes bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """How much there may be, of a task and of the memories it sees each."""

    file_bytes: int = 1 << 20
    files: int = 256
    bytes: int = 16 << 20


class File(Message):
    """An entry of the index."""

    path: str
    blob: BlobRef | None
    """The content; None for a file that was just deleted."""
    created_at: Timestamp
    modified_at: Timestamp

    @property
    def size(self) -> int:
        """Bytes."""
        return 0 if self.blob is None else self.blob.size


def clean_path(path: str) -> str:
    """A path as it is kept: absolute, without empty parts.

    Raises:
        FaultError: `invalid_input` for one that goes up, is too long, or has what no name has.
    """
    parts = [part for part in path.split("/") if part not in {"", "."}]
    wrong = (
        ".." in parts
        or path.startswith("~")
        or "\\" in path
        or any(ord(char) < 32 or ord(char) == 127 for char in path)
        or any(len(part.encode()) > _PART_BYTES for part in parts)
        or len(path.encode()) > _PATH_BYTES
        or len(parts) > _PARTS
    )
    if wrong:
        raise FaultError.of(
            FaultType.INVALID_INPUT,
            f"{path[:100]!r} is not a path that a file can have: it must not have '..', '~' at its "
            f"beginning, '\\' or control characters, more than {_PARTS} parts of {_PART_BYTES} "
            f"bytes or {_PATH_BYTES} bytes in all.",
        )
    return "/" + "/".join(parts)


class Files:
    """The files that one task sees."""

    def __init__(
        self,
        index: Index,
        blobs: BlobStore,
        *,
        principal: Principal,
        task: str,
        ttl_s: Callable[[], float],
        limits: Limits | None = None,
    ) -> None:
        """Opens them.

        Args:
            index: The bucket `files`.
            blobs: The object store.
            principal: On whose behalf.
            task: The task's id.
            ttl_s: Seconds that what is written now is to be kept, but for memories.
            limits: How much there may be.
        """
        self._index = index
        self._blobs = blobs
        self._ttl_s = ttl_s
        self._limits = limits or Limits()
        access = "\n".join(sorted(principal.access))
        tenant = as_token(principal.tenant)
        self._task = f"{tenant}.task.{as_token(task)}"
        self._memory = f"{tenant}.memory.{hashlib.sha256(access.encode()).hexdigest()[:32]}"

    async def list(self, path: str = "/") -> list[File]:
        """The files below a path, or the one that it names, by path."""
        path = clean_path(path)
        keys = [self._key(path)] if path != "/" else [self._task, self._memory]
        found = [item.value for key in keys for item in await self._index.items(key)]
        if path != "/" and (item := await self._index.get(keys[0])) is not None:
            found.append(item.value)
        files = [File.model_validate_json(value) for value in found if value]
        return sorted((each for each in files if each.blob is not None), key=lambda each: each.path)

    async def read(self, path: str) -> tuple[File, bytes] | None:
        """A file and its content; None where there is none.

        Raises:
            FaultError: `unavailable` when its content does not come; `invalid_input`.
        """
        key = self._key(clean_path(path))
        for _ in range(_TRIES):
            file = _file(await self._index.get(key))
            if file is None or file.blob is None:
                return None
            try:
                async with asyncio.timeout(_STALE_S):
                    return file, await self._blobs.get(file.blob)
            except (FaultError, TimeoutError):
                if _file(await self._index.get(key)) == file:
                    raise FaultError.of(
                        FaultType.UNAVAILABLE,
                        f"The content of {path!r} cannot be read.",
                        retryable=True,
                    ) from None
        raise _contended(path)

    async def write(self, path: str, data: bytes) -> None:
        """Makes a file have a content, whatever it had.

        Raises:
            FaultError: `invalid_input`, `too_large`, `unavailable`.
        """
        await self._store(path, lambda _: data, reads=False)

    async def change(self, path: str, change: Callable[[bytes | None], bytes]) -> None:
        """Makes a file have what `change` makes of its content, None where there is none.

        `change` may be called several times, and what it raises ends the attempt.

        Raises:
            FaultError: `invalid_input`, `too_large`, `unavailable`.
        """
        await self._store(path, change, reads=True)

    async def delete(self, path: str) -> int:
        """Removes the files below a path, or the one that it names; gives how many there were."""
        files = await self.list(path)
        for file in files:
            key = self._key(file.path)
            item = await self._index.get(key)
            found = _file(item)
            if item is None or found is None or found.blob is None:
                continue
            mark = found.model_copy(update={"blob": None, "modified_at": now()})
            done = await self._index.put(
                key, mark.model_dump_json().encode(), item.revision, ttl_s=_GONE_S
            )
            if done is not None:  # else another has just written it
                await self._blobs.forget(found.blob.name)
        return len(files)

    async def _store(
        self, path: str, change: Callable[[bytes | None], bytes], *, reads: bool
    ) -> None:
        path = clean_path(path)
        if path in {"/", MEMORIES}:
            raise FaultError.of(FaultType.INVALID_INPUT, f"{path!r} is a folder.")
        key, ttl_s = self._key(path), None if _is_memory(path) else self._ttl_s()
        for _ in range(_TRIES):
            item = await self._index.get(key)
            old = _file(item)
            before = await self.read(path) if reads and old is not None else None
            if before is not None and before[0] != old:
                continue
            data = change(None if before is None else before[1])
            await self._check_room(path, len(data))
            blob = await self._blobs.keep(f"{_BLOBS}{new_id()}", data, ttl_s=ttl_s)
            began = old.created_at if old is not None and old.blob is not None else now()
            file = File(path=path, blob=blob, created_at=began, modified_at=now())
            revision = await self._index.put(
                key,
                file.model_dump_json().encode(),
                0 if item is None else item.revision,
                ttl_s=ttl_s,
            )
            replaced = blob if revision is None else None if old is None else old.blob
            if replaced is not None:
                await self._blobs.forget(replaced.name)
            if revision is not None:
                return
        raise _contended(path)

    async def _check_room(self, path: str, size: int) -> None:
        limits = self._limits
        there = [
            each
            for each in await self.list("/")
            if each.path != path and _is_memory(each.path) == _is_memory(path)
        ]
        total = size + sum(each.size for each in there)
        for what, value, limit in (
            ("bytes in one file", size, limits.file_bytes),
            ("files", len(there) + 1, limits.files),
            ("bytes in all files", total, limits.bytes),
        ):
            if value > limit:
                raise FaultError.of(
                    FaultType.TOO_LARGE,
                    f"{path!r} would make it {value:,} {what}; there may be {limit:,}. Write less, "
                    "or delete what is not needed.",
                    size=value,
                    limit=limit,
                )

    def _key(self, path: str) -> str:
        parts = path.strip("/").split("/") if path != "/" else []
        if _is_memory(path):
            return ".".join([self._memory, *map(as_token, parts[1:])])
        return ".".join([self._task, *map(as_token, parts)])


def _is_memory(path: str) -> bool:
    return path == MEMORIES or path.startswith(f"{MEMORIES}/")


def _file(item: Stored | None) -> File | None:
    return None if item is None or not item.value else File.model_validate_json(item.value)


def _contended(path: str) -> FaultError:
    return FaultError.of(
        FaultType.UNAVAILABLE, f"Others keep changing {path!r} at the same time.", retryable=True
    )


def modified(file: File) -> str:
    """When a file was changed last, as ISO 8601."""
    moment: datetime = file.modified_at
    return moment.isoformat()
