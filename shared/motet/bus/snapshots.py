"""Snapshots: JetStream's own copy of a stream, out to a file and back in, over the bus.

The server sends an archive in chunks, and no more of them than it was told that came; it takes one
in the same way. The client library has no call for either.

A server from 2.15 on makes the archive while the stream is used: `motet.bus.changes` has what may
be missing in it.

Invariants:

- A file that `take` has written is whole: no chunk is missing, and the archive has its end.
- Memory is bounded by the window, whatever the size of the stream; the disk sets the pace.
- A server that dies or falls silent is a fault in bounded time.

Source: nats-server 2.15, `server/jetstream_api.go`; what the command `nats` does is in jsm.go,
`snapshots.go`.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from pydantic_core import from_json

from motet.bus import archives
from motet.bus.connection import Bus
from motet.bus.delivery import quietly
from motet.bus.s2 import FrameError, Frames
from motet.bus.stream_api import (
    NO_STREAM,
    NOBODY,
    StreamApi,
    check,
    error_code,
    missing,
    unavailable,
)
from motet.bus.topology import Header
from motet.errors import FaultError, SetupError
from motet.messages import Fault

__all__ = ["STREAM_EXISTS", "RestoreRefusedError", "Snapshot", "Snapshots"]

log = logging.getLogger(__name__)

CHUNK_BYTES = 64 * 1024
"""Bytes that the server sends at once. It gives up when none of those under way is confirmed for
5 s, so that a line may be as slow as one of them in that time."""

WINDOW_BYTES = 1 << 20
"""Bytes that are under way and not confirmed."""

PIECE_BYTES = 128 * 1024
"""Bytes that are sent back at once. The server gives up when none comes for 5 s."""

SILENCE_S = 30.0
"""Seconds without a chunk, or without a word on a piece, after which a server counts as dead."""

FINISH_S = 600.0
"""Seconds that a server may take to make a stream of what it was sent."""

ATTEMPTS = 3
"""How often a snapshot is begun, where a server dies or its leader changes."""

STREAM_EXISTS = 10130
"""NATS's error code for a stream that is to be restored and is there."""

_WATCH_S = 1.0
_STATUS_OVER = ("204", None)

Told = Callable[[int], None]
"""Hears how many bytes have been carried so far."""


class RestoreRefusedError(FaultError):
    """A server does not begin to take a stream back, and has changed nothing."""

    def __init__(self, fault: Fault, code: int) -> None:
        super().__init__(fault)
        self.code = code
        """NATS's error code."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a server says of a stream whose snapshot it has given."""

    config: dict[str, Any]
    state: dict[str, Any]
    """As the stream was when the snapshot was begun."""
    frames: Frames
    """Of the archive."""

    @property
    def latest(self) -> bool:
        """Whether the stream is a bucket, which holds one message a key."""
        return bool(self.config["max_msgs_per_subject"] == 1)

    @property
    def last_sequence(self) -> int:
        """Up to where the archive goes."""
        return int(self.state["last_seq"])


