"""A waiting task goes on although processes, acknowledgements and the server are lost."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from motet.agent import Call
from motet.bus import TASK_CALL, Approvals, TaskBook
from motet.bus.endings import Endings
from motet.errors import FaultError
from motet.messages import Answer, StateChanged, Task, TaskRecord, TaskState
from motet.testing import TestMesh, TestServer, losing_acks, test_mesh
from motet.testing.mesh import runner
from tests.integration.bus.agents import planner, worker
from tests.integration.bus.questions import ask_city, asked, one_step, respond

TRAVELLER = Path(__file__).parent / "waiting_agents.py"


async def test_another_replica_goes_on_after_everything_was_gone(mesh: TestMesh) -> None:
    apps = [await mesh.join(worker(ask_city)), await mesh.join(planner(one_step))]
    task = await mesh.motet.submit("Travel")
    (record,) = await asked(mesh, task.id)
    for app in apps:
        await mesh.leave(app, grace_s=0)
    await mesh.motet.reply(respond(record))
    await mesh.join(worker(ask_city))
    await mesh.join(planner(one_step))

    ended = await task.result(20)
    assert ended.answer is not None, ended.fault
    assert ended.answer.text == "to Oslo"


async def test_another_replica_goes_on_with_a_resumed_run(mesh: TestMesh) -> None:
    entered, gate = asyncio.Event(), asyncio.Event()

    async def plan(task: Task, call: Call) -> Answer:
        answer = await one_step(task, call)
        entered.set()
        await gate.wait()
        return answer

    await mesh.join(worker(ask_city))
    first = await mesh.join(planner(plan))
    task = await mesh.motet.submit("Travel")
    (record,) = await asked(mesh, task.id)
    await mesh.motet.reply(respond(record))
    await entered.wait()
    await mesh.leave(first, grace_s=0)
    await mesh.join(planner(one_step))

    ended = await task.result(20)
    assert ended.answer == Answer(text="to Oslo"), ended.fault
    assert ended.attempts == 2


async def test_the_end_of_a_resumed_run_is_told_by_another_if_need_be(
    mesh: TestMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    conclude, died = Endings.conclude, list[str]()

    async def dying(self: Endings, record: TaskRecord, *args: Any, **more: Any) -> None:
        if not died:
            died.append(record.id)
            raise FaultError.of("unavailable", "It died before it told anybody.")
        await conclude(self, record, *args, **more)

    monkeypatch.setattr(Endings, "conclude", dying)
    await mesh.join(worker(ask_city))
    await mesh.join(planner(one_step))
    task = await mesh.motet.submit("Travel")
    (record,) = await asked(mesh, task.id)
    await mesh.motet.reply(respond(record))

    assert (await mesh.outcome(task.id, TASK_CALL)).ok
    states = [event async for _, event in task.events() if isinstance(event, StateChanged)]
    assert states[-1].state == TaskState.SUCCEEDED
    assert died == [task.id]


async def test_a_reply_whose_writer_died_is_swept_up(mesh: TestMesh) -> None:
    await mesh.join(worker(ask_city))
    await mesh.join(planner(one_step))
    task = await mesh.motet.submit("Travel")
    (record,) = await asked(mesh, task.id)
    await Approvals(mesh.bus).reply(respond(record))
    assert (await task.result(20)).answer == Answer(text="to Oslo")


@pytest.mark.mesh(ack_wait_s=0.5)
async def test_lost_acknowledgements_run_nothing_twice(mesh: TestMesh) -> None:
    runs: list[int] = []

    async def plan(task: Task, call: Call) -> Answer:
        runs.append(call.attempt)
        return await one_step(task, call)

    await mesh.join(worker(ask_city))
    app = await mesh.join(planner(plan))
    async with losing_acks(runner(app).bus) as lost:
        task = await mesh.motet.submit("Travel")
        (record,) = await asked(mesh, task.id)
        await lost.reached(2)
    await mesh.drained("TASKS")
    assert (len(lost), runs) == (2, [1])

    async with losing_acks(runner(app).bus) as lost:
        await mesh.motet.reply(respond(record))
        assert (await task.result(20)).answer == Answer(text="to Oslo")
    await mesh.drained("TASKS")
    assert runs == [1, 1]


async def test_nothing_is_lost_when_everything_is_killed_while_a_task_waits(
    nats_server: TestServer, tmp_path: Path
) -> None:
    packed = {"PACKED": str(tmp_path / "packed")}
    async with test_mesh(nats_server.url, tmp_path) as mesh:
        process = await mesh.spawn("traveller", TRAVELLER, env=packed)
        task = await mesh.motet.submit("Travel")
        (record,) = await asked(mesh, task.id)
        process.signal(signal.SIGKILL)
        await process.wait()
        await nats_server.kill()
        await nats_server.start()
        await mesh.motet.reply(respond(record))
        await mesh.spawn("traveller", TRAVELLER, env=packed)

        ended = await task.result(30)
        assert ended.answer == Answer(text="packed, Monday to Oslo"), ended.fault
    assert len((tmp_path / "packed").read_text().splitlines()) == 1


async def test_an_expiry_whose_writer_died_is_told(mesh: TestMesh) -> None:
    await mesh.join(worker(ask_city))
    app = await mesh.join(planner(one_step))
    task = await mesh.motet.submit("Travel")
    await asked(mesh, task.id)
    await mesh.leave(app, grace_s=0)
    await TaskBook(mesh.bus).change(task.id, state=TaskState.EXPIRED)
    await mesh.join(planner(one_step))

    assert not (await mesh.outcome(task.id, TASK_CALL)).ok
    events = [event async for _, event in task.events()]
    assert isinstance(events[-1], StateChanged)
    assert events[-1].state == TaskState.EXPIRED
