"""Buckets: keys and values with compare-and-set, over one stream a bucket.

Keys are dot-separated tokens. A deleted key is one whose newest value is a delete marker.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from functools import partial

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DeliverPolicy

from motet.bus.connection import Bus, SequenceConflictError
from motet.bus.pages import pages, read_page
from motet.bus.topology import Header
from motet.errors import FaultError
from motet.messages import FaultType

__all__ = ["Bucket", "Item"]

CONNECTION_CHECK_S = 1.0
"""Seconds between two looks at whether the connection was lost and is back."""

CONSUMER_LINGERS_S = 5.0
"""Seconds for which the server keeps a watch whose watcher is gone."""

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
        headers = {Header.KV_OPERATION: "PURGE", Header.ROLLUP: "sub"}
        await self._bus.store(self._write + key, b"", headers, timeout_s=timeout_s)

    async def items(self, prefix: str = "") -> list[Item]:
        """Live values whose keys lie below `prefix`, or all, the oldest first.

        Raises:
            FaultError: `unavailable` when the bucket cannot be read.
        """
        found: dict[str, Item] = {}
        complaint = f"Bucket {self._bucket!r} cannot be read"
        # A bucket keeps one message a key, so that its messages are its values.
        async for page in pages(self._bus, f"KV_{self._bucket}", self._below(prefix), complaint):
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
            partial(read_page, self._bus, f"KV_{self._bucket}", self._below(""), after),
            f"Bucket {self._bucket!r} cannot be read",
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
        empty value. After the connection was lost, all of this begins anew.

        Raises:
            FaultError: `unavailable` when the bucket cannot be read.
        """
        while True:
            async for message in self._messages(prefix):
                if message is None:
                    yield None
                    continue
                gone = (message.headers or {}).get(Header.KV_OPERATION) in _GONE
                key = message.subject.removeprefix(self._write)
                revision = message.metadata.sequence.stream
                yield Item(key, b"" if gone else message.data, revision)

    async def _messages(self, prefix: str) -> AsyncGenerator[Msg | None, None]:
        """What one watch gives, until its connection is lost; None after what was there."""
        connections = self._bus.connections
        complaint = f"Bucket {self._bucket!r} cannot be read"
        subscription = await self._bus.patiently(
            partial(
                self._bus.js.subscribe,
                self._below(prefix),
                stream=f"KV_{self._bucket}",
                ordered_consumer=True,
                config=ConsumerConfig(
                    deliver_policy=DeliverPolicy.LAST_PER_SUBJECT,
                    inactive_threshold=CONSUMER_LINGERS_S,
                ),
            ),
            complaint,
        )
        count, whole = 0, False
        try:
            total = await self._total(subscription, complaint)
            while self._bus.connections == connections:
                if not whole and count >= total:
                    whole = True
                    yield None
                try:
                    message = await subscription.next_msg(timeout=CONNECTION_CHECK_S)
                except (TimeoutError, NatsError):
                    if not whole:
                        # What was counted may have left the bucket since.
                        total = await self._total(subscription, complaint)
                    continue
                count += 1
                yield message
        except FaultError:
            if self._bus.connections == connections:
                raise
        finally:
            if self._bus.client.is_connected:
                await subscription.unsubscribe()

    async def _total(self, subscription: JetStreamContext.PushSubscription, complaint: str) -> int:
        """How many values a consumer gives of those that are there.

        Those that it has sent count, too: this answer may overtake them.
        """
        info = await self._bus.patiently(subscription.consumer_info, complaint)
        return (info.num_pending or 0) + (info.delivered.consumer_seq if info.delivered else 0)
