"""A person in the loop: a task waits, holding nothing, and goes on with the reply."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from motet.agent import Agent, Call
from motet.bus import Approvals
from motet.embedded.services import environment
from motet.errors import FaultError
from motet.messages import (
    Answer,
    ApprovalRecord,
    Budget,
    Default,
    PersonAsked,
    PersonReplied,
    Question,
    Reply,
    StateChanged,
    Task,
    TaskState,
)
from motet.testing import TestMesh, TestServer, losing_acks, test_mesh
from motet.testing.mesh import runner
from tests.integration.bus.agents import Done, Order, planner, worker

TRAVELLER = Path(__file__).parent / "waiting_agents.py"

WHICH = Question(
    kind="answer",
    prompt="Which city?",
    name="city",
    value_schema={"type": "string", "minLength": 2},
)


async def ask_city(request: Order, call: Call) -> Done:
    reply = await call.ask(WHICH)
    return Done(text=f"{request.text} {reply.value}".strip(), attempt=call.attempt)


async def one_step(task: Task, call: Call) -> Answer:
    done = await call.delegate("worker.work", Order(text="to"), Done, step="a")
    return Answer(text=done.text)


async def asked(mesh: TestMesh, task: str, count: int = 1) -> list[ApprovalRecord]:
    """What a task asks, once it waits."""
    async for _, event in mesh.motet.task(task).events():
        if isinstance(event, StateChanged):
            assert not event.state.terminal, event
            if event.state == TaskState.WAITING:
                found = await mesh.motet.task(task).approvals()
                if len(found) >= count:
                    return found
    raise AssertionError("the task has no events")


def respond(record: ApprovalRecord, value: Any = "Oslo", **values: Any) -> Reply:
    return Reply(
        task=record.task, question=record.id, decision="respond", value=value, by="ada", **values
    )


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


async def test_a_second_reply_is_refused(mesh: TestMesh) -> None:
    await mesh.join(worker(ask_city))
    await mesh.join(planner(one_step))
    task = await mesh.motet.submit("Travel")
    (record,) = await asked(mesh, task.id)
    await mesh.motet.reply(respond(record))
    with pytest.raises(FaultError) as refused:
        await mesh.motet.reply(respond(record, "Rome"))
    assert refused.value.fault.type == "already_replied"
    assert (await task.result(20)).answer == Answer(text="to Oslo")


async def test_a_reply_before_the_task_waits_is_not_lost(mesh: TestMesh) -> None:
    entered, gate = asyncio.Event(), asyncio.Event()

    async def work(request: Order, call: Call) -> Done:
        if request.text == "slow":
            entered.set()
            await gate.wait()
            return Done(text="slow")
        return await ask_city(request, call)

    async def plan(task: Task, call: Call) -> Answer:
        steps = (
            call.delegate("worker.work", Order(text=name), Done, step=name)
            for name in ("slow", "b")
        )
        return Answer(text=" ".join(done.text for done in await asyncio.gather(*steps)))

    await mesh.join(worker(work))
    await mesh.join(planner(plan))
    task = await mesh.motet.submit("Go")
    await entered.wait()
    async for _, event in task.events():
        if isinstance(event, PersonAsked):
            break
    (record,) = await task.approvals()
    await mesh.motet.reply(respond(record))
    await mesh.drained("TASKS", left=1)
    gate.set()

    assert (await task.result(20)).answer == Answer(text="slow b Oslo")


async def test_the_default_holds_when_nobody_replies_in_time(mesh: TestMesh) -> None:
    async def work(request: Order, call: Call) -> Done:
        timed = {"timeout_s": 0.3, "default": Default(decision="respond", value="Rome")}
        return Done(text=str((await call.ask(WHICH.model_copy(update=timed))).value))

    apps = [await mesh.join(worker(work)), await mesh.join(planner(one_step))]
    task = await mesh.motet.submit("Travel")
    await asked(mesh, task.id)
    for app in apps:
        await mesh.leave(app, grace_s=0)
    await mesh.join(worker(work))
    await mesh.join(planner(one_step))

    assert (await task.result(20)).answer == Answer(text="Rome")
    (record,) = await task.approvals(closed=True)
    assert record.reply is not None
    assert record.reply.by == "nobody"


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


async def test_a_reply_that_does_not_fit_is_refused(mesh: TestMesh) -> None:
    await mesh.join(worker(ask_city))
    await mesh.join(planner(one_step))
    task = await mesh.motet.submit("Travel")
    (record,) = await asked(mesh, task.id)
    for reply in (
        respond(record, "x"),
        respond(record, 7),
        respond(record).model_copy(update={"decision": "approve"}),
    ):
        with pytest.raises(FaultError) as refused:
            await mesh.motet.reply(reply)
        assert refused.value.fault.type == "invalid_input"
    with pytest.raises(FaultError, match="no question"):
        await mesh.motet.reply(respond(record).model_copy(update={"question": "other"}))
    await mesh.motet.reply(respond(record))
    assert (await task.result(20)).state == TaskState.SUCCEEDED


async def test_a_bare_client_replies_on_the_bus(mesh: TestMesh) -> None:
    await mesh.join(worker(ask_city))
    await mesh.join(planner(one_step))
    task = await mesh.motet.submit("Travel")
    (record,) = await asked(mesh, task.id)
    bare = {"task": record.task, "question": record.id, "decision": "respond"}
    for value in ("x", "Oslo", "Rome"):
        body = json.dumps({**bare, "value": value}).encode()
        await mesh.bus.store(mesh.bus.topology.task_resume, body)
        await mesh.drained("TASKS", left=1)

    assert (await task.result(20)).answer == Answer(text="to Oslo")
    await mesh.drained("TASKS")
    dead = [stored.letter.fault.type for stored in await mesh.motet.dead()]
    assert dead == ["already_replied", "invalid_input"]


async def test_a_reply_whose_writer_died_is_swept_up(mesh: TestMesh) -> None:
    await mesh.join(worker(ask_city))
    await mesh.join(planner(one_step))
    task = await mesh.motet.submit("Travel")
    (record,) = await asked(mesh, task.id)
    await Approvals(mesh.bus).reply(respond(record))
    assert (await task.result(20)).answer == Answer(text="to Oslo")


async def test_a_skill_with_an_approval_runs_with_the_input_that_passed(mesh: TestMesh) -> None:
    ran: list[str] = []
    agent = Agent("worker", "Sends.")

    @agent.skill("work", "Sends a text.", approval="May this be sent?")
    async def work(request: Order, call: Call) -> Done:
        ran.append(request.text)
        return Done(text=request.text)

    await mesh.join(agent)
    await mesh.join(planner(one_step))
    assert agent.skills["work"].card.approval == "May this be sent?"

    texts: list[str] = []
    for decision, value in (("approve", None), ("edit", {"text": "fro"}), ("reject", None)):
        task = await mesh.motet.submit("Send")
        (record,) = await asked(mesh, task.id)
        assert record.question.value["text"] == "to"
        reply = Reply.model_validate(
            {"task": task.id, "question": record.id, "decision": decision, "value": value}
        )
        if decision == "edit":
            with pytest.raises(FaultError, match="number"):
                await mesh.motet.reply(reply.model_copy(update={"value": {"number": "x"}}))
        await mesh.motet.reply(reply)
        ended = await task.result(20)
        if ended.answer is not None:
            texts.append(ended.answer.text)
    assert texts == ran == ["to", "fro"]
    assert ended.fault is not None
    assert ended.fault.type == "rejected"


async def test_outside_of_a_task_nobody_is_asked(mesh: TestMesh) -> None:
    await mesh.join(worker(ask_city))
    with pytest.raises(FaultError, match="only a task can wait"):
        await mesh.motet.call("worker.work", Order(), Done)


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


async def test_the_command_lists_shows_and_replies(mesh: TestMesh) -> None:
    async def motet(*arguments: str) -> tuple[int, str, str]:
        ran = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "motet.cli", "approvals", *arguments),
            env={**environment(mesh.settings), "COLUMNS": "200"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, complained = await ran.communicate()
        return ran.returncode or 0, said.decode(), complained.decode()

    await mesh.join(worker(ask_city))
    await mesh.join(planner(one_step))
    assert (await motet("list"))[1] == "Nobody is asked anything.\n"
    task = await mesh.motet.submit("Travel")
    (record,) = await asked(mesh, task.id)

    assert record.key in (await motet("list"))[1]
    assert json.loads((await motet("list", "--json"))[1])[0]["id"] == record.id
    assert "Which city?" in (await motet("show", record.key))[1]
    status, _, complaint = await motet("approve", record.key)
    assert (status, "takes no 'approve'" in complaint) == (4, True)
    assert (await motet("respond", "nothing", "Oslo"))[0] == 2
    status, said, complaint = await motet(
        "respond", record.key, "Oslo", "--by", "ada", "--reason", "home", "--json"
    )
    assert status == 0, complaint
    assert json.loads(said)["reply"]["reason"] == "home"
    assert (await task.result(20)).answer == Answer(text="to Oslo")
    assert "respond by ada" in (await motet("list", "--all"))[1]


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
    await mesh.drained("TASKS")
    assert (len(lost), runs) == (1, [1])

    async with losing_acks(runner(app).bus) as lost:
        await mesh.motet.reply(respond(record))
        assert (await task.result(20)).answer == Answer(text="to Oslo")
    await mesh.drained("TASKS")
    assert runs == [1, 1]


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
