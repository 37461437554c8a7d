"""What an agent's process tells those who ask over HTTP whether it lives and takes work."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from motet.bus import Bus
from motet.bus.provisioning import provision
from motet.settings import Settings
from motet.telemetry import setup
from motet.testing.server import TestServer, test_server
from tests.integration.embedded_agents import ECHO, write

pytestmark = pytest.mark.timeout(60)

LOCKED = """
    from contextlib import asynccontextmanager

    from motet.agent import Agent
    from motet.errors import SetupError

    @asynccontextmanager
    async def lifespan():
        raise SetupError("The store is locked by process 17: stop it first.")
        yield

    agent = Agent("locked", "Never starts", lifespan=lifespan)
"""


STORE = """
    import os
    from contextlib import asynccontextmanager
    from pathlib import Path

    from motet.agent import Agent
    from motet.errors import NotYetError

    @asynccontextmanager
    async def lifespan():
        if not Path(os.environ["STORE"]).exists():
            raise NotYetError("The store does not answer: start it.")
        yield

    agent = Agent("store", "Starts when its store is there", lifespan=lifespan)
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as made:
        port: int = made.getsockname()[1]
        return port


@asynccontextmanager
async def process(
    folder: Path, name: str, url: str, port: int, **variables: str
) -> AsyncGenerator[Process]:
    """An agent's own process, with its probes on `port`."""
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"test_{name}"),
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)]),
            "MOTET_NATS_URL": url,
            "MOTET_HEALTH_PORT": str(port),
            "MOTET_LOG_FORMAT": "json",
            **variables,
        },
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.communicate()


async def until(url: str, status: int) -> None:
    """Asks until the answer has the status."""
    async with httpx.AsyncClient(timeout=5) as client:
        while True:
            try:
                if (await client.get(url)).status_code == status:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)  # a process gives no event when it serves


async def provisioned(server: TestServer) -> None:
    settings = Settings(nats_url=server.url)
    async with Bus.open(settings, setup("test", settings)) as bus:
        await provision(bus.js, bus.topology)


async def test_ready_means_that_calls_are_taken_and_nats_answers(tmp_path: Path) -> None:
    write(tmp_path / "agents", echo=ECHO)
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    async with (
        test_server(tmp_path / "nats") as server,
        process(tmp_path / "agents", "echo", server.url, port) as agent,
    ):
        await until(f"{address}/health", 204)
        await until(f"{address}/ready", 503)  # nothing is provisioned yet
        await provisioned(server)
        await until(f"{address}/ready", 204)
        await until(f"{address}/other", 404)
        server.pause()
        await until(f"{address}/ready", 503)
        await until(f"{address}/health", 204)
        server.resume()
        await until(f"{address}/ready", 204)
        agent.send_signal(signal.SIGTERM)
        assert await agent.wait() == 0
        assert agent.stderr is not None
        said = (await agent.stderr.read()).decode()
        assert all(line.startswith("{") for line in said.splitlines()), said


async def test_an_agent_that_starts_before_nats_waits_for_it(tmp_path: Path) -> None:
    write(tmp_path / "agents", echo=ECHO)
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    async with test_server(tmp_path / "nats") as server:
        await provisioned(server)
        await server.kill()
        async with process(tmp_path / "agents", "echo", server.url, port) as agent:
            assert agent.stderr is not None
            async for line in agent.stderr:
                if b"No NATS server answers" in line:
                    break
            await until(f"{address}/health", 204)
            await until(f"{address}/ready", 503)
            await server.start()
            await until(f"{address}/ready", 204)
            assert agent.returncode is None


async def test_an_agent_that_waits_can_be_told_to_stop(tmp_path: Path) -> None:
    write(tmp_path / "agents", echo=ECHO)
    nowhere = "nats://127.0.0.1:9"
    async with process(tmp_path / "agents", "echo", nowhere, free_port()) as agent:
        assert agent.stderr is not None
        async for line in agent.stderr:
            if b"No NATS server answers" in line:
                break
        agent.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            _, said = await agent.communicate()
    assert agent.returncode == 0
    assert b"Traceback" not in said


async def test_an_agent_waits_for_what_its_lifespan_needs(tmp_path: Path) -> None:
    write(tmp_path / "agents", store=STORE)
    port, store = free_port(), tmp_path / "store"
    async with test_server(tmp_path / "nats") as server:
        await provisioned(server)
        async with process(
            tmp_path / "agents", "store", server.url, port, STORE=str(store)
        ) as agent:
            assert agent.stderr is not None
            async for line in agent.stderr:
                if b"The store does not answer" in line:
                    break
            store.touch()
            await until(f"http://127.0.0.1:{port}/ready", 204)
            assert agent.returncode is None


async def test_an_agent_does_not_wait_for_ever(tmp_path: Path) -> None:
    write(tmp_path / "agents", store=STORE)
    nowhere = str(tmp_path / "none")
    async with test_server(tmp_path / "nats") as server:
        await provisioned(server)
        async with process(
            tmp_path / "agents",
            "store",
            server.url,
            free_port(),
            STORE=nowhere,
            MOTET_START_WITHIN_S="0.1",
        ) as agent:
            _, said = await agent.communicate()
    assert agent.returncode == 2
    assert said.decode().splitlines()[-1] == "store: The store does not answer: start it."


async def test_a_mistake_of_set_up_is_one_sentence(tmp_path: Path) -> None:
    write(tmp_path / "agents", locked=LOCKED)
    async with test_server(tmp_path / "nats") as server:
        await provisioned(server)
        async with process(tmp_path / "agents", "locked", server.url, free_port()) as agent:
            _, said = await agent.communicate()
    assert agent.returncode == 2
    assert "Traceback" not in said.decode()
    assert "The store is locked by process 17: stop it first." in said.decode()


async def test_a_port_that_is_taken(tmp_path: Path) -> None:
    write(tmp_path / "agents", echo=ECHO)
    with socket.create_server(("0.0.0.0", 0)) as other:
        port = other.getsockname()[1]
        async with process(tmp_path / "agents", "echo", "nats://127.0.0.1:9", port) as agent:
            _, said = await agent.communicate()
    assert agent.returncode == 2
    assert f"MOTET_HEALTH_PORT={port} cannot be served (Address already in use)" in said.decode()
