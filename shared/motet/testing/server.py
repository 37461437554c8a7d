"""A NATS server that a test kills, pauses and starts again, and a line to it that a test cuts."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self

from motet.embedded.nats import NatsServer
from motet.embedded.processes import OwnedProcess, ProcessOwner

__all__ = ["Line", "TestServer", "test_server"]

_HOST = "127.0.0.1"
_CHUNK_BYTES = 64 * 1024


class TestServer:
    """A server of the test's own. Port and store are the same after each start."""

    __test__ = False  # pytest must not collect it

    def __init__(self, server: NatsServer, process: OwnedProcess) -> None:
        self._server = server
        self._process = process
        self.url = server.url
        """Where clients find it."""

    async def kill(self) -> None:
        """Ends it as `kill -9` does."""
        self._process.signal(signal.SIGKILL)
        await self._process.wait()

    async def start(self) -> None:
        """Starts it again, on the port and the store that it had; not if it runs."""
        if self._process.running:
            return
        self._process = await self._server.start()

    async def restart(self) -> None:
        """Kills it and starts it again."""
        await self.kill()
        await self.start()

    def pause(self) -> None:
        """Stops it where it is: connections stay, nothing answers."""
        self._process.signal(signal.SIGSTOP)
        # Its threads stop one by one, and an answer may still come from the last.
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)

    def resume(self) -> None:
        """Lets it go on after `pause`."""
        self._process.signal(signal.SIGCONT)


@asynccontextmanager
async def test_server(folder: Path) -> AsyncGenerator[TestServer]:
    """Runs a server with JetStream, its store in `folder`, for as long as the block lasts."""
    async with ProcessOwner(grace_s=2) as owner:
        server = NatsServer(owner, folder)
        control = TestServer(server, await server.start())
        try:
            yield control
        finally:
            control.resume()


test_server.__test__ = False  # type: ignore[attr-defined]  # pytest must not collect it


class Line:
    """A TCP line to a server, to be put between it and a client: it can be cut, held and slowed.

    async with Line.to(server.url) as line:
        async with test_mesh(line.url, folder) as mesh: ...
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._port = 0
        self._connections: set[asyncio.Task[Any]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.delay_s = 0.0
        """Seconds that each piece of data is late, in both directions."""
        self.url = ""
        """Where clients find the line."""

    @classmethod
    @asynccontextmanager
    async def to(cls, url: str) -> AsyncGenerator[Self]:
        """A line to the server at `url`."""
        host, _, port = url.removeprefix("nats://").rpartition(":")
        line = cls(host, int(port))
        await line.mend()
        try:
            yield line
        finally:
            await line.cut()

    async def cut(self) -> None:
        """Breaks every connection and refuses new ones, until `mend`."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None
        connections = tuple(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def mend(self) -> None:
        """Lets clients connect, where they did before."""
        if self._server is None:
            self._server = await asyncio.start_server(self._connected, _HOST, self._port)
            self._port = self._server.sockets[0].getsockname()[1]
            self.url = f"nats://{_HOST}:{self._port}"

    def hold(self) -> None:
        """Passes nothing on until `release`; connections stay."""
        self._flowing.clear()

    def release(self) -> None:
        """Passes on what was held, and what comes."""
        self._flowing.set()

    async def _connected(
        self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        connection = asyncio.create_task(self._carry(client, to_client))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _carry(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        writers = [to_client]
        pumps: list[asyncio.Task[None]] = []
        try:
            server, to_server = await asyncio.open_connection(*self._target)
            writers.append(to_server)
            pumps.append(asyncio.create_task(self._pump(client, to_server)))
            pumps.append(asyncio.create_task(self._pump(server, to_client)))
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            pass  # the server is not there, and the client will see that
        finally:
            for pump in pumps:
                pump.cancel()
            for writer in writers:
                writer.transport.abort()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(_CHUNK_BYTES):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                await self._flowing.wait()
                sink.write(data)
                await sink.drain()
