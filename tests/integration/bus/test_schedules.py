"""Schedules: each planned time is one task, whoever sweeps and whatever dies."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nats.js.errors import NotFoundError

from motet.agent import Call
from motet.bus import Bucket, Bus, Scheduler, scheduler
from motet.errors import FaultError
from motet.messages import Answer, Schedule, Task, new_id
from motet.testing import TestMesh, TestServer, test_mesh
from tests.integration.bus.agents import planner
from tests.timetables import CRONS, STARTS, listed

NOW = datetime(2090, 1, 7, 12, 0, 0, tzinfo=UTC)
"""Far from today, so that a planner that joins a test sweeps nothing by itself."""
MINUTE = timedelta(minutes=1)
GOAL = Task(goal="count the sheep")


class Killed(BaseException):
    """What ends a sweeper in the middle."""


class Mortal:
    """A bus whose owner dies with its `last` store: before the server has it, or right after."""

    def __init__(self, bus: Bus, last: int, *, before: bool) -> None:
        self._bus = bus
        self._left = last
        self._before = before

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    async def store(self, *args: Any, **others: Any) -> Any:
        self._left -= 1
        if self._left <= 0 and self._before:
            raise Killed
        stored = await self._bus.store(*args, **others)
        if self._left <= 0:
            raise Killed
        return stored


async def killed_sweep(mesh: TestMesh, now: datetime, last: int, *, before: bool) -> None:
    """A sweep by a process that may be killed on the way."""
    mortal: Any = Mortal(mesh.bus, last, before=before)
    try:
        await Scheduler(mortal).sweep(now)
    except Killed:
        return


async def sweep(mesh: TestMesh, now: datetime) -> None:
    await Scheduler(mesh.bus).sweep(now)


async def put(mesh: TestMesh, schedule: str, body: dict[str, Any] | bytes) -> None:
    """What a bare client does."""
    value = body if isinstance(body, bytes) else json.dumps(body).encode()
    await Bucket(mesh.bus, "schedules").put(schedule, value)


async def tasks(mesh: TestMesh, schedule: str) -> list[Task]:
    """What a schedule has submitted while no planner is there to take it."""
    found: list[Task] = []
    sequence, topology = 1, mesh.bus.topology
    while True:
        try:
            message = await mesh.bus.js.get_msg(
                topology.stream("TASKS"), sequence, topology.task_submit, next=True
            )
        except NotFoundError:
            return found
        task = Task.model_validate_json(message.data or b"")
        sequence = (message.seq or 0) + 1
        if task.labels["schedule"] == schedule:
            found.append(task)


async def times(mesh: TestMesh, schedule: str) -> list[str]:
    """The planned times of what was submitted, without their date."""
    return [task.labels["scheduled_for"][11:19] for task in await tasks(mesh, schedule)]


async def test_a_cron_schedule_submits_a_task_at_each_planned_time(mesh: TestMesh) -> None:
    schedule = Schedule(id="hourly", cron="0 * * * *", task=GOAL)
    await mesh.motet.schedules.add(schedule, now=NOW)

    await sweep(mesh, NOW + 59 * MINUTE)
    assert await tasks(mesh, "hourly") == []
    for minutes in (60, 61, 119, 120):
        await sweep(mesh, NOW + minutes * MINUTE)

    assert await times(mesh, "hourly") == ["13:00:00", "14:00:00"]
    [first, _] = await tasks(mesh, "hourly")
    assert (first.id, first.goal) == ("hourly-20900107T130000Z", "count the sheep")
    [*_, last] = (await mesh.motet.schedules.get("hourly")).runs
    assert (last.state, last.task) == ("submitted", "hourly-20900107T140000Z")


async def test_a_schedule_at_a_time_runs_once(mesh: TestMesh) -> None:
    await mesh.motet.schedules.add(Schedule(id="once", at=NOW + MINUTE, task=GOAL), now=NOW)
    for minutes in range(4):
        await sweep(mesh, NOW + minutes * MINUTE)

    assert await times(mesh, "once") == ["12:01:00"]
    await mesh.motet.schedules.pause("once")
    await mesh.motet.schedules.resume("once", now=NOW)
    await sweep(mesh, NOW + 5 * MINUTE)
    assert await times(mesh, "once") == ["12:01:00"]


async def test_what_a_bare_client_puts_runs_from_then_on(mesh: TestMesh) -> None:
    await put(mesh, "bare", {"every_s": 30, "task": {"goal": "g"}, "future": 1})
    await put(mesh, "late", {"at": (NOW - 9 * MINUTE).isoformat(), "task": {"goal": "g"}})
    for seconds in (1, 29, 30, 31, 61):
        await sweep(mesh, NOW + timedelta(seconds=seconds))

    assert await times(mesh, "bare") == ["12:00:30", "12:01:00"]
    assert await times(mesh, "late") == ["11:51:00"]
    kept = await Bucket(mesh.bus, "schedules").get("bare")
    assert kept is not None
    assert json.loads(kept.value)["future"] == 1


@pytest.mark.parametrize("catch_up, expected", [(True, ["17:00:00"]), (False, [])])
async def test_of_missed_runs_the_latest_is_made_good_or_none(
    mesh: TestMesh, catch_up: bool, expected: list[str]
) -> None:
    schedule = Schedule(id="s", cron="0 * * * *", task=GOAL, catch_up=catch_up)
    await mesh.motet.schedules.add(schedule, now=NOW)

    await sweep(mesh, NOW + timedelta(hours=5, minutes=30))
    assert await times(mesh, "s") == expected
    await sweep(mesh, NOW + timedelta(hours=6))
    assert await times(mesh, "s") == [*expected, "18:00:00"]


async def test_a_punctual_run_makes_missed_ones_good(mesh: TestMesh) -> None:
    await mesh.motet.schedules.add(Schedule(id="s", cron="0 * * * *", task=GOAL), now=NOW)
    for seconds in (30, 90):
        await sweep(mesh, NOW + timedelta(hours=5, seconds=seconds))
    assert await times(mesh, "s") == ["17:00:00"]


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("last", [1, 2, 3])
async def test_a_sweeper_that_is_killed_loses_and_doubles_nothing(
    mesh: TestMesh, last: int, before: bool
) -> None:
    """Its stores are the decision, the submission, and that it was submitted."""
    await mesh.motet.schedules.add(Schedule(id="s", cron="* * * * *", task=GOAL), now=NOW)

    await killed_sweep(mesh, NOW + MINUTE, last, before=before)
    await sweep(mesh, NOW + MINUTE)

    assert await times(mesh, "s") == ["12:01:00"]
    [run] = (await mesh.motet.schedules.get("s")).runs
    assert run.state == "submitted"


async def test_sweepers_that_race_submit_once(mesh: TestMesh) -> None:
    for number in range(5):
        schedule = Schedule(id=f"s{number}", cron="* * * * *", task=GOAL)
        await mesh.motet.schedules.add(schedule, now=NOW)
    for minutes in (1, 2):
        await asyncio.gather(*(sweep(mesh, NOW + minutes * MINUTE) for _ in range(4)))
    for number in range(5):
        assert await times(mesh, f"s{number}") == ["12:01:00", "12:02:00"]


async def test_a_paused_schedule_rests(mesh: TestMesh) -> None:
    schedules = mesh.motet.schedules
    await schedules.add(Schedule(id="s", cron="* * * * *", task=GOAL), now=NOW)
    await put(mesh, "bare", {"every_s": 60, "enabled": False, "task": {"goal": "g"}})
    await schedules.pause("s")
    await sweep(mesh, NOW + 5 * MINUTE)
    assert await times(mesh, "s") == []

    await schedules.resume("s", now=NOW + 5 * MINUTE)
    await put(mesh, "bare", {"every_s": 60, "task": {"goal": "g"}})
    await sweep(mesh, NOW + 5 * MINUTE)
    await sweep(mesh, NOW + 6 * MINUTE)
    assert await times(mesh, "s") == ["12:06:00"]
    assert await times(mesh, "bare") == ["12:06:00"]


async def test_a_pause_that_comes_between_is_not_written_over(
    mesh: TestMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedules = mesh.motet.schedules
    await schedules.add(Schedule(id="s", cron="* * * * *", task=GOAL), now=NOW)
    put, paused = Bucket.put, asyncio.Event()

    async def late(bucket: Bucket, *args: Any) -> int | None:
        if not paused.is_set():
            paused.set()
            await schedules.pause("s")
        return await put(bucket, *args)

    monkeypatch.setattr(Bucket, "put", late)
    await sweep(mesh, NOW + MINUTE)

    standing = await schedules.get("s")
    assert (standing.enabled, standing.runs) == (False, ())
    assert await times(mesh, "s") == []


async def test_a_removed_schedule_is_gone_and_may_come_again(mesh: TestMesh) -> None:
    schedules = mesh.motet.schedules
    await schedules.add(Schedule(id="s", cron="* * * * *", task=GOAL), now=NOW)
    await schedules.remove("s")
    await sweep(mesh, NOW + MINUTE)
    assert (await schedules.list(), await times(mesh, "s")) == ([], [])
    with pytest.raises(FaultError, match="There is no schedule 's'"):
        await schedules.remove("s")

    await schedules.add(Schedule(id="s", cron="* * * * *", task=GOAL), now=NOW + MINUTE)
    with pytest.raises(FaultError, match="There is a schedule 's' already"):
        await schedules.add(Schedule(id="s", every_s=5, task=GOAL), now=NOW)
    await sweep(mesh, NOW + 2 * MINUTE)
    assert await times(mesh, "s") == ["12:02:00"]


async def test_what_cannot_be_read_does_not_stop_the_others(mesh: TestMesh) -> None:
    await put(mesh, "a", b"{broken")
    await put(mesh, "b", b"[1]")
    await put(mesh, "c", {"cron": "61 * * * *", "task": {"goal": "g"}, "since": "2020-01-01T00Z"})
    await put(mesh, "d", {"cron": "* * * * *", "zone": "Mars/Base", "task": {"goal": "g"}})
    await put(mesh, "e", {"v": 2})
    await mesh.motet.schedules.add(Schedule(id="z", cron="* * * * *", task=GOAL), now=NOW)

    await sweep(mesh, NOW + MINUTE)

    assert await times(mesh, "z") == ["12:01:00"]
    found, wrong = await mesh.motet.schedules.all()
    assert [schedule.id for schedule in found] == ["z"]
    assert set(wrong) == {"a", "b", "c", "d", "e"}


async def test_a_run_is_skipped_while_the_one_before_goes_on(mesh: TestMesh) -> None:
    free = asyncio.Event()

    async def wait(task: Task, call: Call) -> Answer:
        await free.wait()
        return Answer(text="done")

    await mesh.join(planner(wait))
    schedules = mesh.motet.schedules
    await schedules.add(Schedule(id="s", cron="* * * * *", task=GOAL, overlap="skip"), now=NOW)
    await sweep(mesh, NOW + MINUTE)
    await sweep(mesh, NOW + 2 * MINUTE)
    [first, second] = (await schedules.get("s")).runs
    assert (second.state, second.reason) == ("skipped", "The run before it had not ended.")

    free.set()
    assert (await mesh.motet.task(first.task or "").result(20)).state == "succeeded"
    await sweep(mesh, NOW + 3 * MINUTE)
    assert [run.state for run in (await schedules.get("s")).runs][-1] == "submitted"


async def test_a_run_is_one_task_with_one_trace(mesh: TestMesh) -> None:
    ran: list[Task] = []

    async def note(task: Task, call: Call) -> Answer:
        ran.append(task)
        return Answer(text="done")

    await mesh.join(planner(note))
    await mesh.motet.schedules.add(Schedule(id="s", cron="* * * * *", task=GOAL), now=NOW)
    await killed_sweep(mesh, NOW + MINUTE, 2, before=False)
    await sweep(mesh, NOW + MINUTE)

    task = "s-20900107T120100Z"
    record = await mesh.motet.task(task).result(20)
    assert record.state == "succeeded"
    assert [each.labels for each in ran] == [
        {"schedule": "s", "scheduled_for": "2090-01-07T12:01:00+00:00"}
    ]
    tree = await mesh.trace(task)
    assert tree.roots[0].span.name == "send motet.task.submit"


async def test_the_loop_runs_what_is_due(mesh: TestMesh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "SWEEP_S", 0.02)
    await put(mesh, "a", b"{broken")
    await put(mesh, "gone", {"every_s": 1, "enabled": False, "task": {"goal": "g"}})
    sweepers = [Scheduler(mesh.bus) for _ in range(2)]
    for each in sweepers:
        await each.start()
    try:
        await put(mesh, "s", {"at": NOW.replace(year=2020).isoformat(), "task": {"goal": "g"}})
        await mesh.filled("TASKS")
    finally:
        for each in sweepers:
            await each.stop()
    assert len(await tasks(mesh, "s")) == 1


async def test_schedules_outlast_the_server(nats_server: TestServer, tmp_path: Path) -> None:
    async with test_mesh(nats_server.url, tmp_path) as mesh:
        await mesh.motet.schedules.add(Schedule(id="s", cron="* * * * *", task=GOAL), now=NOW)
        await sweep(mesh, NOW + MINUTE)
        await killed_sweep(mesh, NOW + 2 * MINUTE, 1, before=False)
        await nats_server.restart()
        await sweep(mesh, NOW + 2 * MINUTE)
        await sweep(mesh, NOW + 3 * MINUTE)
        assert await times(mesh, "s") == ["12:01:00", "12:02:00", "12:03:00"]


SWEEPS = st.lists(
    st.tuples(
        st.integers(1, 60) | st.integers(61, 9000),
        st.integers(1, 3),
        st.tuples(st.integers(1, 7), st.booleans()) | st.none(),
    ),
    max_size=4,
)


@given(cron=CRONS, start=STARTS, sweeps=SWEEPS)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_each_planned_time_is_submitted_exactly_once(
    mesh: TestMesh, cron: str, start: datetime, sweeps: list[Any]
) -> None:
    """All of the last minute before a sweep; of what was missed, the latest if there is no such.

    By any number of sweepers at once, of which any may be killed at any of its writes.
    """
    schedule = Schedule(id=new_id(), cron=cron, zone="Europe/Oslo", task=GOAL)
    await mesh.motet.schedules.add(schedule, now=start)
    expected: list[datetime] = []
    since = now = start
    for seconds, sweepers, killed in sweeps:
        now += timedelta(seconds=seconds)
        if killed is not None:
            await killed_sweep(mesh, now, killed[0], before=killed[1])
        await asyncio.gather(*(sweep(mesh, now) for _ in range(sweepers)))
        coming = listed(schedule, since, now)
        expected += [each for each in coming if each > now - MINUTE] or coming[-1:]
        since = now
    await mesh.motet.schedules.remove(schedule.id)

    found = [task.labels["scheduled_for"] for task in await tasks(mesh, schedule.id)]
    assert found == [each.isoformat() for each in expected]
