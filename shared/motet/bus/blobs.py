"""Blobs: bodies that are too large for a message, in the object store.

A blob is read in pages, like any stream: a consumer, by which the client library reads it, dies
with its server, and its reader would wait for ever.

What a reference promises bounds what is read: whoever may write blobs may have put anything there.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from functools import partial
from typing import BinaryIO

from nats.js.api import ObjectInfo, ObjectMeta
from nats.js.errors import NotFoundError
from nats.js.object_store import ObjectStore

from motet.bus import connection
from motet.bus.connection import Bus
from motet.bus.pages import pages
from motet.bus.topology import Header
from motet.errors import FaultError
from motet.messages import BlobRef, FaultType, new_id

__all__ = ["IN_MEMORY_BYTES", "Blobs"]

IN_MEMORY_BYTES = 64 << 20
"""Bytes of a blob that is read into memory, unless its reader allows for more: four times the
largest document."""
_PIECE_BYTES = 128 * 1024
"""Of a message; as large as the client library's own."""


class Blobs:
    """Puts and gets bytes under names of the caller's choice."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._store: ObjectStore | None = None

    async def put(
        self,
        name: str,
        data: bytes,
        *,
        media_type: str = "application/octet-stream",
        filename: str | None = None,
    ) -> BlobRef:
        """Stores `data` under `name`, replacing what was there.

        Raises:
            FaultError: `unavailable` when the store does not take it.
        """
        store = await self._open()

        async def put() -> None:
            await store.put(name, data, meta=ObjectMeta(name=name, description=media_type))

        await self._bus.patiently(put, f"The object store did not take {name!r}")
        return BlobRef(
            name=name,
            size=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            media_type=media_type,
            filename=filename,
        )

    async def keep(self, name: str, data: bytes, *, ttl_s: float | None = None) -> BlobRef:
        """Stores `data` under a name that was never used, for so many seconds, or for good.

        All of it is gone after that, what the store says of it too.

        Raises:
            FaultError: `unavailable` when the store does not take it.
        """
        topology, nuid = self._bus.topology, new_id()
        age = {} if ttl_s is None else {Header.TTL: f"{max(1, round(ttl_s))}s"}
        pieces = range(0, len(data), _PIECE_BYTES)
        for number, at in enumerate(pieces):
            # A piece whose acknowledgement was lost is sent again, and must not be there twice.
            headers = {**age, Header.MESSAGE_ID: f"blob.{nuid}.{number}"}
            await self._bus.store(topology.blob_chunks(nuid), data[at : at + _PIECE_BYTES], headers)
        digest = hashlib.sha256(data)
        info = ObjectInfo(
            name=name,
            bucket=topology.blobs,
            nuid=nuid,
            size=len(data),
            chunks=len(pieces),
            mtime=datetime.now(UTC).isoformat(),
            digest=f"SHA-256={urlsafe_b64encode(digest.digest()).decode()}",
        )
        meta = {**age, Header.ROLLUP: "sub"}
        await self._bus.store(topology.blob_meta(name), json.dumps(info.as_dict()).encode(), meta)
        return BlobRef(name=name, size=len(data), sha256=digest.hexdigest())

    async def forget(self, name: str) -> None:
        """Removes a blob, if it is there, and leaves no mark of it.

        Raises:
            FaultError: `unavailable` when the store does not answer.
        """
        topology = self._bus.topology
        info = await self._info(name, f"Blob {name!r} cannot be removed")
        if info is None:
            return
        for subject in (topology.blob_chunks(info.nuid), topology.blob_meta(name)):
            purge = partial(self._bus.js.purge_stream, f"OBJ_{topology.blobs}", subject=subject)
            await self._bus.patiently(purge, f"Blob {name!r} cannot be removed")

    async def get(self, ref: BlobRef, *, max_bytes: int = IN_MEMORY_BYTES) -> bytes:
        """The bytes of `ref`.

        Raises:
            FaultError: `not_found`, `unavailable`, `too_large` for more than `max_bytes`, or
                `invalid_input` when the bytes are not those that the reference promises.
        """
        if ref.size > max_bytes:
            raise FaultError.of(
                FaultType.TOO_LARGE,
                f"Blob {ref.name!r} has {ref.size:,} bytes; {max_bytes:,} are taken into memory.",
                size=ref.size,
                limit=max_bytes,
            )
        data = b"".join([piece async for piece in self._pieces(ref)])
        if hashlib.sha256(data).hexdigest() != ref.sha256:
            raise _changed(ref)
        return data

    async def copy_to(self, ref: BlobRef, file: BinaryIO) -> None:
        """Writes the bytes of `ref` to a file, a piece at a time, and goes to its beginning.

        Raises:
            FaultError: As `get`, but that none is too large.
        """
        async for piece in self._pieces(ref):
            await asyncio.to_thread(file.write, piece)
        file.seek(0)
        if await asyncio.to_thread(_sha256, file) != ref.sha256:
            raise _changed(ref)
        file.seek(0)

    async def delete(self, name: str) -> None:
        """Removes a blob, if it is there."""
        store = await self._open()
        try:
            await store.delete(name)
        except NotFoundError:
            return

    async def _pieces(self, ref: BlobRef) -> AsyncGenerator[bytes]:
        """The bytes of `ref`, a piece at a time.

        Raises:
            FaultError: `not_found`, `invalid_input` when there are more than the reference
                promises, or `unavailable`, as when some are gone or cannot be read.
        """
        complaint = f"Blob {ref.name!r} cannot be read"
        info = await self._info(ref.name, complaint)
        if info is None:
            raise FaultError.of(FaultType.NOT_FOUND, f"There is no blob {ref.name!r}.")
        stream, chunks = (
            f"OBJ_{self._bus.topology.blobs}",
            self._bus.topology.blob_chunks(info.nuid),
        )
        after, left, size = 0, info.chunks or 0, 0
        give_up = asyncio.get_running_loop().time() + connection.GIVE_UP_S
        while left > 0:
            async for page in pages(self._bus, stream, chunks, complaint, after):
                for message in page:
                    after, left = message.sequence, left - 1
                    size += len(message.body)
                    if size > ref.size:
                        raise FaultError.of(
                            FaultType.INVALID_INPUT,
                            f"Blob {ref.name!r} has more than the promised {ref.size:,} bytes.",
                        )
                    yield message.body
            if left > 0:
                # A copy of the stream may be behind; or another has replaced the blob.
                if asyncio.get_running_loop().time() >= give_up:
                    raise FaultError.of(
                        FaultType.UNAVAILABLE, f"{complaint}: some of it is gone.", retryable=True
                    )
                await asyncio.sleep(0.1)

    async def _info(self, name: str, complaint: str) -> ObjectInfo | None:
        """What the store says of a blob; None where there is none."""
        store = await self._open()

        async def find() -> ObjectInfo | None:
            try:
                return await store.get_info(name)
            except NotFoundError:
                return None

        return await self._bus.patiently(find, complaint)

    async def _open(self) -> ObjectStore:
        if self._store is None:
            blobs = self._bus.topology.blobs
            open_store = partial(self._bus.js.object_store, blobs)
            self._store = await self._bus.patiently(
                open_store, f"The object store {blobs!r} cannot be opened"
            )
        return self._store


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while piece := file.read(1 << 20):
        digest.update(piece)
    return digest.hexdigest()


def _changed(ref: BlobRef) -> FaultError:
    return FaultError.of(
        FaultType.INVALID_INPUT, f"Blob {ref.name!r} does not have the promised SHA-256."
    )
