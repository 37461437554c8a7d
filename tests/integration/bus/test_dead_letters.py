"""Dead letters: listed, read, replayed and dropped."""

from __future__ import annotations

import asyncio
import base64

import pytest

from motet.agent import Call
from motet.bus import CallContext
from motet.errors import FaultError
from motet.messages import Answer, FaultType, Task
from motet.telemetry import names
from motet.testing import Flaky, TestMesh, with_fault
from tests.integration.bus.agents import (
    Done,
    Order,
    call_headers,
    echo,
    planner,
    publish,
    worker,
)

LAST = FaultError.of("broken", "It is broken.")


async def one_dead_call(mesh: TestMesh, *, then: Flaky | None = None) -> Flaky:
    """Lets a call die; the worker works from then on."""
    flaky = then or Flaky(LAST)
    await mesh.join(with_fault(worker(echo), "work", flaky))
    with pytest.raises(FaultError):
        await mesh.motet.call("worker.work", Order(text="precious"))
    return flaky


async def test_the_newest_come_first(mesh: TestMesh) -> None:
    assert await mesh.motet.dead() == []
    await mesh.join(worker(echo))
    for number in range(5):
        await publish(mesh, "call.worker.work", b"no %d" % number)
    await mesh.drained("CALLS")

    letters = await mesh.motet.dead(limit=3)

    # Calls run side by side, so which of them was buried first is left to chance.
    assert [letter.sequence for letter in letters] == [5, 4, 3]
    bodies = {base64.b64decode(stored.letter.body) for stored in await mesh.motet.dead()}
    assert bodies == {b"no %d" % number for number in range(5)}


async def test_one_is_read_and_dropped(mesh: TestMesh) -> None:
    await one_dead_call(mesh)
    (stored,) = await mesh.motet.dead()

    letter = await mesh.motet.dead_letter(stored.sequence)
    assert letter == stored.letter
    assert letter.subject == f"{mesh.settings.namespace}.call.worker.work"
    assert Order.model_validate_json(base64.b64decode(letter.body)) == Order(text="precious")

    await mesh.motet.drop(stored.sequence)
    assert await mesh.motet.dead() == []
    for action in (mesh.motet.dead_letter, mesh.motet.drop, mesh.motet.replay):
        with pytest.raises(FaultError) as raised:
            await action(stored.sequence)
        assert raised.value.fault.type == FaultType.NOT_FOUND


async def test_a_replayed_call_runs_as_one_of_its_own(mesh: TestMesh) -> None:
    flaky = await one_dead_call(mesh)
    (stored,) = await mesh.motet.dead()

    task = await mesh.motet.replay(stored.sequence)

    assert task is not None
    outcome = await mesh.outcome(task, "task")
    assert outcome.ok
    assert Done.model_validate(outcome.output) == Done(text="precious")
    assert (task != stored.letter.task, flaky.runs) == (True, 2)
    assert await mesh.motet.dead() == []


async def test_a_replay_is_in_the_same_trace_and_linked_to_the_last_attempt(
    mesh: TestMesh,
) -> None:
    tired = FaultError.of("tired", "Tired.", retryable=True)
    await one_dead_call(mesh, then=Flaky(tired, tired, tired, tired))
    (stored,) = await mesh.motet.dead()
    task = await mesh.motet.replay(stored.sequence)
    assert task is not None
    await mesh.outcome(task, "task")

    tree = await mesh.trace(task)

    assert tree.connected
    *earlier, last, replayed = tree.find("process motet.call.worker.work")
    assert (len(earlier), last.get(names.ATTEMPT), replayed.get(names.ATTEMPT)) == (3, 4, 1)
    (link,) = replayed.span.links
    assert (link.span_id, link.trace_id) == (last.span.span_id, last.span.trace_id)
    assert link.attributes == {names.LINK: names.LINK_REPLAY}
    assert replayed.get(names.TASK) == task


