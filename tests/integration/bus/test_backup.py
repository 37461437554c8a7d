"""Backups: what streams hold comes back, and goes on from where it was."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from motet.bus import Bucket, Bus, Schedules
from motet.bus.backups import back_up, stream_names
from motet.bus.manifest import ARCHIVE, Manifest
from motet.bus.restores import AHEAD, restore
from motet.messages import Answer, Schedule, Task
from motet.testing import TestMesh, TestServer, test_mesh, test_server
from tests.integration.bus.agents import planner, worker
from tests.integration.bus.questions import ask_city, asked, one_step, respond
from tests.integration.bus.restoring import held_at, signed_on, untold
from tests.tools.built import built
from tests.unit.bus.test_archives import read


@pytest.fixture
async def empty(tmp_path: Path) -> Any:
    """A server that has nothing."""
    async with test_server(tmp_path / "another") as server:
        yield server


async def held(bus: Bus, stream: str) -> list[dict[str, Any]]:
    """All that a stream holds, as its leader says it."""
    found: list[dict[str, Any]] = []
    sequence = 0
    while True:
        asked = json.dumps({"seq": sequence + 1, "next_by_subj": ">"}).encode()
        answer = json.loads((await bus.request(f"$JS.API.STREAM.MSG.GET.{stream}", asked)).data)
        if "error" in answer:
            return found
        found.append(answer["message"])
        sequence = answer["message"]["seq"]


async def test_all_that_streams_hold_comes_back(
    mesh: TestMesh, empty: TestServer, tmp_path: Path
) -> None:
    bus, names = mesh.bus, stream_names(mesh.bus.topology)
    tasks, results = Bucket(bus, "tasks"), Bucket(bus, "results")
    for number in range(200):
        await tasks.put(f"task-{number}", json.dumps({"n": number, "text": "said " * 50}).encode())
        await results.put(f"t.{number}", os.urandom(3000))
    for number in range(0, 200, 3):
        await tasks.put(f"task-{number}", b"later", ttl_s=3600)
    await tasks.delete("task-7")
    for number in range(5):
        await bus.store(bus.topology.event("t", "state"), b"e", {"a": f"{number}", "b": "ü"})
    before = {short: await held(bus, name) for short, name in names.items()}

    await back_up(bus, tmp_path / "backup", untold)
    async with signed_on(empty.url, mesh.settings) as restored:
        await restore(restored, tmp_path / "backup", untold)
        for short, name in names.items():
            assert await held(restored, name) == before[short], short
        assert (await Bucket(restored, "tasks").get("task-7")) is None
        stored = await restored.store(restored.topology.event("t", "state"), b"next")
        assert stored.sequence == 5 + AHEAD + 1


async def test_a_compressed_archive_is_read_to_its_end(mesh: TestMesh, tmp_path: Path) -> None:
    """As the server compresses it, with copies from far and near, and repeats."""
    events, text = mesh.bus.topology.event("t", "progress"), "the quick brown fox jumps over "
    for number in range(120):
        body = "".join(text[(number + each) % 20 :] * (each % 7) for each in range(900))
        await mesh.bus.store(events, json.dumps({"n": number, "text": body}).encode())
        await mesh.bus.store(events, b"a" * number * 1000)
    await back_up(mesh.bus, tmp_path / "backup", untold)
    name = mesh.bus.topology.stream("EVENTS")
    data = (tmp_path / "backup" / name / ARCHIVE).read_bytes()
    _, messages = read(data)
    stored = await held(mesh.bus, name)
    assert len(data) * 10 < sum(len(message.body) for message in messages)
    assert [(message.sequence, message.body) for message in messages] == [
        (each["seq"], base64.b64decode(each.get("data", ""))) for each in stored
    ]


async def changed_meanwhile(mesh: TestMesh, folder: Path) -> Manifest:
    """Backs up a mesh of which two buckets change while one of them is copied."""
    checkpoints, results = Bucket(mesh.bus, "checkpoints"), Bucket(mesh.bus, "results")
    for number in range(96):
        await checkpoints.put(f"key-{number}", os.urandom(256 * 1024))
    # What comes then is confirmed to nobody, so that the server waits.
    async with held_at(mesh.settings.nats_url, mesh, "copying", "checkpoints", 1) as held:
        backup = asyncio.create_task(back_up(held.bus, folder, held.told))
        await held.reached.wait()
        late = [f"key-{number}" for number in range(64, 96)]
        for key in late:
            await checkpoints.put(key, b"between")
        for key in late[::2]:
            await checkpoints.put(key, b"last")
        await checkpoints.delete(late[0])
        await results.put("t.c", b"the first one")
        held.line.release()
        return await backup


async def test_keys_that_change_while_their_bucket_is_copied_are_in_the_backup(
    mesh: TestMesh, empty: TestServer, tmp_path: Path
) -> None:
    """A server leaves them out: with the old value and the new one, seen with NATS 2.15.1."""
    manifest = await changed_meanwhile(mesh, tmp_path / "backup")
    names = stream_names(mesh.bus.topology)
    copied = {stream.name: stream for stream in manifest.streams}
    assert copied[names["checkpoints"]].changes == 32
    assert copied[names["results"]].messages == 0
    assert copied[names["results"]].changes == 1
    before = {short: await held(mesh.bus, name) for short, name in names.items()}
    async with signed_on(empty.url, mesh.settings) as restored:
        await restore(restored, tmp_path / "backup", untold)
        for short, name in names.items():
            assert await held(restored, name) == before[short], short
        items = {item.key: item.value for item in await Bucket(restored, "checkpoints").items()}
    assert len(items) == 95
    assert items["key-65"] == b"between"
    assert items["key-66"] == b"last"


async def test_the_command_nats_takes_it(mesh: TestMesh, empty: TestServer, tmp_path: Path) -> None:
    """It finds every archive whole, and brings the streams back."""
    nats = built("nats") / "nats"
    manifest = await changed_meanwhile(mesh, tmp_path / "backup")
    before = {stream.name: await held(mesh.bus, stream.name) for stream in manifest.streams}
    for stream in manifest.streams:
        folder = str(tmp_path / "backup" / stream.name)
        await run(nats, "backup", "validate", folder)
        await run(nats, "--server", empty.url, "backup", "restore", "stream", folder)
    async with signed_on(empty.url, mesh.settings) as restored:
        for name, messages in before.items():
            assert await held(restored, name) == messages, name


async def run(*command: str | Path) -> None:
    """Runs a command that must succeed."""
    ran = await asyncio.create_subprocess_exec(
        *map(str, command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await ran.communicate()
    assert ran.returncode == 0, out.decode()


async def test_ids_that_were_given_after_the_backup_are_not_given_again(
    mesh: TestMesh, empty: TestServer, tmp_path: Path
) -> None:
    """A bare task's id is made of its number in the stream."""

    async def submitted(bus: Bus) -> int:
        return (await bus.store(bus.topology.task_submit, b'{"goal": "g"}')).sequence

    before = [await submitted(mesh.bus) for _ in range(3)]
    await back_up(mesh.bus, tmp_path / "backup", untold)
    lost = [await submitted(mesh.bus) for _ in range(3)]
    async with signed_on(empty.url, mesh.settings) as bus:
        await restore(bus, tmp_path / "backup", untold)
        after = [await submitted(bus) for _ in range(3)]
    assert not {*before, *lost} & {*after}


async def test_waiting_tasks_and_schedules_go_on(
    mesh: TestMesh, empty: TestServer, tmp_path: Path
) -> None:
    agents = [worker(ask_city), planner(one_step)]
    running = [await mesh.join(agent) for agent in agents]
    task = await mesh.motet.submit("go")
    (question,) = await asked(mesh, task.id)
    daily = Schedule(id="daily", task=Task(goal="again"), every_s=24 * 3600)
    await Schedules(mesh.bus).add(daily)
    for each in running:
        await mesh.leave(each)
    await back_up(mesh.bus, tmp_path / "backup", untold)

    async with signed_on(empty.url, mesh.settings) as bus:
        await restore(bus, tmp_path / "backup", untold)
    namespace = mesh.settings.namespace
    async with test_mesh(empty.url, tmp_path / "two", namespace=namespace) as restored:
        for agent in agents:
            await restored.join(agent)
        await restored.motet.reply(respond(question))
        record = await restored.motet.task(task.id).result(30)
        assert record.answer == Answer(text="to Oslo")
        assert [each.id for each in await Schedules(restored.bus).list()] == ["daily"]
