"""Blobs: bodies that are too large for a message, in the object store."""

from __future__ import annotations

import asyncio
import hashlib
from io import BufferedIOBase
from typing import BinaryIO, cast

from nats.errors import Error as NatsError
from nats.js.api import ObjectMeta
from nats.js.errors import APIError, NotFoundError
from nats.js.object_store import ObjectStore

from motet.bus.connection import Bus
from motet.errors import FaultError
from motet.messages import BlobRef, FaultType

__all__ = ["Blobs"]


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
        try:
            await store.put(name, data, meta=ObjectMeta(name=name, description=media_type))
        except (NatsError, APIError) as error:
            raise _unavailable(name, error) from error
        return BlobRef(
            name=name,
            size=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            media_type=media_type,
            filename=filename,
        )

    async def get(self, ref: BlobRef) -> bytes:
        """The bytes of `ref`.

        Raises:
            FaultError: `not_found`, `unavailable`, or `invalid_input` when the bytes are not those
                that the reference promises.
        """
        store = await self._open()
        try:
            data = (await store.get(ref.name)).data or b""
        except NotFoundError:
            raise FaultError.of(FaultType.NOT_FOUND, f"There is no blob {ref.name!r}.") from None
        except (NatsError, APIError) as error:
            raise _unavailable(ref.name, error) from error
        if hashlib.sha256(data).hexdigest() != ref.sha256:
            raise _changed(ref)
        return data

    async def copy_to(self, ref: BlobRef, file: BinaryIO) -> None:
        """Writes the bytes of `ref` to a file, a piece at a time, and goes to its beginning.

        Raises:
            FaultError: As `get`.
        """
        store = await self._open()
        try:
            await store.get(ref.name, writeinto=cast("BufferedIOBase", file))
        except NotFoundError:
            raise FaultError.of(FaultType.NOT_FOUND, f"There is no blob {ref.name!r}.") from None
        except (NatsError, APIError) as error:
            raise _unavailable(ref.name, error) from error
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

    async def _open(self) -> ObjectStore:
        if self._store is None:
            try:
                self._store = await self._bus.js.object_store(self._bus.topology.blobs)
            except (NatsError, APIError) as error:
                raise _unavailable(self._bus.topology.blobs, error) from error
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


def _unavailable(name: str, error: Exception) -> FaultError:
    return FaultError.of(
        FaultType.UNAVAILABLE,
        f"The object store failed on {name!r}: {error or type(error).__name__}.",
        retryable=True,
    )
