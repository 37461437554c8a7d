"""Backups from and to clusters: from one server to three and back, and while leaders die."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from pathlib import Path

import pytest

from motet.bus import Bucket, Bus, provision
from motet.bus.backups import Progress, back_up, stream_names
from motet.bus.restores import AHEAD, restore
from motet.errors import FaultError
from motet.messages import TaskState
from motet.testing import TestCluster, TestMesh, TestServer, test_mesh
from tests.integration.bus.restoring import World, answer, outcomes, signed_on, untold

pytestmark = pytest.mark.timeout(150)

TASKS = 8


async def worked(mesh: TestMesh) -> dict[str, str]:
    """Has a mesh do some tasks, and begin others that it cannot end; gives the goals by id."""
    goals: dict[str, str] = {}
    for number in range(TASKS):
        goal = f"{number}-{number % 2}"
        goals[(await mesh.motet.submit(goal)).id] = goal
    for task, goal in goals.items():
        if goal.endswith("-1"):
            assert (await mesh.motet.task(task).result(40)).state == TaskState.SUCCEEDED
    return goals


async def copies(bus: Bus) -> Counter[int]:
    """How many copies streams and consumers have, and how many of them have so many."""
    found: Counter[int] = Counter()
    for stream in await bus.js.streams_info():
        found[1 + len((stream.cluster and stream.cluster.replicas) or ())] += 1
        for consumer in await bus.js.consumers_info(stream.config.name or ""):
            found[1 + len((consumer.cluster and consumer.cluster.replicas) or ())] += 1
    return found


async def goes_on(url: str, folder: Path, like: TestMesh, goals: dict[str, str]) -> None:
    """Sees that every task ends where it was restored, and that no outcome is made again."""
    settings, after = like.settings, World()
    async with signed_on(url, settings) as bus:
        stored = await outcomes(bus)
    replicas = (await replicas_of(url, like)) or 1
    async with test_mesh(
        url, folder, namespace=settings.namespace, replicas=replicas, ack_wait_s=2
    ) as mesh:
        assert await provision(mesh.bus.js, mesh.bus.topology) == []
        for agent in after.agents():
            await mesh.join(agent)
        for task, goal in goals.items():
            assert (await mesh.motet.task(task).result(60)).answer == answer(goal)
        first = await mesh.motet.submit("bare")
        record = await first.record()
        assert record is None or record.sequence > AHEAD
    assert not stored & after.effects.keys()


async def replicas_of(url: str, like: TestMesh) -> int | None:
    async with signed_on(url, like.settings) as bus:
        return (await bus.js.stream_info(bus.topology.stream("TASKS"))).config.num_replicas


async def test_from_one_server_to_three(
    nats_server: TestServer, nats_cluster: TestCluster, tmp_path: Path
) -> None:
    world = World(held=("0/2",))
    async with test_mesh(nats_server.url, tmp_path / "one", ack_wait_s=2) as mesh:
        for agent in world.agents():
            await mesh.join(agent)
        goals = await worked(mesh)
        await back_up(mesh.bus, tmp_path / "backup", untold)
    async with signed_on(nats_cluster.url, mesh.settings, replicas=3) as bus:
        await restore(bus, tmp_path / "backup", untold, replicas=3)
        found = await copies(bus)
        assert found.keys() == {3}
        assert found[3] > len(stream_names(bus.topology))
    leader = await nats_cluster.leader(mesh.bus.topology.stream("CALLS"))
    await leader.kill()
    await nats_cluster.leader(mesh.bus.topology.stream("CALLS"))
    await goes_on(nats_cluster.url, tmp_path / "two", mesh, goals)
    await leader.start()
    await nats_cluster.healthy()


async def test_from_three_servers_to_one(
    nats_server: TestServer, nats_cluster: TestCluster, tmp_path: Path
) -> None:
    world = World(held=("0/2",))
    async with test_mesh(nats_cluster.url, tmp_path / "one", replicas=3, ack_wait_s=2) as mesh:
        for agent in world.agents():
            await mesh.join(agent)
        goals = await worked(mesh)
        await back_up(mesh.bus, tmp_path / "backup", untold)
    async with signed_on(nats_server.url, mesh.settings) as bus:
        with pytest.raises(FaultError, match="`--replicas 1` restores to a single server"):
            await restore(bus, tmp_path / "backup", untold)
        assert await bus.js.streams_info() == []
        await restore(bus, tmp_path / "backup", untold, replicas=1)
    await goes_on(nats_server.url, tmp_path / "two", mesh, goals)


async def test_a_leader_dies_while_its_stream_is_copied(
    nats_cluster: TestCluster, tmp_path: Path
) -> None:
    async with test_mesh(nats_cluster.url, tmp_path, replicas=3) as mesh:
        results = Bucket(mesh.bus, "results")
        for number in range(40):
            await results.put(f"t.{number}", os.urandom(256 * 1024))
        name = stream_names(mesh.bus.topology)["results"]
        leader = await nats_cluster.leader(name)
        dying: list[asyncio.Future[None]] = []

        def told(progress: Progress) -> None:
            if (progress.step, progress.stream) == ("copying", name) and not dying:
                dying.append(asyncio.ensure_future(leader.kill()))

        manifest = await back_up(mesh.bus, tmp_path / "backup", told)
        assert dying
        await leader.start()
        await nats_cluster.healthy()
    (copied,) = [each for each in manifest.streams if each.name == name]
    assert copied.messages == 40
    async with signed_on(nats_cluster.url, mesh.settings) as bus:
        await restore(bus, tmp_path / "backup", untold)
        assert len(await Bucket(bus, "results").items()) == 40
        assert set(await copies(bus)) == {3}
        for stream in stream_names(bus.topology).values():
            await bus.js.delete_stream(stream)