async def test_a_call_of_a_task_that_has_ended_is_replayed_all_the_same(mesh: TestMesh) -> None:
    flaky = Flaky(LAST)
    await mesh.join(with_fault(worker(echo), "work", flaky))

    async def plan(task: Task, call: Call) -> Answer:
        await call.delegate("worker.work", {"text": "effect"}, step="one")
        return Answer(text="done")

    await mesh.join(planner(plan))
    assert (await (await mesh.motet.submit("go")).result(10)).state == "failed"
    await mesh.drained("TASKS")
    (letter,) = [each for each in await mesh.motet.dead() if each.letter.call != "task"]

    replayed = await mesh.motet.replay(letter.sequence)

    assert replayed is not None
    assert (await mesh.outcome(replayed, "task")).ok
    assert flaky.runs == 2


async def test_a_replayed_task_is_a_new_one(mesh: TestMesh) -> None:
    attempts: list[str] = []

    async def plan(task: Task, call: Call) -> Answer:
        attempts.append(call.task)
        if len(attempts) == 1:
            raise LAST
        return Answer(text=task.goal)

    await mesh.join(planner(plan))
    first = await mesh.motet.submit("go")
    assert (await first.result(10)).state == "failed"
    await mesh.drained("TASKS")
    (stored,) = await mesh.motet.dead()

    replayed = await mesh.motet.replay(stored.sequence)

    assert replayed is not None
    record = await mesh.motet.task(replayed).result(10)
    assert (record.state, record.answer) == ("succeeded", Answer(text="go"))
    assert attempts == [first.id, replayed]
    before = await first.record()
    assert before is not None
    assert before.state == "failed"


async def test_what_cannot_be_read_cannot_be_read_again(mesh: TestMesh) -> None:
    await mesh.join(worker(echo))

    async def plan(task: Task, call: Call) -> Answer:
        return Answer(text="")

    await mesh.join(planner(plan))
    await publish(mesh, "task.submit", b"not json")
    await mesh.drained("TASKS")
    (stored,) = await mesh.motet.dead()

    assert await mesh.motet.replay(stored.sequence) is None
    await mesh.drained("TASKS")

    (again,) = await mesh.motet.dead()
    assert again.letter.body == stored.letter.body
    assert again.sequence > stored.sequence


async def test_large_bodies_are_kept_and_replayed(mesh: TestMesh) -> None:
    flaky = Flaky(LAST)
    await mesh.join(with_fault(worker(echo), "work", flaky))
    text = "x" * 200_000
    headers = call_headers(CallContext(task="t", call="c"))
    await publish(mesh, "call.worker.work", Order(text=text).model_dump_json().encode(), headers)
    await mesh.outcome("t", "c")
    (stored,) = await mesh.motet.dead()
    assert stored.letter.body == ""
    assert stored.letter.body_blob is not None

    task = await mesh.motet.replay(stored.sequence)

    assert task is not None
    outcome = await mesh.outcome(task, "task")
    assert outcome.ok


async def test_repeating_a_replay_is_the_same_replay(mesh: TestMesh) -> None:
    """As after a crash between publishing the message and dropping the letter."""
    flaky = await one_dead_call(mesh)
    (stored,) = await mesh.motet.dead()

    tasks = await asyncio.gather(
        *(mesh.motet.replay(stored.sequence) for _ in range(3)), return_exceptions=True
    )
    (task,) = {task for task in tasks if isinstance(task, str)}
    await mesh.outcome(task, "task")
    await mesh.drained("CALLS")
    assert flaky.runs == 2


async def test_letters_lie_under_the_subject_of_their_skill(mesh: TestMesh) -> None:
    await one_dead_call(mesh)
    info = await mesh.bus.js.stream_info(mesh.bus.topology.stream("DEAD"), subjects_filter=">")
    assert info.state.subjects == {f"{mesh.settings.namespace}.dead.worker.work": 1}
