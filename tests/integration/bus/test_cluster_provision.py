"""The provisioner on a cluster: early, while leaders die, and from one copy to three."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from motet.bus import Bus, ensure_consumer, provision
from motet.errors import SetupError
from motet.settings import Settings
from motet.telemetry import setup
from motet.testing import Gate, TestCluster, TestServer, test_mesh, with_fault
from tests.integration.bus.agents import Done, echo, worker

pytestmark = pytest.mark.timeout(120)


def opened(url: str, folder: Path, copies: int = 3) -> AbstractAsyncContextManager[Bus]:
    settings = Settings(nats_url=url, data_dir=folder, replicas=copies, stream_max_bytes=64 << 20)
    return Bus.open(settings, setup("test", settings))


@pytest.fixture
async def bus(nats_cluster: TestCluster, tmp_path: Path) -> AsyncIterator[Bus]:
    async with opened(nats_cluster.url, tmp_path) as made:
        yield made


async def copies(bus: Bus) -> set[int]:
    """How many copies the streams and their consumers have."""
    found: set[int] = set()
    for stream in await bus.js.streams_info():
        found.add(1 + len((stream.cluster and stream.cluster.replicas) or ()))
        for consumer in await bus.js.consumers_info(stream.config.name or ""):
            found.add(1 + len((consumer.cluster and consumer.cluster.replicas) or ()))
    return found


async def test_it_waits_for_a_leader_and_for_servers(bus: Bus, nats_cluster: TestCluster) -> None:
    one, two, three = nats_cluster.servers
    await one.kill()
    await two.kill()
    await three.restart()
    provisioning = asyncio.create_task(provision(bus.js, bus.topology))
    await asyncio.sleep(1)  # nobody leads yet
    await two.start()
    await nats_cluster.meta_leader()
    assert not provisioning.done()
    await one.start()

    async with asyncio.timeout(60):
        await provisioning
    assert await copies(bus) == {3}
    assert await provision(bus.js, bus.topology) == []


async def test_the_meta_leader_dies_while_it_works(bus: Bus, nats_cluster: TestCluster) -> None:
    provisioning = asyncio.create_task(provision(bus.js, bus.topology))
    leader = await nats_cluster.meta_leader()
    await nats_cluster.leader("TASKS")
    await leader.kill()
    await nats_cluster.meta_leader()
    await leader.start()

    async with asyncio.timeout(80):
        await provisioning
    await nats_cluster.healthy()
    assert await copies(bus) == {3}
    assert await provision(bus.js, bus.topology) == []


async def test_more_copies_than_servers_is_told_in_a_sentence(
    nats_server: TestServer, tmp_path: Path
) -> None:
    async with opened(nats_server.url, tmp_path) as alone:
        with pytest.raises(SetupError, match=r"MOTET_REPLICAS is 3: let as many servers run"):
            await provision(alone.js, alone.topology)


async def test_a_mesh_that_runs_is_given_more_copies(
    nats_cluster: TestCluster, tmp_path: Path
) -> None:
    """As in an upgrade: streams and queues are copied while calls are at work."""
    gate = Gate()
    async with test_mesh(nats_cluster.url, tmp_path, ack_wait_s=4) as mesh:
        await mesh.join(with_fault(worker(echo), "work", gate))
        calls = [
            asyncio.create_task(mesh.motet.call("worker.work", {"text": str(number)}, Done))
            for number in range(20)
        ]
        await gate.wait(20)
        assert await copies(mesh.bus) == {1}

        more = mesh.bus.topology.__class__(mesh.settings.model_copy(update={"replicas": 3}))
        changes = await provision(mesh.bus.js, more)
        assert f"updated stream {mesh.bus.topology.stream('CALLS')}: num_replicas" in changes
        assert await copies(mesh.bus) == {3}
        await ensure_consumer(
            mesh.bus.js, mesh.bus.topology.stream("CALLS"), more.consumer("worker", "work")
        )

        leader = await nats_cluster.leader(mesh.bus.topology.stream("CALLS"))
        await leader.kill()
        gate.open()
        async with asyncio.timeout(60):
            done = await asyncio.gather(*calls)
        assert [each.text for each in done] == [str(number) for number in range(20)]
        await mesh.drained("CALLS", timeout_s=40)
        assert gate.entered == 20
        await leader.start()
        await nats_cluster.healthy()
