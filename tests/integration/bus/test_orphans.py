"""Messages that no consumer selects: swept up as dead letters, with an outcome."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from nats.js.api import ConsumerInfo, SequenceInfo

from motet.agent import Call
from motet.bus import CallContext, Orphans, orphans
from motet.messages import Answer, CallResult, FaultType, Task
from motet.testing import TestMesh
from tests.integration.bus.agents import call_headers, echo, planner, publish, worker
from tests.integration.bus.bare import BareClient


async def answer(task: Task, call: Call) -> Answer:
    return Answer(text="done")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orphans, "SWEEP_S", 0.02)
    monkeypatch.setattr(orphans, "GRACE_S", 0.0)


@pytest.mark.usefixtures("at_once")
async def test_a_call_of_an_unknown_skill_ends_in_a_fault_and_a_dead_letter(mesh: TestMesh) -> None:
    await mesh.join(planner(answer))
    reply, future = await mesh.bus.replies.expect()
    context = CallContext(task="t", call="c")
    headers = call_headers(context, **{"motet-reply": reply})

    sequence = await publish(mesh, "call.nobody.sings", b'{"any": "thing"}', headers)

    async with asyncio.timeout(10):
        result = CallResult.model_validate_json((await future).data)
    assert result.fault is not None
    assert (result.fault.type, result.attempts) == (FaultType.UNKNOWN_SKILL, 0)
    assert result.fault.message == (
        f"Nobody listens on '{mesh.settings.namespace}.call.nobody.sings': "
        "`motet agents` lists what there is."
    )
    assert await mesh.outcome("t", "c") == result
    await mesh.drained("CALLS")
    (stored,) = await mesh.motet.dead()
    letter = stored.letter
    assert (letter.fault, letter.sequence) == (result.fault, sequence)
    assert (letter.task, letter.call, letter.attempts) == ("t", "c", 0)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    "subject",
    ["call.nobody", "call.a.b.c", "call.worker.play", "call.Worker.work", "call.worker-work.x",
     "task.other", "task.submit.now"],
)  # fmt: skip
async def test_other_subjects_that_nobody_selects(mesh: TestMesh, subject: str) -> None:
    await mesh.join(worker(echo))
    await mesh.join(planner(answer))

    await publish(mesh, subject, b"{}")
    await mesh.drained("CALLS")
    await mesh.drained("TASKS")

    (stored,) = await mesh.motet.dead()
    assert stored.letter.subject == f"{mesh.settings.namespace}.{subject}"
    assert stored.letter.fault.type == FaultType.UNKNOWN_SKILL


@pytest.mark.usefixtures("at_once")
async def test_a_subject_spelled_like_a_wildcard_takes_nobody_elses(mesh: TestMesh) -> None:
    """NATS lets a message be published to `call.*.*`, which as a filter selects every call."""
    await mesh.leave(await mesh.join(worker(echo)))
    await publish(mesh, "call.worker.work", b"{}")
    async with BareClient.at(mesh.settings.nats_url) as client:
        await client.publish(f"{mesh.settings.namespace}.call.*.*", b"{}")
    await mesh.filled("CALLS", least=2)

    assert await Orphans(mesh.bus).sweep() == 1
    assert await mesh.waiting("CALLS") == 1

    await mesh.join(worker(echo))
    await mesh.drained("CALLS")


async def test_many_sweepers_at_once_bury_each_orphan_once(
    mesh: TestMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "GRACE_S", 0.0)
    for number in range(20):
        await publish(mesh, "call.nobody.sings", b"{}", {"motet-task": f"t{number}"})

    counts = await asyncio.gather(*(Orphans(mesh.bus).sweep() for _ in range(4)))

    assert max(counts) <= 20 <= sum(counts)
    assert await mesh.waiting("CALLS") == 0
    assert len(await mesh.motet.dead()) == 20
    assert await Orphans(mesh.bus).sweep() == 0


async def test_a_young_message_waits_for_its_agent(mesh: TestMesh) -> None:
    reply, future = await mesh.bus.replies.expect()
    await publish(mesh, "call.worker.work", b'{"text": "early"}', {"motet-reply": reply})

    assert await Orphans(mesh.bus).sweep() == 0
    await mesh.join(worker(echo))

    async with asyncio.timeout(10):
        assert CallResult.model_validate_json((await future).data).ok


async def test_calls_of_an_agent_that_has_stopped_are_no_orphans(
    mesh: TestMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "GRACE_S", 0.0)
    await mesh.leave(await mesh.join(worker(echo)))
    await publish(mesh, "call.worker.work", b"{}")

    assert await Orphans(mesh.bus).sweep() == 0
    assert await mesh.waiting("CALLS") == 1


@pytest.mark.parametrize("floor", [0, 1, 2])
async def test_what_was_acknowledged_and_is_still_there_is_removed(
    mesh: TestMesh, monkeypatch: pytest.MonkeyPatch, floor: int
) -> None:
    """As after a kill of the server between the two; which is acknowledged, its consumer says."""
    monkeypatch.setattr(orphans, "GRACE_S", 0.0)
    await mesh.leave(await mesh.join(worker(echo)))
    for number in range(2):
        await publish(mesh, "call.worker.work", b"{}", {"motet-task": f"t{number}"})
    ask = mesh.bus.js.consumer_info

    async def acknowledged(*args: Any, **others: Any) -> ConsumerInfo:
        info = await ask(*args, **others)
        return info.evolve(ack_floor=SequenceInfo(consumer_seq=floor, stream_seq=floor))

    monkeypatch.setattr(mesh.bus.js, "consumer_info", acknowledged)

    assert await Orphans(mesh.bus).sweep() == floor
    assert await mesh.waiting("CALLS") == 2 - floor
    assert await mesh.motet.dead() == []


async def test_an_outcome_that_stands_is_what_the_sender_gets(
    mesh: TestMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "GRACE_S", 0.0)
    headers = call_headers(CallContext(task="t", call="c"))
    await publish(mesh, "call.nobody.sings", b"{}", headers)
    await Orphans(mesh.bus).sweep()
    first = await mesh.outcome("t", "c")
    await publish(mesh, "call.other.sings", b"{}", call_headers(CallContext(task="t", call="c")))
    await Orphans(mesh.bus).sweep()

    assert await mesh.outcome("t", "c") == first
