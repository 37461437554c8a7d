"""Changes: what a stream was given since its snapshot was begun, read while it is given more.

A server from 2.15 on makes a snapshot while the stream is used, and what leaves the stream
meanwhile may be missing in it: of a bucket each key that is written anew before the server has come
to it, with its old value and the new one.

Invariants:

- With the snapshot, this is a value of each key that there is, none older than the moment at which
  it began.
- It comes to an end, unless the stream is given messages faster than these are read, which is some
  thousand a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from motet.bus.archives import ArchivedMessage
from motet.bus.connection import Bus
from motet.bus.pages import pages
from motet.bus.stream_api import StreamApi, unavailable

__all__ = ["Changes"]

READS = 16
"""Messages that are read at once."""

ROUNDS = 8
"""How often it is looked whether what left a stream before it was read is there again."""

_BEHIND_S = 0.1


class Changes:
    """Reads what streams were given."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._api = StreamApi(bus)

    async def since(
        self, stream: str, after: int, *, latest: bool
    ) -> AsyncGenerator[list[ArchivedMessage]]:
        """What a stream was given since a snapshot, in its order, a few messages at a time.

        With the snapshot it is a value of each key that there is, none older than the moment at
        which this began. For what left the stream before it was read, made room for what is read
        later; and what changes all the time is asked for by its key.

        Messages are found in pages, at the server's speed, and then read one by one: a page's
        headers are not those that were stored.

        Args:
            stream: Which.
            after: Up to where the snapshot goes.
            latest: Whether it is a bucket, which holds one message a key.

        Raises:
            FaultError: `unavailable`.
        """
        complaint, moved = f"Stream {stream!r} cannot be read", set[str]()
        # A page may come from a copy that is behind the one that gave the page before.
        least = 2 if self._bus.clustered else 1
        behind = False
        for round_ in range(1, ROUNDS + 1):
            end = await self._api.last_sequence(stream)
            if end < after:
                raise unavailable(f"{complaint}: it has lost messages, for its server died.")
            async for page in pages(self._bus, stream, ">", complaint, after):
                found = await self._stored(stream, [each.sequence for each in page])
                after = page[-1].sequence
                moved |= {each.subject for each in page}
                moved -= {message.subject for message in found}
                if found:
                    yield found
            behind = await self._holds(stream, after + 1, end)
            if not moved and not behind and round_ >= least:
                return
            await asyncio.sleep(_BEHIND_S)
        if behind:
            raise unavailable(f"{complaint}: a copy of it is behind.")
        newest = [await self._api.message(stream, last_by_subj=each) for each in sorted(moved)]
        found = [each for each in newest if each is not None and each.sequence > after]
        if latest and found:
            yield sorted(found, key=lambda message: message.sequence)

    async def _stored(self, stream: str, sequences: list[int]) -> list[ArchivedMessage]:
        """Those of some messages that a stream holds still, in their order."""
        found: list[ArchivedMessage] = []
        for at in range(0, len(sequences), READS):
            reading = (self._api.message(stream, seq=each) for each in sequences[at : at + READS])
            found += [each for each in await asyncio.gather(*reading) if each is not None]
        return found

    async def _holds(self, stream: str, first: int, end: int) -> bool:
        """Whether a stream's leader holds a message between two sequences, both among them."""
        if first > end:
            return False
        message = await self._api.message(stream, seq=first, next_by_subj=">")
        return message is not None and message.sequence <= end
