"""A backup of a mesh at work: on an empty server, everything that was accepted ends, and once."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from motet.bus import TASK_CALL, TaskBook, lost_tasks, provision
from motet.bus.backups import back_up
from motet.bus.consumer import Consumer
from motet.bus.restores import restore
from motet.messages import TaskState
from motet.testing import Flaky, TestMesh, TestServer, test_mesh, test_server, with_fault
from tests.integration.bus.agents import Done, echo, worker
from tests.integration.bus.restoring import (
    World,
    answer,
    ends,
    forget_ids,
    held_at,
    outcomes,
    signed_on,
    untold,
)

pytestmark = pytest.mark.timeout(150)

CLIENTS = 12
PATIENCE_S = 60


@pytest.fixture
async def empty(tmp_path: Path) -> AsyncIterator[TestServer]:
    """A server that has nothing."""
    async with test_server(tmp_path / "empty") as server:
        yield server


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lost tasks are looked for after two seconds, and not after half a minute."""
    monkeypatch.setattr(lost_tasks, "GRACE", timedelta(seconds=2))
    monkeypatch.setattr(lost_tasks, "SWEEP_S", 0.5)


async def test_agents_that_stayed_do_nothing_twice(
    nats_server: TestServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They meet a queue that is only partly restored, and messages that are as good as new."""
    runs, asked = Flaky(), asyncio.Event()
    ask = Consumer._ask_connected

    async def ask_and_tell(consumer: Consumer) -> None:
        await ask(consumer)
        asked.set()

    monkeypatch.setattr(Consumer, "_ask_connected", ask_and_tell)
    async with test_mesh(nats_server.url, tmp_path / "one", ack_wait_s=1) as mesh:
        agent = with_fault(worker(echo), "work", runs)
        calls, consumer = mesh.bus.topology.stream("CALLS"), "worker-work"
        await mesh.leave(await mesh.join(agent))
        for _ in range(40):
            await mesh.bus.store(mesh.bus.topology.call("nobody", "work"), os.urandom(100_000))
        call = asyncio.create_task(mesh.motet.call("worker.work", {"text": "x"}, Done))
        await mesh.filled("CALLS", least=41)

        async with held_at(nats_server.url, mesh, "copying", "CALLS", 1) as backing:
            backup = asyncio.create_task(back_up(backing.bus, tmp_path / "backup", backing.told))
            await backing.reached.wait()
            await mesh.join(agent)
            assert await call == Done(text="x")
            backing.line.release()
            await backup
        assert runs.runs == 1

        await nats_server.kill()
        shutil.rmtree(tmp_path / "nats" / "jetstream")
        asked.clear()
        await nats_server.start()
        async with held_at(nats_server.url, mesh, "restoring", "CALLS", 2_000_000) as restoring:
            folder = tmp_path / "backup"
            restore_ = asyncio.create_task(restore(restoring.bus, folder, restoring.told))
            await restoring.reached.wait()
            async with asyncio.timeout(4):
                await asked.wait()
            restoring.line.release()
            await restore_

        async with asyncio.timeout(PATIENCE_S):
            while (info := await mesh.bus.js.consumer_info(calls, consumer)).num_pending or (
                info.num_ack_pending
            ):
                pass
    assert runs.runs == 1


class Load:
    """Clients that submit one task after another. Those of two of them never end."""

    def __init__(self, mesh: TestMesh) -> None:
        self._mesh = mesh
        self._changed = asyncio.Event()
        self._clients: list[asyncio.Task[None]] = []
        self.goals: dict[str, str] = {}
        """Of each task that was accepted, by its id."""

    def start(self) -> None:
        """Begins."""
        self._clients = [asyncio.create_task(self._run(number)) for number in range(CLIENTS)]

    async def stop(self) -> None:
        """Submits no more."""
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    async def _run(self, client: int) -> None:
        while True:
            goal = f"{len(self.goals)}-{client}"
            task = await self._mesh.motet.submit(goal)
            self.goals[task.id] = goal
            self._changed.set()
            await task.result(PATIENCE_S)

    async def accepted(self, count: int) -> None:
        """Waits until so many tasks were accepted."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.goals) < count:
                self._changed.clear()
                await self._changed.wait()


async def test_what_was_accepted_ends_once_and_nothing_is_done_twice(
    nats_server: TestServer, empty: TestServer, tmp_path: Path
) -> None:
    before, after = World(held=("0/2", "1/3")), World()
    async with test_mesh(nats_server.url, tmp_path / "one", ack_wait_s=2) as mesh:
        settings = mesh.settings
        for agent in before.agents():
            await mesh.join(agent)
        load = Load(mesh)
        load.start()
        await load.accepted(5 * CLIENTS)
        accepted = dict(load.goals)
        await back_up(mesh.bus, tmp_path / "backup", untold)
        await load.accepted(len(load.goals) + CLIENTS)
        await load.stop()

    async with signed_on(empty.url, settings) as bus:
        await restore(bus, tmp_path / "backup", untold)
        assert await provision(bus.js, bus.topology) == []
        await forget_ids(bus)
        stored = await outcomes(bus)
        standing = {record.id: record for record in await TaskBook(bus).list()}

    assert any(not standing[task].state.terminal for task in accepted if task in standing)
    async with test_mesh(
        empty.url, tmp_path / "two", ack_wait_s=2, namespace=settings.namespace
    ) as mesh:
        for agent in after.agents():
            await mesh.join(agent)
        for task, goal in accepted.items():
            record = await mesh.motet.task(task).result(PATIENCE_S)
            assert record.state == TaskState.SUCCEEDED, record
            assert record.answer == answer(goal)
        for record in await mesh.motet.tasks():
            ended = await mesh.motet.task(record.id).result(PATIENCE_S)
            was = standing.get(record.id)
            assert was is None or not was.state.terminal or was == ended
            await mesh.outcome(record.id, TASK_CALL)
        await mesh.drained("TASKS")
        await mesh.drained("CALLS")
        told = await ends(mesh.bus)
        assert {told[record.id] for record in await mesh.motet.tasks()} == {1}

    assert after.effects
    assert not stored & after.effects.keys()
    assert set(after.effects.values()) == {1}
