"""Making a connection outlast what nats-py 2.16 does not.

Its reading loop ends, without a word to anybody, at whatever is raised within: the connection looks
alive and is deaf until its own pings have failed, half a minute later. Two things raise there:

- a message that cannot be decoded, since its header block is cut short or its subject is not UTF-8;
  any publisher can send one;
- the answer to a `flush` that has given up waiting, as when a server was slow or paused.

The loop's two methods are wrapped on the connection itself, since FastStream makes its own client.
They are private to nats-py: the tests `test_bad_calls.py` and `test_server_loss.py` tell when a
version of it needs no such thing, or another.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from nats.aio.client import Client

__all__ = ["lasting"]

log = logging.getLogger(__name__)


def lasting(connection: Client) -> Client:
    """Lets a connection that once stood reconnect for ever, and never be deaf."""
    connection.options["max_reconnect_attempts"] = -1
    loop: Any = connection
    loop._process_msg = _decoding(loop._process_msg)  # noqa: SLF001
    loop._process_pong = _answering(loop._process_pong)  # noqa: SLF001
    return connection


def _decoding(process: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """A header block that cannot be decoded counts as none, such a subject as no message."""

    async def tolerant(
        sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None
    ) -> None:
        try:
            await process(sid, subject, reply, data, headers)
        except (IndexError, ValueError) as error:
            log.warning("NATS: a message on %r cannot be decoded: %s", subject, error)
            if headers:
                await tolerant(sid, subject, reply, data, None)

    return tolerant


def _answering(process: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    """An answer that nobody waits for any more is dropped."""

    async def tolerant() -> None:
        try:
            await process()
        except asyncio.InvalidStateError:
            log.debug("NATS answered a flush that had given up")

    return tolerant
