"""Backups: a mesh's streams in a folder, and a mesh again made of them, on an empty server.

Each stream is copied by itself, while the mesh works, so that the copies are of different moments.
What makes one mesh of them is the order of these moments, and what the mesh repairs by itself.
Wherever it relies on "where there is Y, there is X", Y is copied before X: X was written first.

- A schedule says which of its times were submitted: `schedules` comes before TASKS. A time that is
  submitted again is the same task.
- A message leaves TASKS or CALLS when its outcome is stored. So the queues come before all that
  says what became of their messages. A message that came back and is done with is answered from
  what is stored; a task whose message came after the copy is put back by `motet.bus.lost_tasks`,
  and issues its calls again, under their ids.
- A call is issued for a plan that is stored, and its outcome is written when its dead letter is, or
  the event of its task's end: `results` comes before `checkpoints`, EVENTS and DEAD. Were there
  outcomes of a plan that is not there, the task would be planned anew, perhaps otherwise, and do in
  other steps what is done.
- A task's state is stored before it is told, before its dead letter is written, and after its
  checkpoints are gone if it failed: `tasks` comes after these three.
- A task waits for questions that were asked before, and a call is paid for before it runs:
  `approvals` and `budgets` come after `tasks` and `results`.
- Whatever names a blob was written after it: `blobs` is the last.

One thing is not covered so: a task that ends between the copies, of EVENTS and of `tasks`, and
whose message the copy of TASKS does not have. Nobody would tell its end. So TASKS is given a
message for each task that ended since it was copied, which has the end told if it was not.

That the moments lie close together, whatever the size of the streams, the largest are copied first,
and what they were given meanwhile is added at the end, in that order. Bringing back goes the other
way: when there is a queue, there is all that its messages need.

Sequence numbers of TASKS are in ids of tasks, those of CALLS in claims; followers know those of
EVENTS, operators those of DEAD. And the mesh went on after the backup. So these streams go on
`AHEAD` numbers after their last one, that no number which anybody has seen is given twice.

Invariants:

- A folder has its name when all of it is on the disk. The manifest is written last.
- Nothing on the server is changed.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from pydantic import ValidationError

from motet.bus.archives import ArchivedMessage, Extension
from motet.bus.changes import Changes
from motet.bus.connection import Bus
from motet.bus.manifest import (
    ARCHIVE,
    FORMAT,
    MANIFEST,
    META,
    BackedUpFile,
    BackedUpStream,
    Manifest,
)
from motet.bus.snapshots import Snapshot, Snapshots
from motet.bus.stream_api import StreamApi
from motet.bus.topology import Topology
from motet.errors import SetupError
from motet.messages import TaskReady, TaskRecord

__all__ = ["ORDER", "Progress", "Told", "back_up", "stream_names"]

FIRST = ("agents", "schedules")
"""What is copied before the queues."""

QUEUES = ("TASKS", "CALLS")

LATER = (
    "results",
    "EVENTS",
    "DEAD",
    "checkpoints",
    "tasks",
    "approvals",
    "budgets",
    "files",
    "sessions",
    "blobs",
)
"""What is brought up to date after the queues, in this order."""

ORDER = (*FIRST, *QUEUES, *LATER)
"""All streams, in the order of the moments that their copies are of."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a backup, or a restore, is with a stream."""

    step: str
    """`copying`, `adding what came meanwhile to`, `checking` or `restoring`."""
    stream: str
    done: int
    """Bytes."""
    total: int | None = None
    """Of them; None where nobody knows."""


Told = Callable[[Progress], None]


def stream_names(topology: Topology) -> dict[str, str]:
    """The full names of streams, buckets and the object store by their short ones, in `ORDER`."""
    names: dict[str, str] = {}
    for short in ORDER:
        if short.isupper():
            names[short] = topology.stream(short)
        else:
            kind = "OBJ" if short == "blobs" else "KV"
            names[short] = f"{kind}_{topology.bucket(short)}"
    return names


async def back_up(bus: Bus, folder: Path, told: Told) -> Manifest:
    """Backs a mesh's streams up, whether it works or not.

    Args:
        bus: A connection whose user may.
        folder: Where to; it must not exist, or be empty.
        told: Hears how far it is.

    Raises:
        SetupError: The folder is taken or cannot be written, a stream is missing, or the server is
            older than NATS 2.15.
        FaultError: `unavailable` when the server falls silent, dies, or refuses. Nothing is left
            under the folder's name.
    """
    async with _as_a_whole(folder) as partial:
        manifest = await _Backup(bus, partial, told).run()
        await asyncio.to_thread(_write, partial / MANIFEST, manifest.model_dump_json(indent=2))
    return manifest


