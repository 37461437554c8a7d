"""Restores: a mesh again made of a backup, on a server that has none.

Why in this order, and why numbers go on after those that were used, is in `motet.bus.backups`.

Invariants:

- The backup is checked as a whole before the server is asked for anything.
- A stream that is there is left alone: then nothing is brought back.
- A queue is there only when all is there that its messages need. Agents that run meanwhile wait for
  it, and take every message in it for one that may have been worked on before.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nats.js.api import StreamConfig

from motet.bus.archives import ArchiveError, pieces
from motet.bus.backups import ORDER, Progress, Told, stream_names
from motet.bus.connection import Bus
from motet.bus.manifest import (
    ARCHIVE,
    META,
    BackedUpStream,
    DamagedBackupError,
    Manifest,
    verify,
)
from motet.bus.provisioning import PATIENCE_S, copied
from motet.bus.snapshots import PIECE_BYTES, STREAM_EXISTS, RestoreRefusedError, Snapshots
from motet.bus.stream_api import StreamApi
from motet.bus.topology import Topology
from motet.errors import FaultError, SetupError
from motet.messages import FaultType

__all__ = ["AHEAD", "StreamExistsError", "restore"]

AHEAD = 10_000_000
"""How many sequence numbers are passed over: more than messages come between two backups. It costs
nothing, but a server that is asked for all numbers that are missing lists them."""

_GO_AHEAD = ("TASKS", "CALLS", "EVENTS", "DEAD")
"""Streams whose sequence numbers are known outside of them."""

_TOO_MANY_COPIES = (10005, 10023, 10052, 10074)
"""NATS's error codes for more copies than servers."""

_AGAIN_S = 0.2


class StreamExistsError(SetupError):
    """What is to be restored is there."""


async def restore(bus: Bus, folder: Path, told: Told, *, replicas: int | None = None) -> Manifest:
    """Brings the streams of a backup back.

    Args:
        bus: A connection whose user may.
        folder: The backup.
        told: Hears how far it is.
        replicas: Copies of each stream; None takes as many as it had.

    Raises:
        DamagedBackupError: The backup is not whole, or was changed.
        StreamExistsError: One of its streams is on the server.
        SetupError: It is of another namespace, or of a newer Motet.
        FaultError: `unavailable` when the server falls silent, dies, or refuses.
    """
    manifest = await asyncio.to_thread(
        verify, folder, lambda stream, size: told(Progress("checking", stream, size, size))
    )
    streams = _in_order(manifest, bus.topology)
    api = StreamApi(bus)
    standing = [stream.name for _, stream in streams if await api.exists(stream.name)]
    if standing:
        raise _exists(standing)
    restoring = _Restoring(bus, Snapshots(bus), folder, told, replicas)
    for done, (short, stream) in enumerate(streams):
        try:
            await restoring.put_back(short, stream)
        except FaultError as error:
            raise _in_part(error, stream, done, len(streams), folder) from error
    return manifest


def _in_order(manifest: Manifest, topology: Topology) -> list[tuple[str, BackedUpStream]]:
    """The streams of a backup as they are to be brought back, with their short names.

    Raises:
        SetupError: They are not this mesh's.
    """
    if manifest.namespace != topology.namespace:
        raise SetupError(
            f"This is a backup of the namespace {manifest.namespace!r}, and MOTET_NAMESPACE is "
            f"{topology.namespace!r}: set it to {manifest.namespace!r}."
        )
    if manifest.topology > Topology.VERSION:
        raise SetupError(
            f"This backup was made by Motet {manifest.motet}, whose streams this older version "
            "does not know: restore it with that version."
        )
    names = stream_names(topology)
    found = {stream.name: stream for stream in manifest.streams}
    strange = found.keys() - names.values()
    if strange or len(found) != len(manifest.streams):
        raise DamagedBackupError(f"The manifest names streams that no mesh has: {strange or found}")
    return [(short, found[names[short]]) for short in reversed(ORDER) if names[short] in found]


@dataclass(frozen=True, slots=True)
class _Restoring:
    """One restore."""

    bus: Bus
    snapshots: Snapshots
    folder: Path
    told: Told
    replicas: int | None

    async def put_back(self, short: str, stream: BackedUpStream) -> None:
        """Brings one stream back, with all its copies."""
        file = self.folder / stream.name / ARCHIVE
        meta = await asyncio.to_thread(file.with_name(META).read_bytes)
        described: dict[str, Any] = json.loads(meta)
        config = described["config"]
        if self.replicas is not None:
            config["num_replicas"] = self.replicas
        last = stream.end + AHEAD if short in _GO_AHEAD else stream.last_sequence
        try:
            state = await self.snapshots.put_back(
                config,
                described["state"],
                pieces(file, PIECE_BYTES, last_sequence=last, empty=stream.empty),
                lambda sent: self.told(
                    Progress("restoring", stream.name, sent, stream.archive.size)
                ),
            )
        except ArchiveError as error:
            raise DamagedBackupError(f"{file}: {error}. Take another backup.") from error
        if state["last_seq"] != last:
            raise FaultError.of(
                FaultType.UNAVAILABLE,
                f"Stream {stream.name!r} was brought back up to {state['last_seq']}, and not up to "
                f"{last}.",
            )
        await self._copied(stream.name, config["num_replicas"])

    async def _copied(self, name: str, replicas: int) -> None:
        """Waits until a stream is on as many servers as it is to be."""
        if replicas < 2:
            return
        wanted = StreamConfig(name=name, num_replicas=replicas)

        async def ask() -> bool:
            return await copied(self.bus.js, wanted)

        try:
            async with asyncio.timeout(PATIENCE_S):
                while not await self.bus.patiently(ask, f"Nobody knows how {name!r} is copied"):  # noqa: ASYNC110
                    await asyncio.sleep(_AGAIN_S)
        except TimeoutError:
            raise FaultError.of(
                FaultType.UNAVAILABLE,
                f"Stream {name!r} does not get its {replicas} copies: see that all servers of the "
                "cluster run.",
            ) from None


def _exists(names: list[str]) -> StreamExistsError:
    return StreamExistsError(
        f"The server has {', '.join(names)} already, and a restore changes nothing that is there. "
        "Restore to a server without this mesh: one with an empty store, before the provisioner "
        "has run."
    )


def _in_part(
    error: FaultError, stream: BackedUpStream, done: int, of: int, folder: Path
) -> SetupError | FaultError:
    """What to say of a restore that has failed with a stream."""
    refused = isinstance(error, RestoreRefusedError)
    if refused and error.code == STREAM_EXISTS:
        return _exists([stream.name])
    message = error.fault.message
    # A server alone sees it late, and names the reason within another error.
    alone = any(f"{code})" in message for code in _TOO_MANY_COPIES)
    if alone:
        message += " `--replicas 1` restores to a single server."
    if done or not (refused or alone):
        message += (
            f" {done} of {of} streams were brought back, and {stream.name} perhaps in part. Let "
            f"nothing work with them: empty the server's store, and restore {folder} again."
        )
    return FaultError.of(FaultType.UNAVAILABLE, message)
