"""A task that waits for a person holds nothing, and goes on with the reply."""

from __future__ import annotations

import asyncio

import pytest

from motet.agent import Call
from motet.errors import FaultError
from motet.messages import (
    Answer,
    Budget,
    PersonAsked,
    PersonReplied,
    Reply,
    StateChanged,
    Task,
    TaskState,
)
from motet.testing import TestMesh
from tests.integration.bus.agents import Done, Order, planner, worker
from tests.integration.bus.questions import WHICH, ask_city, asked, one_step, respond


async def test_a_task_waits_holding_nothing_and_goes_on_with_the_reply(mesh: TestMesh) -> None:
    await mesh.join(worker(ask_city))
    await mesh.join(planner(one_step))
    task = await mesh.motet.submit("Travel")
    (record,) = await asked(mesh, task.id)
    await mesh.drained("TASKS")
    await mesh.drained("CALLS")

    await mesh.motet.reply(respond(record, reason="she lives there"))
    ended = await task.result(20)

    assert ended.state == TaskState.SUCCEEDED, ended.fault
    assert ended.answer is not None
    assert ended.answer.text == "to Oslo"
    assert ended.usage.calls == 1
    (kept,) = await task.approvals(closed=True)
    assert kept.reply is not None
    assert (kept.reply.by, kept.reply.reason) == ("ada", "she lives there")
    assert await task.approvals() == []
    events = [event async for _, event in task.events()]
    assert [event.state for event in events if isinstance(event, StateChanged)] == [
        TaskState.SUBMITTED,
        TaskState.WAITING,
        TaskState.RUNNING,
        TaskState.SUCCEEDED,
    ]
    assert [event.question.prompt for event in events if isinstance(event, PersonAsked)] == [
        "Which city?"
    ]
    assert [event.by for event in events if isinstance(event, PersonReplied)] == ["ada"]
    await mesh.drained("TASKS")


async def test_the_resumed_run_is_in_the_same_trace_linked_to_the_earlier(mesh: TestMesh) -> None:
    await mesh.join(worker(ask_city))
    await mesh.join(planner(one_step))
    task = await mesh.motet.submit("Travel")
    (record,) = await asked(mesh, task.id)
    await mesh.motet.reply(respond(record))
    await task.result(20)
    tree = await mesh.trace(task.id)

    (root,) = tree.roots
    assert root.span.name == "send motet.task.submit"
    spans = {span.name: span for span in mesh.spans()}
    assert "process motet.task.resume" in spans
    for name in ("process motet.task.submit", "process motet.task.resume"):
        assert spans[name].trace_id == root.span.trace_id
    resumed = spans["process motet.task.resume"]
    assert resumed.links[0].attributes["motet.link"] == "resume"
    assert resumed.links[0].span_id == spans["process motet.task.submit"].span_id
    calls = [span for span in mesh.spans() if span.name == "process motet.call.worker.work"]
    assert [span.attributes.get("motet.suspended") for span in calls] == [True, None]
    assert calls[1].links[0].span_id == calls[0].span_id
    assert not [span.name for span in mesh.spans() if "error.type" in span.attributes]


async def test_parallel_steps_are_done_once_while_one_asks(mesh: TestMesh) -> None:
    ran: list[str] = []

    async def work(request: Order, call: Call) -> Done:
        ran.append(request.text)
        return await ask_city(request, call) if request.text == "b" else Done(text=request.text)

    async def plan(task: Task, call: Call) -> Answer:
        steps = (call.delegate("worker.work", Order(text=name), Done, step=name) for name in "abc")
        return Answer(text=" ".join(done.text for done in await asyncio.gather(*steps)))

    await mesh.join(worker(work))
    await mesh.join(planner(plan))
    task = await mesh.motet.submit(Task(goal="Go", budget=Budget(calls=3)))
    (record,) = await asked(mesh, task.id)
    await mesh.motet.reply(respond(record))
    ended = await task.result(20)

    assert ended.answer is not None, ended.fault
    assert ended.answer.text == "a b Oslo c"
    assert sorted(ran) == ["a", "b", "b", "c"]
    assert ended.usage.calls == 3


