"""A dead letter is what an agent wrote: who replays it does nothing that the agent may not."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from motet.bus import Bus
from motet.bus.topology import Header
from motet.errors import FaultError
from motet.messages import DeadLetter, Fault, FaultType, TaskRecord
from motet.testing import TestMesh
from tests.integration.bus.agents import Order, echo, planner, worker
from tests.integration.bus.questions import ask_city, asked, one_step
from tests.integration.security.secured import SecuredMesh, secured_mesh
from tests.integration.test_readme import planner as answering

FAULT = Fault(type="broken", message="It is broken.")


@pytest_asyncio.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[SecuredMesh]:
    async with secured_mesh(tmp_path) as made:
        yield made


@pytest_asyncio.fixture
async def working(mesh: SecuredMesh) -> SecuredMesh:
    await mesh.join(worker(echo))
    return mesh


def letter(subject: str, body: bytes, **values: Any) -> DeadLetter:
    return DeadLetter(
        subject=subject,
        stream=values.pop("stream", "CALLS"),
        sequence=values.pop("sequence", 1),
        body=base64.b64encode(body).decode(),
        fault=FAULT,
        attempts=1,
        **values,
    )


async def buried(mesh: SecuredMesh, written: bytes, skill: str = "work") -> int:
    """What the agent `worker` puts among the dead letters with its own key."""
    agent: Bus = await mesh.bus_of("worker")
    await agent.store(mesh.bus.topology.dead("worker", skill), written, {})
    return (await mesh.motet.dead(1))[0].sequence


SCHEDULE = json.dumps({"cron": "* * * * *", "task": {"goal": "mine"}}).encode()
ELSEWHERE = {
    "motet.call.tool_executor.calculate": b'{"expression": "1 + 1"}',
    "motet.call.worker.other": b"{}",
    "motet.task.submit": b'{"goal": "mine"}',
    "motet.task.submit.interactive": b'{"goal": "mine"}',
    "motet.task.cancel": b'{"task": "other"}',
    "motet.task.resume": b'{"task": "t", "question": "q", "decision": "approve"}',
    "motet.task.ready.normal.default": b"{}",
    "motet.event.t.state": b'{"task": "t", "state": "cancelled"}',
    "motet.dead.planner.submit": b"{}",
    "$KV.schedules.mine": SCHEDULE,
    "$KV.approvals.t.q.reply": b"{}",
    "$O.blobs.M.x": b"{}",
    "$JS.API.STREAM.MSG.DELETE.DEAD": b'{"seq": 1}',
}


@pytest.mark.parametrize("subject", ELSEWHERE)
async def test_a_letter_goes_nowhere_but_where_its_agent_takes_from(
    working: SecuredMesh, subject: str
) -> None:
    sequence = await buried(
        working, letter(subject, ELSEWHERE[subject], task="t").model_dump_json().encode()
    )

    with pytest.raises(FaultError) as refused:
        await working.motet.replay(sequence)

    assert refused.value.fault.type in {FaultType.INVALID_INPUT, FaultType.NOT_FOUND}
    await working.motet.drop(sequence)
    assert await working.motet.dead() == []


async def test_its_own_calls_are_replayed(working: SecuredMesh) -> None:
    body = Order(text="precious").model_dump_json().encode()
    sequence = await buried(
        working, letter("motet.call.worker.work", body).model_dump_json().encode()
    )
    task = await working.motet.replay(sequence)
    assert task is not None
    assert (await working.outcome(task, "task")).ok


async def failed_task(mesh: TestMesh) -> TaskRecord:
    async def fail(task: Any, call: Any) -> Any:
        raise FaultError(FAULT)

    await mesh.join(planner(fail))
    return await (await mesh.motet.submit("theirs")).result(20)


async def test_of_a_failed_task_what_was_submitted_is_submitted_again(working: SecuredMesh) -> None:
    record = await failed_task(working)
    forged = letter("motet.task.submit", b'{"goal": "mine"}', stream="TASKS", task=record.id)
    sequence = await buried(working, forged.model_dump_json().encode(), "submit")

    replayed = await working.motet.replay(sequence)

    assert replayed is not None
    again = await working.motet.task(replayed).result(20)
    assert again.task is not None
    assert again.task.goal == "theirs"


async def test_a_task_that_goes_well_is_not_ended_by_a_replay(mesh: SecuredMesh) -> None:
    await mesh.join(worker(ask_city))
    await mesh.join(planner(one_step))
    task = await mesh.motet.submit("Travel")
    await asked(mesh, task.id)
    for subject, body in {
        "motet.task.submit": b'{"goal": "mine"}',
        f"motet.event.{task.id}.state": b'{"task": "%s", "state": "failed"}' % task.id.encode(),
    }.items():
        forged = letter(subject, body, stream="EVENTS", task=task.id).model_dump_json().encode()
        with pytest.raises(FaultError):
            await mesh.motet.replay(await buried(mesh, forged))


async def test_a_letter_that_was_copied_under_anothers_name_is_not_replayed(
    mesh: SecuredMesh,
) -> None:
    forged = letter("motet.call.tool_executor.calculate", b'{"expression": "1 + 1"}')
    copied = {Header.STREAM: "DEAD"}
    await mesh.bus.store(
        "motet.dead.tool_executor.calculate", forged.model_dump_json().encode(), copied
    )
    with pytest.raises(FaultError, match="copied"):
        await mesh.motet.replay((await mesh.motet.dead(1))[0].sequence)


@pytest.mark.parametrize("written", [b"not json", b"{}", b"\xff", b"[" * 5000])
async def test_what_is_no_letter_hides_no_other(working: SecuredMesh, written: bytes) -> None:
    sequence = await buried(working, written)
    good = letter("motet.call.worker.work", b"{}").model_dump_json().encode()
    await buried(working, good)

    newest, oldest = await working.motet.dead()
    assert (newest.letter.subject, oldest.sequence) == ("motet.call.worker.work", sequence)
    assert "cannot be read" in oldest.letter.fault.message
    with pytest.raises(FaultError, match="goes nowhere"):
        await working.motet.replay(sequence)
    await working.motet.drop(sequence)


async def test_a_letter_of_a_task_long_gone_says_so(working: SecuredMesh) -> None:
    await working.join(answering("x"))
    gone = letter("motet.task.submit", b'{"goal": "old"}', stream="TASKS", task="gone")
    sequence = await buried(working, gone.model_dump_json().encode(), "submit")
    with pytest.raises(FaultError, match="no record of its task") as refused:
        await working.motet.replay(sequence)
    assert refused.value.fault.type == FaultType.NOT_FOUND
