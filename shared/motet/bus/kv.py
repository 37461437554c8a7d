"""Buckets: keys and values with compare-and-set, over one stream a bucket.

Keys are dot-separated tokens. A deleted key is one whose newest value is a delete marker.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

from nats.errors import Error as NatsError
from nats.js.kv import KeyValue

from motet.bus import connection
from motet.bus.connection import Bus, SequenceConflictError
from motet.bus.topology import Header
from motet.errors import FaultError
from motet.messages import FaultType

__all__ = ["Bucket", "Item"]

CONNECTION_CHECK_S = 1.0
"""Seconds between two looks at whether the connection was lost and is back."""

_GONE = ("DEL", "PURGE")
_NOT_FOUND = "404"


@dataclass(frozen=True, slots=True)
class Item:
    """A value with its place in the bucket."""

    key: str
    value: bytes
    revision: int


class Bucket:
    """One bucket of the topology, by its short name such as `tasks`."""

    def __init__(self, bus: Bus, name: str) -> None:
        self._bus = bus
        self._bucket = bus.topology.bucket(name)
        self._read = f"$JS.API.DIRECT.GET.KV_{self._bucket}.$KV.{self._bucket}."
        self._write = f"$KV.{self._bucket}."

    async def get(self, key: str) -> Item | None:
        """The newest value; None when there is none.

        Raises:
            FaultError: `unavailable` when the bucket cannot be read.
        """
        message = await self._bus.request(self._read + key)
        headers = message.headers or {}
        if Header.STATUS in headers and headers[Header.STATUS] != _NOT_FOUND:
            raise FaultError.of(
                FaultType.UNAVAILABLE,
                f"Bucket {self._bucket!r} cannot be read: status {headers[Header.STATUS]}.",
                retryable=True,
            )
        if Header.STATUS in headers or headers.get(Header.KV_OPERATION) in _GONE:
            return None
        return Item(key, message.data, int(headers[Header.SEQUENCE]))

    async def put(self, key: str, value: bytes, revision: int | None = None) -> int | None:
        """Writes a value.

        Args:
            key: Where.
            value: What.
            revision: The revision that must be the newest; 0 for a key that must not be there;
                None writes over whatever is there.

        Returns:
            The new revision, or None when another revision was the newest.
        """
        headers = None if revision is None else {Header.EXPECTED_SUBJECT_SEQUENCE: str(revision)}
        try:
            acknowledgement = await self._bus.store(self._write + key, value, headers)
        except SequenceConflictError:
            return None
        return acknowledgement.sequence

    async def delete(self, key: str, *, timeout_s: float | None = None) -> None:
        """Marks a key as deleted and drops its values.

        Raises:
            FaultError: `unavailable` when the server does not take it in time.
        """
        headers = {Header.KV_OPERATION: "PURGE", Header.ROLLUP: "sub"}
        await self._bus.store(self._write + key, b"", headers, timeout_s=timeout_s)

    async def items(self, prefix: str = "") -> list[Item]:
        """Every live value whose key is `prefix`, or lies below it, in no order."""
        found = [item async for item in self.watch(prefix, follow=False) if item is not None]
        return list({item.key: item for item in found}.values())

    async def watch(self, prefix: str = "", *, follow: bool = True) -> AsyncIterator[Item | None]:
        """Live values at and below `prefix`, then, with `follow`, each change.

        Yields None when everything that was there has been given. A deletion is an item with an
        empty value. After the connection was lost, all of this begins anew.

        Raises:
            FaultError: `unavailable` when the bucket cannot be read.
        """
        while True:
            async for entry in self._entries(prefix, follow=follow):
                if entry is None:
                    yield None
                    if not follow:
                        return
                    continue
                gone = entry.operation in _GONE
                yield Item(entry.key, b"" if gone else entry.value or b"", entry.revision or 0)

    async def _entries(
        self, prefix: str, *, follow: bool
    ) -> AsyncGenerator[KeyValue.Entry | None, None]:
        """What one watch gives, until its connection is lost."""
        connections = self._bus.connections

        async def begin() -> KeyValue.KeyWatcher:
            kv = await self._bus.js.key_value(self._bucket)
            return await kv.watch(f"{prefix}.>" if prefix else ">", ignore_deletes=not follow)

        complaint = f"Bucket {self._bucket!r} cannot be read"
        watcher = await self._bus.patiently(begin, complaint)
        loop = asyncio.get_running_loop()
        heard = loop.time()
        try:
            while self._bus.connections == connections:
                try:
                    entry = await watcher.updates(timeout=CONNECTION_CHECK_S)
                except (TimeoutError, NatsError):
                    if not follow and loop.time() - heard > connection.GIVE_UP_S:
                        raise FaultError.of(
                            FaultType.UNAVAILABLE, f"{complaint}.", retryable=True
                        ) from None
                    continue
                if entry is not None and not isinstance(entry, KeyValue.Entry):
                    return
                heard = loop.time()
                yield entry
        finally:
            if self._bus.client.is_connected:
                await watcher.stop()
