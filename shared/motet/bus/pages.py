"""Pages: reading what a stream holds in batches, without a consumer.

A stream takes a thousand consumers at most, and each of them costs the server; a page costs one
request. This is JetStream's batched direct get (NATS ADR-31).

Invariants:

- A page holds the next messages in the stream's order, with none left out between two of them: each
  one names the one before it, and a page in which one is missing is read again.
- What has left the stream is passed over.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from functools import partial

from nats.aio.msg import Msg
from nats.js.errors import NotFoundError, ServiceUnavailableError

from motet.bus import connection
from motet.bus.connection import Bus
from motet.bus.topology import Header

__all__ = ["NO_MESSAGE", "PAGE_MESSAGES", "Page", "StoredMessage", "holds", "pages", "read_page"]

PAGE_MESSAGES = 256
"""Messages that are asked for at once."""

PAGE_BYTES = 1 << 20
"""Bytes after which a page ends, though not before its first message."""

NO_MESSAGE = 10037
"""NATS's error code for a message that is not there; a stream that is not there has another."""

_NOT_FOUND = "404"
_END_OF_BATCH = "204"


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message with its place in the stream."""

    sequence: int
    subject: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """A few messages of a stream, the oldest first."""

    messages: list[StoredMessage]
    more: bool
    """Whether the stream held more when this was read."""


async def read_page(bus: Bus, stream: str, subject: str, after: int) -> Page:
    """The next messages of a stream after a sequence, at most `PAGE_MESSAGES`.

    Args:
        bus: The connection.
        stream: The stream's full name.
        subject: Which messages; `*` and `>` select.
        after: A sequence; 0 for the beginning.

    Raises:
        TimeoutError: Not all of them came.
        ServiceUnavailableError: The server does not answer yet.
    """
    request = {
        "batch": PAGE_MESSAGES,
        "max_bytes": PAGE_BYTES,
        "seq": after + 1,
        "next_by_subj": subject,
    }
    answers = await bus.replies.collect(
        f"$JS.API.DIRECT.GET.{stream}",
        json.dumps(request).encode(),
        _is_last,
        connection.ATTEMPT_TIMEOUT_S,
    )
    *messages, end = answers
    ended = end.headers or {}
    if ended.get(Header.STATUS) == _NOT_FOUND:
        return Page([], more=False)
    if ended.get(Header.STATUS) != _END_OF_BATCH:
        status = ended.get(Header.STATUS)
        raise ServiceUnavailableError(code=503, description=f"status {status}")
    last = "0"
    for message in answers:
        headers = message.headers or {}
        if headers[Header.LAST_SEQUENCE] != last:
            raise TimeoutError("some of the messages did not come")
        last = headers.get(Header.SEQUENCE, last)
    return Page([_stored(each) for each in messages], more=ended[Header.PENDING] != "0")


async def pages(
    bus: Bus, stream: str, subject: str, complaint: str, after: int = 0
) -> AsyncGenerator[list[StoredMessage]]:
    """Everything that a stream holds after a sequence, page by page.

    Raises:
        FaultError: `unavailable` when the stream cannot be read, which begins with `complaint`.
    """
    more = True
    while more:
        page = await bus.patiently(partial(read_page, bus, stream, subject, after), complaint)
        if page.messages:
            after = page.messages[-1].sequence
            yield page.messages
        more = page.more


async def holds(bus: Bus, stream: str, sequence: int) -> bool:
    """Whether a stream, by its short name, still holds a message; asked of its leader.

    Raises:
        FaultError: `unavailable` when nobody says so in time.
    """
    name = bus.topology.stream(stream)

    async def find() -> bool:
        try:
            await bus.js.get_msg(name, sequence)
        except NotFoundError as error:
            if error.err_code == NO_MESSAGE:
                return False
            raise
        return True

    return await bus.patiently(find, f"The queue {name} cannot be read")


def _is_last(message: Msg) -> bool:
    # Only what a stream holds has a place in it.
    return Header.SEQUENCE not in (message.headers or {})


def _stored(message: Msg) -> StoredMessage:
    headers = message.headers or {}
    return StoredMessage(
        int(headers[Header.SEQUENCE]), headers[Header.SUBJECT], headers, message.data
    )
