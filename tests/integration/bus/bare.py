"""A NATS client that is not Motet's, and hardly one at all: the text protocol on a socket.

Protocol: https://docs.nats.io/reference/reference-protocols/nats-protocol
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Self


class BareClient:
    """Speaks as many words of the protocol as the tests need."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._messages: deque[tuple[str, bytes]] = deque()

    @classmethod
    @asynccontextmanager
    async def at(cls, url: str) -> AsyncGenerator[Self]:
        host, _, port = url.removeprefix("nats://").rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=16 << 20)
        assert (await reader.readline()).startswith(b"INFO ")
        writer.write(b'CONNECT {"verbose":false,"pedantic":false,"headers":true}\r\n')
        try:
            yield cls(reader, writer)
        finally:
            writer.close()
            await writer.wait_closed()

    async def publish(self, subject: bytes | str, body: bytes, *, reply: bytes = b"") -> None:
        self._writer.write(b"PUB %s %s %d\r\n%s\r\n" % (_bytes(subject), reply, len(body), body))
        await self._known()

    async def publish_with_headers(
        self, subject: bytes | str, block: bytes, body: bytes, *, reply: bytes = b""
    ) -> None:
        """`block` is everything before the body, `NATS/1.0` and the empty line included."""
        sizes = (len(block), len(block) + len(body))
        line = b"HPUB %s %s %d %d\r\n" % (_bytes(subject), reply, *sizes)
        self._writer.write(line + block + body + b"\r\n")
        await self._known()

    async def subscribe(self, subject: str) -> None:
        self._writer.write(f"SUB {subject} 1\r\n".encode())
        await self._known()

    async def message(self) -> tuple[str, bytes]:
        """The next message: its subject, and its body."""
        while not self._messages:
            await self._read()
        return self._messages.popleft()

    async def _known(self) -> None:
        """Waits until the server has read everything so far."""
        self._writer.write(b"PING\r\n")
        await self._writer.drain()
        while await self._read() != b"PONG":
            pass

    async def _read(self) -> bytes:
        """Reads a line, and the message that belongs to it; returns its first word."""
        async with asyncio.timeout(20):
            words = (await self._reader.readline()).split()
            word = words[0]
            assert word in (b"MSG", b"HMSG", b"PING", b"PONG"), words
            if word == b"PING":
                self._writer.write(b"PONG\r\n")
            if word in (b"MSG", b"HMSG"):
                begin = int(words[-2]) if word == b"HMSG" else 0
                data = await self._reader.readexactly(int(words[-1]) + 2)
                self._messages.append((words[1].decode(), data[begin:-2]))
        return word


def _bytes(subject: bytes | str) -> bytes:
    return subject if isinstance(subject, bytes) else subject.encode()
