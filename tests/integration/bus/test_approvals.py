"""Questions and replies: which are taken, from whom, and what holds when nobody replies."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest

from motet.agent import Agent, Call
from motet.embedded.services import environment
from motet.errors import FaultError
from motet.messages import Answer, Default, PersonAsked, Reply, Task, TaskState
from motet.testing import TestMesh
from tests.integration.bus.agents import Done, Order, planner, worker
from tests.integration.bus.questions import WHICH, ask_city, asked, one_step, respond


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
