"""Upgrades, rollbacks and crashes, with tasks at work: each ends as it should, once.

A retriever or a graph with a store of its own is gone for some seconds while it is replaced, and a
plan that is made meanwhile does without it. So questions are planned before.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from tests.cluster.chart_values import EMBEDDED, Values, restarted, with_press
from tests.cluster.release import PODS, Release
from tests.cluster.tasks import Tasks

pytestmark = [
    pytest.mark.timeout(1500),
    # The NATS client leaves the sockets of a server that is gone to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SERVICES = ("planner", "retriever", "graph-embedded", "tool_executor", "speech", "evaluator")
IMAGES = ("nats:2.15", "motet-test/press:1", *(f"motet/{name}:0.1.0" for name in SERVICES))


@asynccontextmanager
async def at_work(release: Release, values: Values) -> AsyncIterator[Tasks]:
    """The release, installed, with tasks of each kind that have begun."""
    release.add_press()
    await asyncio.to_thread(release.install, values)
    async with release.bus() as bus:
        tasks = Tasks(bus)
        assert not await tasks.motet.wait_for_agents({"planner", "press", "retriever"}, 60)
        await tasks.ingest()
        await tasks.submit("ask")
        assert await tasks.problems() == []
        await tasks.submit("proof", 4, seconds=60)
        await tasks.submit("edition", 3)
        await tasks.submit("ask", 4)
        async with asyncio.timeout(120):
            await tasks.begun()
        yield tasks


def identities(release: Release) -> set[str]:
    """Which pods of the chart run, but for those that are about to end."""
    return {
        pod["metadata"]["uid"]
        for pod in release.objects("pods", "-l", PODS)
        if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]
    }


async def test_tasks_outlive_an_upgrade_and_a_rollback(
    release: Release, images: Callable[..., None]
) -> None:
    images(*IMAGES)
    values = with_press(EMBEDDED)
    async with at_work(release, values) as tasks:
        first = tasks.motet.task(tasks.ids[0])
        before, events = await tasks.evaluated(first.id), await tasks.events(first.id)
        old = identities(release)
        upgrade = asyncio.create_task(asyncio.to_thread(release.upgrade, restarted(values)))
        await tasks.submit("proof", 2, seconds=5)
        await upgrade
        assert not old & identities(release), "a pod was not replaced"
        await tasks.submit("proof", 2, seconds=25)
        back = asyncio.create_task(asyncio.to_thread(release.roll_back, 1))
        await tasks.submit("proof", 2, seconds=5)
        await back
        await tasks.approve()
        assert await tasks.problems() == []
        assert await tasks.repeated()
        assert await first.record() == before
        assert await tasks.events(first.id) == events
    release.warnings()
    assert release.restarts() == {}


async def test_an_agent_of_ones_own_joins_a_release_that_runs(
    release: Release, images: Callable[..., None]
) -> None:
    """It starts before NATS, which is replaced, knows its user: it waits for that."""
    images(*IMAGES)
    release.add_press()
    await asyncio.to_thread(release.install, EMBEDDED)
    await asyncio.to_thread(release.upgrade, with_press(EMBEDDED))
    async with release.bus() as bus:
        tasks = Tasks(bus)
        await tasks.submit("proof", seconds=1)
        assert await tasks.problems() == []
    assert release.restarts() == {}


async def test_tasks_outlive_a_crash_of_each_part(
    release: Release, images: Callable[..., None]
) -> None:
    images(*IMAGES)
    async with at_work(release, with_press(EMBEDDED)) as tasks:
        killed = ("nats", "planner", "retriever", "press", "graph")
        for component in killed:
            await asyncio.to_thread(release.kill, release.pod(component))
            if component in ("nats", "planner"):
                await tasks.submit("ask")
                async with asyncio.timeout(120):
                    await tasks.begun()
        await tasks.approve()
        assert await tasks.problems() == []
        assert await tasks.repeated()
    assert len(release.restarts()) == len(killed)


async def test_a_cluster_of_nats_loses_a_server_and_is_upgraded(
    release: Release, images: Callable[..., None]
) -> None:
    images(*IMAGES)
    values = with_press(EMBEDDED, replicas=3)
    async with at_work(release, values) as tasks:
        async with release.bus("backup") as backup:
            for stream in backup.topology.streams():
                info = await backup.js.stream_info(stream.name or "")
                assert info.config.num_replicas == 3
                assert info.cluster is not None
                assert len(info.cluster.replicas or []) == 2
        await asyncio.to_thread(release.kubectl, "delete", "pod", "motet-nats-1")
        await tasks.submit("ask", 2)
        await tasks.begun()
        old = identities(release)
        upgrade = asyncio.create_task(asyncio.to_thread(release.upgrade, restarted(values)))
        await tasks.submit("proof", 2, seconds=25)
        await upgrade
        assert not old & identities(release), "a pod was not replaced"
        await tasks.approve()
        assert await tasks.problems() == []
        assert await tasks.repeated()
    release.warnings()
    assert release.restarts() == {}
