"""A cluster of NATS servers, each of which a test kills, pauses and starts again.

Invariants:

- The servers are real, on loopback, each with a store of its own.
- Who leads is asked of the servers themselves: the leader of a stream is the server that says so
  of itself.
"""

from __future__ import annotations

import asyncio
import json
import socket
import urllib.request
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from motet.embedded.nats import HOST, ClusterMember, NatsServer
from motet.embedded.processes import ProcessOwner
from motet.testing.server import TestServer

__all__ = ["TestCluster", "test_cluster"]

SERVERS = 3

_POLL_S = 0.05
_ANSWERS_WITHIN_S = 2.0


class TestCluster:
    """Servers that share streams. Ports and stores are the same after each start."""

    __test__ = False  # pytest must not collect it

    def __init__(self, members: dict[str, tuple[NatsServer, TestServer]]) -> None:
        self._members = members
        self.servers = [control for _, control in members.values()]
        """Each server, to kill, to pause and to start again."""
        self.url = ",".join(server.url for server in self.servers)
        """Where clients find them: all addresses, separated by commas."""

    async def healthy(self, *, within_s: float = 60) -> None:
        """Waits until every server has all its streams and consumers, and is up to date.

        Raises:
            TimeoutError: One of them is not in time, or does not run.
        """
        await self._reached(self._all_healthy, within_s)

    async def leader(
        self, stream: str, consumer: str | None = None, *, within_s: float = 60
    ) -> TestServer:
        """The server that leads a stream, or one of its consumers, once there is one.

        Args:
            stream: The stream's full name.
            consumer: The consumer's name.
            within_s: Seconds to wait for it.

        Raises:
            TimeoutError: None does in time.
        """

        def leads(name: str, answer: dict[str, Any]) -> bool:
            for account in answer.get("account_details", ()):
                for found in account.get("stream_detail", ()):
                    if found["name"] != stream:
                        continue
                    if consumer is None:
                        return bool(found.get("cluster", {}).get("leader") == name)
                    return any(
                        each["name"] == consumer and each.get("cluster", {}).get("leader") == name
                        for each in found.get("consumer_detail", ())
                    )
            return False

        return await self._found("/jsz?consumers=true", leads, within_s)

    async def meta_leader(self, *, within_s: float = 30) -> TestServer:
        """The server that decides where streams and consumers are, once there is one.

        Raises:
            TimeoutError: None does in time.
        """
        return await self._found(
            "/jsz",
            lambda name, answer: answer.get("meta_cluster", {}).get("leader") == name,
            within_s,
        )

    async def _found(
        self, path: str, leads: Callable[[str, dict[str, Any]], bool], within_s: float
    ) -> TestServer:
        async with asyncio.timeout(within_s):
            while True:
                for name, (server, control) in self._members.items():
                    answer = await _ask(server.monitor_url + path)
                    if answer is not None and leads(name, answer):
                        return control
                await asyncio.sleep(_POLL_S)

    async def _all_healthy(self) -> bool:
        for server, _ in self._members.values():
            if await _ask(f"{server.monitor_url}/healthz") is None:
                return False
        return True

    async def _reached(self, state: Callable[[], Any], within_s: float) -> None:
        # A server tells nobody that it is healthy again.
        async with asyncio.timeout(within_s):
            while not await state():  # noqa: ASYNC110
                await asyncio.sleep(_POLL_S)


@asynccontextmanager
async def test_cluster(folder: Path) -> AsyncGenerator[TestCluster]:
    """Runs three servers as a cluster, their stores in `folder`, for as long as the block lasts."""
    ports = _free_ports(SERVERS)
    async with ProcessOwner(grace_s=2) as owner:
        members: dict[str, tuple[NatsServer, TestServer]] = {}
        for number, port in enumerate(ports):
            name = f"nats-{number}"
            server = NatsServer(owner, folder / name, member=ClusterMember(name, port, ports))
            members[name] = server, TestServer(server, await server.start())
        cluster = TestCluster(members)
        try:
            await cluster.meta_leader()
            await cluster.healthy()
            yield cluster
        finally:
            for control in cluster.servers:
                control.resume()


test_cluster.__test__ = False  # type: ignore[attr-defined]  # pytest must not collect it


def _free_ports(count: int) -> tuple[int, ...]:
    """Ports that nobody listens on. Servers of a cluster must know each other's beforehand."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((HOST, 0))
        return tuple(each.getsockname()[1] for each in sockets)
    finally:
        for each in sockets:
            each.close()


async def _ask(url: str) -> dict[str, Any] | None:
    """What a server answers; None when it does not, or is not well."""

    def ask() -> dict[str, Any] | None:
        try:
            with urllib.request.urlopen(url, timeout=_ANSWERS_WITHIN_S) as answer:  # noqa: S310
                found: dict[str, Any] = json.load(answer)
        except (OSError, ValueError):
            return None
        return found

    return await asyncio.to_thread(ask)
