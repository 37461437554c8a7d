"""Buckets: keys and values with compare-and-set, over one stream a bucket.

Keys are dot-separated tokens. A deleted key is one whose newest value is a delete marker.

Invariants:

- What `get` gives was the newest value when it was asked: in a cluster it is read from the leader,
  where every compare-and-set is decided.
- Lists, pages and watches may come from a copy that is behind. They give a state that was, in the
  order of the writes; whoever acts on one looks again with `get`, or by compare-and-set.
- A watch needs no consumer, and so outlives the death of any server.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from motet.bus.connection import Bus, SequenceConflictError
from motet.bus.news import News
from motet.bus.pages import NO_MESSAGE, pages, read_page
from motet.bus.topology import Header
from motet.errors import FaultError
from motet.messages import FaultType

__all__ = ["Bucket", "Item"]

log = logging.getLogger(__name__)

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
        bucket = bus.topology.bucket(name)
        self._stream = f"KV_{bucket}"
        self._read = f"$JS.API.DIRECT.GET.{self._stream}.$KV.{bucket}."
        self._write = f"$KV.{bucket}."
        self._complaint = f"Bucket {bucket!r} cannot be read"

    async def get(self, key: str) -> Item | None:
        """The newest value; None when there is none.

        Raises:
            FaultError: `unavailable` when the bucket cannot be read.
        """
        if self._bus.clustered:
            led = await self._led(key)
            if led is None or (led.headers or {}).get(Header.KV_OPERATION) in _GONE:
                return None
            return Item(key, led.data or b"", led.seq or 0)
        message = await self._bus.request(self._read + key)
        headers = message.headers or {}
        if Header.STATUS in headers and headers[Header.STATUS] != _NOT_FOUND:
            raise FaultError.of(
                FaultType.UNAVAILABLE,
                f"{self._complaint}: status {headers[Header.STATUS]}.",
                retryable=True,
            )
        if Header.STATUS in headers or headers.get(Header.KV_OPERATION) in _GONE:
            return None
        return Item(key, message.data, int(headers[Header.SEQUENCE]))

    async def sent(self, key: str) -> tuple[Item | None, int]:
        """The newest value if a client has sent it, and the newest revision, or 0.

        A server answers a read on any subject that the reader names, so that whoever may not write
        a key could have it written with something that it has stored elsewhere.

        Raises:
            FaultError: `unavailable` when the bucket cannot be read.
        """
        message = await self._led(key)
        if message is None:
            return None, 0
        revision, headers = message.seq or 0, message.headers or {}
        if Header.STREAM in headers:
            log.error("the value of %s%s was copied there by a read: ignored", self._write, key)
            return None, revision
        if headers.get(Header.KV_OPERATION) in _GONE:
            return None, revision
        return Item(key, message.data or b"", revision), revision

    async def _led(self, key: str) -> RawStreamMsg | None:
        """The newest message, by the copy that orders all writes.

        A direct get is answered by any copy, and a copy may be behind.
        """

        async def ask() -> RawStreamMsg | None:
            try:
                return await self._bus.js.get_last_msg(self._stream, self._write + key)
            except NotFoundError as error:
                if error.err_code == NO_MESSAGE:
                    return None
                raise

        return await self._bus.patiently(ask, self._complaint)

    async def put(
        self, key: str, value: bytes, revision: int | None = None, *, ttl_s: float | None = None
    ) -> int | None:
        """Writes a value.

        Args:
            key: Where.
            value: What.
            revision: The revision that must be the newest; 0 for a key that must not be there;
                None writes over whatever is there.
            ttl_s: Seconds after which the value is gone; None keeps it. Only for buckets whose
                values may expire.

        Returns:
            The new revision, or None when another revision was the newest.
        """
        headers: dict[str, str] = {}
        if revision is not None:
            headers[Header.EXPECTED_SUBJECT_SEQUENCE] = str(revision)
        if ttl_s is not None:
            headers[Header.TTL] = f"{max(1, round(ttl_s))}s"
        try:
            acknowledgement = await self._bus.store(self._write + key, value, headers or None)
        except SequenceConflictError:
            return None
        return acknowledgement.sequence

    async def delete(self, key: str, *, timeout_s: float | None = None) -> None:
        """Marks a key as deleted and drops its values.

        Raises:
            FaultError: `unavailable` when the server does not take it in time.
        """
        # A bucket keeps one message a key, so that the marker takes the place of the value.
        headers = {Header.KV_OPERATION: "DEL"}
        await self._bus.store(self._write + key, b"", headers, timeout_s=timeout_s)

    async def purge(self, prefix: str, *, before: int = 0) -> None:
        """Drops what lies below `prefix`, and leaves no mark.

        Args:
            prefix: How the keys begin.
            before: Only what was written before this revision; 0 drops all.

        Raises:
            FaultError: `unavailable` when the server does not take it.
        """
        purge = partial(
            self._bus.js.purge_stream, self._stream, seq=before, subject=self._below(prefix)
        )
        await self._bus.patiently(purge, f"{self._stream} cannot be purged")

    async def items(self, prefix: str = "") -> list[Item]:
        """Live values whose keys lie below `prefix`, or all, the oldest first.

        Raises:
            FaultError: `unavailable` when the bucket cannot be read.
        """
        found: dict[str, Item] = {}
        # A bucket keeps one message a key, so that its messages are its values.
        below = self._below(prefix)
        async for page in pages(self._bus, self._stream, below, self._complaint):
            for message in page:
                key = message.subject.removeprefix(self._write)
                found.pop(key, None)
                if message.headers.get(Header.KV_OPERATION) not in _GONE:
                    found[key] = Item(key, message.body, message.sequence)
        return list(found.values())

    async def page(self, after: int) -> tuple[list[Item], int]:
        """Some live values, those that were written longest ago first.

        Args:
            after: Where the page before ended; 0 for the first.

        Returns:
            The values, and where the page ends; 0 when it is the last.

        Raises:
            FaultError: `unavailable` when the bucket cannot be read.
        """
        page = await self._bus.patiently(
            partial(read_page, self._bus, self._stream, self._below(""), after), self._complaint
        )
        items = [
            Item(message.subject.removeprefix(self._write), message.body, message.sequence)
            for message in page.messages
            if message.headers.get(Header.KV_OPERATION) not in _GONE
        ]
        return items, page.messages[-1].sequence if page.more else 0

    def _below(self, prefix: str) -> str:
        return self._write + (f"{prefix}.>" if prefix else ">")

    async def watch(self, prefix: str = "") -> AsyncIterator[Item | None]:
        """Live values below `prefix`, or all, and then each change.

        Yields None when everything that was there has been given. A deletion is an item with an
        empty value. Of several changes of a key in a short time only the last may come.

        Raises:
            FaultError: `unavailable` when the bucket cannot be read.
        """
        below, after, whole = self._below(prefix), 0, False
        async with News.of(self._bus, below) as news:
            while True:
                async for page in pages(self._bus, self._stream, below, self._complaint, after):
                    for message in page:
                        after = message.sequence
                        news.read(message.body)
                        gone = message.headers.get(Header.KV_OPERATION) in _GONE
                        key = message.subject.removeprefix(self._write)
                        yield Item(key, b"" if gone else message.body, after)
                if not whole:
                    whole = True
                    yield None
                await news.wait()