async def test_two_questions_at_once_are_replied_to_one_by_one(mesh: TestMesh) -> None:
    async def plan(task: Task, call: Call) -> Answer:
        steps = (call.delegate("worker.work", Order(text=name), Done, step=name) for name in "ab")
        return Answer(text=" ".join(done.text for done in await asyncio.gather(*steps)))

    await mesh.join(worker(ask_city))
    await mesh.join(planner(plan))
    task = await mesh.motet.submit("Go")
    first, second = await asked(mesh, task.id, 2)
    await mesh.motet.reply(respond(first))
    await mesh.motet.reply(respond(second))
    ended = await task.result(20)

    assert ended.answer is not None, ended.fault
    assert ended.answer.text == "a Oslo b Oslo"


async def test_a_question_deep_in_the_tree_suspends_all_above(mesh: TestMesh) -> None:
    async def middle(request: Order, call: Call) -> Done:
        done = await call.delegate("worker.work", request, Done, step="down")
        return Done(text=f"({done.text})")

    async def plan(task: Task, call: Call) -> Answer:
        done = await call.delegate("middle.work", Order(text="far"), Done, step="a")
        return Answer(text=done.text)

    await mesh.join(worker(ask_city))
    await mesh.join(worker(middle, "middle"))
    await mesh.join(planner(plan))
    task = await mesh.motet.submit("Go")
    (record,) = await asked(mesh, task.id)
    await mesh.drained("CALLS")
    await mesh.motet.reply(respond(record))
    ended = await task.result(20)

    assert ended.answer is not None, ended.fault
    assert ended.answer.text == "(far Oslo)"
    assert ended.usage.calls == 2


async def test_the_agent_of_the_task_may_ask_itself(mesh: TestMesh) -> None:
    async def plan(task: Task, call: Call) -> Answer:
        first = await call.ask(WHICH)
        second = await call.ask(WHICH.model_copy(update={"name": "other"}))
        return Answer(text=f"{first.value} {second.value}")

    await mesh.join(planner(plan))
    task = await mesh.motet.submit("Go")
    (first,) = await asked(mesh, task.id)
    await mesh.motet.reply(respond(first))
    while True:
        waiting = await task.approvals()
        if waiting and waiting[0].id != first.id:
            break
        await asyncio.sleep(0.01)
    await mesh.motet.reply(respond(waiting[0], "Bergen"))

    ended = await task.result(20)
    assert ended.answer is not None, ended.fault
    assert ended.answer.text == "Oslo Bergen"


async def test_what_swallows_the_suspension_decides_nothing(mesh: TestMesh) -> None:
    async def work(request: Order, call: Call) -> Done:
        (reply,) = await asyncio.gather(call.ask(WHICH), return_exceptions=True)
        return Done(text=reply.value if isinstance(reply, Reply) else "nothing")

    await mesh.join(worker(work))
    await mesh.join(planner(one_step))
    task = await mesh.motet.submit("Travel")
    (record,) = await asked(mesh, task.id)
    await mesh.motet.reply(respond(record))
    assert (await task.result(20)).answer == Answer(text="Oslo")


async def test_a_waiting_task_is_cancelled_at_once(mesh: TestMesh) -> None:
    await mesh.join(worker(ask_city))
    await mesh.join(planner(one_step))
    task = await mesh.motet.submit("Travel")
    (record,) = await asked(mesh, task.id)
    await task.cancel("changed my mind")
    assert (await task.result(2)).state == TaskState.CANCELLED
    assert await mesh.motet.approvals() == []
    with pytest.raises(FaultError, match="has ended"):
        await mesh.motet.reply(respond(record))


async def test_a_waiting_task_expires_at_its_deadline(mesh: TestMesh) -> None:
    await mesh.join(worker(ask_city))
    await mesh.join(planner(one_step))
    task = await mesh.motet.submit(Task(goal="Travel", deadline_s=4))
    await asked(mesh, task.id)
    ended = await task.result(20)
    assert ended.state == TaskState.EXPIRED
    assert ended.fault is not None
    assert ended.fault.type == "deadline_exceeded"
