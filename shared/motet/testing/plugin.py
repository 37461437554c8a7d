"""Pytest fixtures: put `pytest_plugins = ["motet.testing.plugin"]` into `conftest.py`.

`@pytest.mark.mesh(ack_wait_s=0.5)` gives a test's mesh other settings; any field of
`motet.settings.Settings` can be named.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from motet.testing.cluster import TestCluster, test_cluster
from motet.testing.mesh import TestMesh, test_mesh
from motet.testing.server import TestServer, test_server

__all__ = ["mesh", "mesh_settings", "nats_cluster", "nats_server", "nats_url"]


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known."""
    config.addinivalue_line("markers", "mesh(**settings): settings of the fixture `mesh`.")


@pytest.fixture(scope="session")
def nats_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real NATS server with JetStream, one a test process."""
    folder = tmp_path_factory.mktemp("nats")
    url: list[str] = []
    ready, loop = threading.Event(), asyncio.new_event_loop()
    over = asyncio.Event()

    async def serve() -> None:
        async with test_server(folder) as server:
            url.append(server.url)
            ready.set()
            await over.wait()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        finally:
            ready.set()
            loop.close()

    thread = threading.Thread(target=run, name="nats-server")
    thread.start()
    ready.wait()
    if not url:
        thread.join()
        pytest.fail("the NATS server did not start")
    try:
        yield url[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()


@pytest_asyncio.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[TestServer]:
    """A NATS server of the test's own, to kill and to pause."""
    async with test_server(tmp_path / "nats") as server:
        yield server


@pytest_asyncio.fixture
async def nats_cluster(tmp_path: Path) -> AsyncIterator[TestCluster]:
    """A cluster of NATS servers of the test's own, each of them to kill and to pause."""
    async with test_cluster(tmp_path / "nats") as cluster:
        yield cluster


@pytest.fixture
def mesh_settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What `@pytest.mark.mesh(...)` says; a nearer mark wins."""
    settings: dict[str, Any] = {}
    for mark in request.node.iter_markers("mesh"):
        settings = {**mark.kwargs, **settings}
    return settings


@pytest_asyncio.fixture
async def mesh(
    nats_url: str, tmp_path: Path, mesh_settings: dict[str, Any]
) -> AsyncIterator[TestMesh]:
    """An empty mesh of the test's own, on the server that the tests share."""
    async with test_mesh(nats_url, tmp_path, **mesh_settings) as made:
        yield made
