"""An agent that asks a person cannot reply in that person's place, whatever its key may write."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from motet.bus import Bucket, Bus
from motet.errors import FaultError
from motet.messages import ApprovalRecord, Reply, StateChanged, TaskState
from motet.testing import Gate, TestMesh, with_fault
from tests.integration.bus.agents import echo, planner, worker
from tests.integration.bus.questions import ask_city, asked, one_step, respond
from tests.integration.security.secured import SecuredMesh, secured_mesh


@pytest_asyncio.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[SecuredMesh]:
    async with secured_mesh(tmp_path) as made:
        yield made


async def waiting_task(mesh: TestMesh) -> ApprovalRecord:
    """A question that an agent has asked, for which its task waits."""
    await mesh.join(worker(ask_city))
    await mesh.join(planner(one_step))
    task = await mesh.motet.submit("Travel")
    (record,) = await asked(mesh, task.id)
    return record


def forged(record: ApprovalRecord) -> tuple[Reply, bytes]:
    """A reply of nobody's, and the question with it."""
    reply = respond(record, "Rome").model_copy(update={"by": "the boss"})
    return reply, record.model_copy(update={"reply": reply}).model_dump_json().encode()


async def still_open(mesh: SecuredMesh, record: ApprovalRecord) -> bool:
    task = mesh.motet.task(record.task)
    (open_,) = await task.approvals()
    standing = await task.record()
    assert standing is not None
    return open_.reply is None and standing.state == TaskState.WAITING


async def goes_on(mesh: SecuredMesh, record: ApprovalRecord) -> bool:
    """Whether the task goes on with what a person really says."""
    await (await mesh.client("client")).reply(respond(record, "Oslo"))
    ended = await mesh.motet.task(record.task).result(20)
    return ended.answer is not None and ended.answer.text == "to Oslo"


async def test_it_writes_a_reply_into_its_question(mesh: SecuredMesh) -> None:
    record = await waiting_task(mesh)
    agent = await mesh.bus_of("worker")
    await Bucket(agent, "approvals").put(record.key, forged(record)[1])
    assert await still_open(mesh, record)
    assert await goes_on(mesh, record)


async def test_it_writes_the_reply_itself(mesh: SecuredMesh) -> None:
    record = await waiting_task(mesh)
    agent = await mesh.bus_of("worker")
    with pytest.raises(FaultError, match="does not let the user 'worker'"):
        await Bucket(agent, "approvals").put(f"{record.key}.reply", forged(record)[1])
    with pytest.raises(FaultError, match="does not let the user 'worker'"):
        await agent.store("motet.task.resume", forged(record)[0].model_dump_json().encode())
    assert await still_open(mesh, record)
    assert await goes_on(mesh, record)


async def have_the_server_copy(agent: Bus, body: bytes, subject: str) -> None:
    """Has the server publish what an agent may not: it answers a read on any subject."""
    await Bucket(agent, "results").put("mine.mine", body)
    read = "$JS.API.DIRECT.GET.KV_results.$KV.results.mine.mine"
    await agent.client.publish(read, b"", reply=subject)
    await agent.client.flush()


async def test_it_has_the_server_write_the_reply(mesh: SecuredMesh) -> None:
    record = await waiting_task(mesh)
    agent = await mesh.bus_of("worker")
    copied = f"{record.key}.reply"
    await have_the_server_copy(agent, forged(record)[1], f"$KV.approvals.{copied}")
    kept = await Bucket(mesh.bus, "approvals").get(copied)
    assert kept is not None, "the server copies it still"
    assert await still_open(mesh, record)
    assert await goes_on(mesh, record)


async def test_it_has_the_server_resume_the_task(mesh: SecuredMesh) -> None:
    record = await waiting_task(mesh)
    agent = await mesh.bus_of("worker")
    before = (await mesh.bus.js.stream_info("TASKS")).state.last_seq
    body = forged(record)[0].model_dump_json().encode()
    await have_the_server_copy(agent, body, "motet.task.resume")
    assert (await mesh.bus.js.stream_info("TASKS")).state.last_seq == before + 1
    await mesh.drained("TASKS")
    assert await still_open(mesh, record)
    assert await goes_on(mesh, record)


async def test_it_has_the_server_cancel_another_task(mesh: SecuredMesh) -> None:
    record = await waiting_task(mesh)
    agent = await mesh.bus_of("worker")
    body = b'{"task": "%s"}' % record.task.encode()
    await have_the_server_copy(agent, body, "motet.task.cancel")
    await mesh.drained("TASKS")
    assert await still_open(mesh, record)
    assert await goes_on(mesh, record)


async def test_it_has_the_server_say_that_another_task_has_ended(mesh: SecuredMesh) -> None:
    gate = Gate()
    await mesh.join(with_fault(worker(echo), "work", gate))
    await mesh.join(planner(one_step))
    task = await mesh.motet.submit("Travel")
    await gate.wait()
    agent = await mesh.bus_of("worker")
    body = StateChanged(task=task.id, state=TaskState.CANCELLED).model_dump_json().encode()
    with pytest.raises(FaultError, match="does not let the user 'worker'"):
        await agent.store(f"motet.event.{task.id}.state", body)
    await have_the_server_copy(agent, body, f"motet.event.{task.id}.state")
    await mesh.bus.client.flush()
    gate.open()
    assert (await task.result(20)).state == TaskState.SUCCEEDED