class _Backup:
    """One backup."""

    def __init__(self, bus: Bus, folder: Path, told: Told) -> None:
        self._bus = bus
        self._folder = folder
        self._told = told
        self._snapshots = Snapshots(bus)
        self._changes = Changes(bus)
        self._api = StreamApi(bus)
        self._names = stream_names(bus.topology)
        self._copies: dict[str, _Copy] = {}
        self._ended: dict[str, tuple[TaskReady, str]] = {}

    async def run(self) -> Manifest:
        began = datetime.now(UTC)
        for short in LATER:
            await self._copy(short)
        for short in FIRST:
            await self._copy(short)
            await self._add(short)
        for short in QUEUES:
            await self._copy(short)
        for short in LATER:
            await self._add(short)
        ends = {short: await self._api.last_sequence(self._names[short]) for short in ORDER}
        ends["TASKS"] = await self._add_ended(ends["TASKS"])
        streams = [await self._sealed(short, ends[short]) for short in ORDER]
        return Manifest(
            format=FORMAT,
            motet=metadata.version("motet"),
            topology=Topology.VERSION,
            nats=self._bus.server_version,
            namespace=self._bus.topology.namespace,
            began=began,
            ended=datetime.now(UTC),
            streams=tuple(streams),
        )

    async def _copy(self, short: str) -> None:
        """Takes a stream's snapshot."""
        stream, file = self._names[short], self._file(short)
        file.parent.mkdir()
        begun = datetime.now(UTC)
        snapshot = await self._snapshots.take(
            stream, file, lambda done: self._told(Progress("copying", stream, done))
        )
        self._copies[short] = _Copy(snapshot, begun, snapshot.last_sequence)
        described = {"config": snapshot.config, "state": snapshot.state}
        await asyncio.to_thread(_write, file.with_name(META), json.dumps(described, indent=2))

    async def _add(self, short: str) -> None:
        """Adds to a copy what the stream was given since it was begun."""
        stream, copy = self._names[short], self._copies[short]
        copy.moment = datetime.now(UTC)
        with closing(Extension(self._file(short), copy.snapshot.frames)) as extension:
            async for messages in self._changes.since(
                stream, copy.last_sequence, latest=copy.snapshot.latest
            ):
                await asyncio.to_thread(extension.add, messages)
                copy.last_sequence, copy.changes = messages[-1].sequence, extension.count
                if short == "tasks":
                    self._note_ended(messages)
                self._told(Progress("adding what came meanwhile to", stream, extension.size))
            await asyncio.to_thread(extension.finish)

    def _note_ended(self, messages: Iterable[ArchivedMessage]) -> None:
        """Remembers which tasks have ended since their queue was copied."""
        for message in messages:
            try:
                record = TaskRecord.model_validate_json(message.body)
            except ValidationError:
                continue  # of a deleted key, or not by Motet
            if record.state.terminal and record.task is not None:
                queue = self._bus.topology.task_ready(record.task.priority, record.task.tenant)
                self._ended[record.id] = TaskReady(task=record.id, sequence=record.sequence), queue

    async def _add_ended(self, end: int) -> int:
        """Gives TASKS a message for each of them; returns the number of its last message then."""
        copy, now = self._copies["TASKS"], time.time_ns()
        with closing(Extension(self._file("TASKS"), copy.snapshot.frames)) as extension:
            for ready, subject in self._ended.values():
                end += 1
                message = ArchivedMessage(end, subject, now, b"", ready.model_dump_json().encode())
                await asyncio.to_thread(extension.add, (message,))
                copy.last_sequence, copy.changes = end, extension.count
            await asyncio.to_thread(extension.finish)
        return end

    def _file(self, short: str) -> Path:
        """Where the archive of a stream is."""
        return self._folder / self._names[short] / ARCHIVE

    async def _sealed(self, short: str, end: int) -> BackedUpStream:
        """What the manifest says of a stream."""
        stream, copy = self._names[short], self._copies[short]
        file = self._file(short)
        self._told(Progress("checking", stream, 0))
        return BackedUpStream(
            name=stream,
            copied_at=copy.moment,
            messages=copy.snapshot.state["messages"],
            changes=copy.changes,
            consumers=copy.snapshot.state["consumer_count"],
            last_sequence=copy.last_sequence,
            end=end,
            meta=await asyncio.to_thread(BackedUpFile.of, file.with_name(META)),
            archive=await asyncio.to_thread(BackedUpFile.of, file),
        )


@dataclass(slots=True)
class _Copy:
    """A stream's copy, so far."""

    snapshot: Snapshot
    moment: datetime
    """Of its newest content."""
    last_sequence: int
    changes: int = 0


@asynccontextmanager
async def _as_a_whole(folder: Path) -> AsyncGenerator[Path]:
    """A folder to write into, which gets its name when the block has ended without an error.

    Raises:
        SetupError: It cannot be written, or its name is taken.
    """
    partial: Path | None = None
    try:
        partial = await asyncio.to_thread(_begin, folder)
        yield partial
        await asyncio.to_thread(_finish, partial, folder)
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        if partial is not None:
            await asyncio.to_thread(shutil.rmtree, partial, ignore_errors=True)


def _begin(target: Path) -> Path:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise SetupError(f"{target} is there already: give each backup a folder of its own.")
    target.parent.mkdir(parents=True, exist_ok=True)
    # Only its owner may read what is in it, which is everything.
    return Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent))


def _finish(partial: Path, target: Path) -> None:
    for folder in (*(each for each in partial.iterdir() if each.is_dir()), partial):
        _sync(folder)
    partial.replace(target)
    _sync(target.parent)


def _sync(folder: Path) -> None:
    """Has the disk keep a folder's entries."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(file: Path, text: str) -> None:
    with file.open("w", encoding="utf-8") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())


def _unwritable(folder: Path, error: OSError) -> SetupError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return SetupError(
            f"There is no room for the backup where {folder} is: it was given up, and what it had "
            "written is removed. Free some, or name another place."
        )
    return SetupError(f"{folder} cannot be written: {error.strerror or error}.")
