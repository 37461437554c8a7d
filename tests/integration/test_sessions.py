"""Conversations in the bucket `sessions`, on a real server."""

from __future__ import annotations

import asyncio

import pytest

from motet.bus import Bucket
from motet.errors import FaultError
from motet.messages import Answer, FaultType, Principal
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