class Snapshots:
    """Snapshots of streams, by their full names."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._api = StreamApi(bus)

    # Out

    async def take(self, stream: str, file: Path, told: Told) -> Snapshot:
        """Writes the archive of a stream, with its consumers.

        Args:
            stream: Which.
            file: Where to; what it held is gone.
            told: Hears how much has come.

        Raises:
            SetupError: There is no such stream, or its server is older than NATS 2.15.
            FaultError: `unavailable`, also after another attempt.
            OSError: The file cannot be written.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._attempt(stream, file, told)
            except FaultError as error:
                if not error.fault.retryable or attempt == ATTEMPTS:
                    raise
                log.warning("%s It is tried again.", error.fault.message)
        raise AssertionError("the last attempt returns or raises")

    async def _attempt(self, stream: str, file: Path, told: Told) -> Snapshot:
        since = self._bus.connections
        inbox = self._bus.client.new_inbox()
        chunks: asyncio.Queue[Msg] = asyncio.Queue()
        subscription = await self._bus.subscribe(inbox, chunks.put)
        try:
            asked = {
                "deliver_subject": inbox,
                "chunk_size": CHUNK_BYTES,
                "window_size": WINDOW_BYTES,
            }
            answer = await self._api.ask(f"$JS.API.STREAM.SNAPSHOT.{stream}", asked)
            if error_code(answer) == NO_STREAM:
                raise missing(stream)
            check(answer, f"Stream {stream!r} cannot be backed up")
            frames = Frames()
            try:
                with await asyncio.to_thread(file.open, "wb") as opened:
                    async for chunk in self._chunks(stream, chunks, since):
                        frames.feed(chunk)
                        await asyncio.to_thread(opened.write, chunk)
                        told(frames.size)
                    await asyncio.to_thread(_to_disk, opened)
                await asyncio.to_thread(archives.check, file, frames)
            except archives.FormatError:
                raise SetupError(
                    f"A backup needs NATS 2.15 or newer, and this is {self._bus.server_version}."
                ) from None
            except (FrameError, archives.ArchiveError) as error:
                raise unavailable(
                    f"The snapshot of stream {stream!r} is not whole: {error}."
                ) from error
        finally:
            await quietly(subscription.unsubscribe())
        return Snapshot(answer["config"], answer["state"], frames)

    async def _chunks(
        self, stream: str, chunks: asyncio.Queue[Msg], since: int
    ) -> AsyncGenerator[bytes]:
        """An archive as it comes; each chunk is confirmed when the next one is asked for."""
        expected = 1
        while True:
            message = await self._next(stream, chunks, since)
            if not message.data:
                headers = message.headers or {}
                if headers.get(Header.STATUS) in _STATUS_OVER:
                    return
                why = headers.get("Description") or headers[Header.STATUS]
                raise unavailable(f"The server ended the snapshot of stream {stream!r}: {why}.")
            # Where to confirm a chunk ends with its number; the last chunk has neither.
            if message.reply and int(message.reply.rpartition(".")[2]) != expected:
                raise unavailable(
                    f"Chunk {expected} of the snapshot of stream {stream!r} did not come."
                )
            yield message.data
            if message.reply:
                await self._bus.send(message.reply, b"")
            expected += 1

    async def _next(self, stream: str, chunks: asyncio.Queue[Msg], since: int) -> Msg:
        loop = asyncio.get_running_loop()
        give_up = loop.time() + SILENCE_S
        while True:
            try:
                async with asyncio.timeout(_WATCH_S):
                    return await chunks.get()
            except TimeoutError:
                if self._lost(since):
                    raise unavailable(
                        f"The connection was lost during the snapshot of stream {stream!r}."
                    ) from None
                if loop.time() >= give_up:
                    raise unavailable(
                        f"The server fell silent during the snapshot of stream {stream!r}."
                    ) from None

    # In

    async def put_back(
        self,
        config: Mapping[str, Any],
        state: Mapping[str, Any],
        pieces: Iterator[bytes],
        told: Told,
    ) -> dict[str, Any]:
        """Makes a stream, with its consumers, of its archive.

        Args:
            config: The stream's configuration, its name among it.
            state: Its state, as the server has given it with the snapshot.
            pieces: The archive.
            told: Hears how much has gone.

        Returns:
            The state of the stream that is there now.

        Raises:
            RestoreRefusedError: The server does not begin with it.
            FaultError: `unavailable`. There may be a part of the stream.
        """
        stream, since, sent = config["name"], self._bus.connections, 0
        complaint = f"Stream {stream!r} cannot be brought back"
        answer = await self._api.ask(
            f"$JS.API.STREAM.RESTORE.{stream}", {"config": config, "state": state}
        )
        try:
            check(answer, complaint)
        except FaultError as error:
            raise RestoreRefusedError(error.fault, error_code(answer) or 0) from None
        subject = answer["deliver_subject"]
        while piece := await asyncio.to_thread(next, pieces, b""):
            answer = await self._handed(subject, piece, complaint, since, SILENCE_S)
            if answer:
                check(from_json(answer), complaint)
            sent += len(piece)
            told(sent)
        answer = from_json(await self._handed(subject, b"", complaint, since, FINISH_S))
        check(answer, complaint)
        found: dict[str, Any] = answer["state"]
        return found

    async def _handed(
        self, subject: str, piece: bytes, complaint: str, since: int, within_s: float
    ) -> bytes:
        """What a server says to a piece."""
        asking = asyncio.ensure_future(self._bus.replies.request(subject, piece, None, within_s))
        try:
            while not asking.done():
                await asyncio.wait((asking,), timeout=_WATCH_S)
                if self._lost(since) and not asking.done():
                    raise unavailable(f"{complaint}: the connection was lost.")
            message = asking.result()
        except TimeoutError:
            raise unavailable(f"{complaint}: the server fell silent.") from None
        except NatsError as error:
            raise unavailable(f"{complaint}: {error or type(error).__name__}.") from error
        finally:
            asking.cancel()
        if (message.headers or {}).get(Header.STATUS) == NOBODY:
            raise unavailable(f"{complaint}: the server has given it up.")
        return message.data

    def _lost(self, since: int) -> bool:
        """Whether the connection is not the one that was there."""
        return self._bus.connections != since or not self._bus.client.is_connected


def _to_disk(opened: BinaryIO) -> None:
    opened.flush()
    os.fsync(opened.fileno())
