"""Conversations in the bucket `sessions`, on a real server."""

from __future__ import annotations

import asyncio

import pytest

from motet.agent import Agent, Call
from motet.bus import Bucket
from motet.errors import FaultError
from motet.messages import Answer, FaultType, Principal, Task
from motet.testing import TestMesh
from motet_planner.sessions import Sessions, Turn

ANNA = Principal(tenant="red", access=("staff",))


def sessions(
    mesh: TestMesh, task: str, principal: Principal = ANNA, *, max_age_s: float = 3600
) -> Sessions:
    store = Bucket(mesh.bus, "sessions")
    return Sessions(store, principal=principal, task=task, max_age_s=max_age_s)


def turn(task: str) -> Turn:
    return Turn.of(task, f"Goal of {task}", Answer(text=f"Answer of {task}"))


async def test_turns_of_tasks_at_the_same_time_are_all_kept(mesh: TestMesh) -> None:
    tasks = [f"t{number}" for number in range(8)]
    await asyncio.gather(*(sessions(mesh, task).turns("talk") for task in tasks))
    await asyncio.gather(*(sessions(mesh, task).add("talk", turn(task)) for task in tasks * 2))
    kept = await sessions(mesh, "last").turns("talk")
    assert sorted(each.task for each in kept) == tasks


async def test_a_session_of_somebody_elses_is_a_fault(mesh: TestMesh) -> None:
    await sessions(mesh, "t1").add("talk", turn("t1"))
    for other in (Principal(tenant="red"), Principal(tenant="red", access=("staff", "hr"))):
        with pytest.raises(FaultError) as raised:
            await sessions(mesh, "t2", other).turns("talk")
        assert raised.value.fault.type == FaultType.NOT_FOUND
    assert await sessions(mesh, "t2", Principal(tenant="blue")).turns("talk") == []


async def test_a_session_is_gone_some_time_after_its_last_turn(mesh: TestMesh) -> None:
    await sessions(mesh, "t1", max_age_s=1).add("talk", turn("t1"))
    store = Bucket(mesh.bus, "sessions")
    async with asyncio.timeout(20):
        while await store.get("red.talk") is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # a server tells nobody what has expired
    bo = Principal(tenant="red", access=("guest",))
    assert await sessions(mesh, "t2", bo).turns("talk") == []
    await sessions(mesh, "t2", bo).add("talk", turn("t2"))
    assert [each.task for each in await sessions(mesh, "t3", bo).turns("talk")] == ["t2"]


async def test_what_the_planner_may_on_the_bus_is_enough_for_sessions(mesh: TestMesh) -> None:
    agent = Agent("planner", "Remembers what was asked")

    @agent.task
    async def run(task: Task, call: Call) -> Answer:
        kept = Sessions(
            call.bucket("sessions"), principal=call.principal, task=call.task, max_age_s=60
        )
        earlier = await kept.turns(task.session or "none")
        answer = Answer(text=" ".join([*(each.goal for each in earlier), task.goal]))
        await kept.add(task.session or "none", Turn.of(call.task, task.goal, answer))
        return answer

    await mesh.join(agent)
    for goal, said in (("One.", "One."), ("Two.", "One. Two."), ("Three.", "One. Two. Three.")):
        record = await (await mesh.motet.submit(Task(goal=goal, session="talk"))).result(20)
        assert record.answer is not None, record.fault
        assert record.answer.text == said
    other = Task(goal="Four.", session="talk", access=("staff",))
    refused = await (await mesh.motet.submit(other)).result(20)
    assert refused.fault is not None
    assert refused.fault.type == FaultType.NOT_FOUND
