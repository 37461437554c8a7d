"""When schedules run, also where clocks change; and those that are none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from motet.bus import next_time
from motet.bus.timetable import check, due
from motet.errors import FaultError
from motet.messages import Schedule, Task
from tests.timetables import CRONS, STARTS, listed

NOW = datetime(2090, 1, 7, 12, 0, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
GOAL = Task(goal="count the sheep")


@pytest.mark.parametrize(
    "cron, day, expected",
    [
        # 2030-03-31 02:00 becomes 03:00 in Oslo, 2030-10-27 03:00 becomes 02:00.
        ("30 2 * * *", "2030-03-31", ["01:00"]),
        ("30 3 * * *", "2030-03-31", ["01:30"]),
        ("30 2 * * *", "2030-10-27", ["00:30"]),
        ("30 * * * *", "2030-10-27", ["00:30", "01:30"]),
        ("0 9 * * *", "2030-10-26", []),
    ],
)
def test_cron_follows_the_clock_of_its_zone(cron: str, day: str, expected: list[str]) -> None:
    schedule = Schedule(id="s", cron=cron, zone="Europe/Oslo", task=GOAL)
    night = datetime.fromisoformat(f"{day}T00:00:00Z")
    found = listed(schedule, night, night + timedelta(hours=2))
    assert [f"{moment:%H:%M}" for moment in found] == expected
    for begin in found:  # whoever asks within the hours that change hears the same
        assert (
            listed(schedule, begin, night + timedelta(hours=2)) == found[found.index(begin) + 1 :]
        )


def test_in_the_hour_that_comes_twice_nothing_past_is_planned() -> None:
    schedule = Schedule(id="s", cron="30 2 * * *", zone="Europe/Oslo", task=GOAL)
    second = datetime.fromisoformat("2030-10-27T01:10:00Z")
    assert next_time(schedule, second) == datetime.fromisoformat("2030-10-28T01:30:00Z")


@given(
    cron=CRONS, start=STARTS, seconds=st.integers(0, 40 * 86400), every=st.none() | st.integers(1)
)
@settings(max_examples=50, deadline=None)
def test_the_latest_missed_time_is_the_last_before_now(
    cron: str, start: datetime, seconds: int, every: int | None
) -> None:
    rule: dict[str, Any] = {"cron": cron} if every is None else {"every_s": every % 86400 + 1}
    schedule = Schedule(id="s", task=GOAL, since=start, zone="Europe/Oslo", **rule)
    now = start + timedelta(seconds=seconds)
    found = due(schedule, now)
    if found is None:
        assert (next_time(schedule, start) or now + MINUTE) > now
        return
    assert start < found.planned <= now
    following = next_time(schedule, found.planned)
    if found.missed:
        assert found.planned <= now - MINUTE
        assert following is None or following > now
    else:
        assert found.planned > now - MINUTE


@pytest.mark.parametrize(
    "values, problem",
    [
        ({"cron": "61 * * * *"}, "'61 * * * *' is no cron expression"),
        ({"cron": "often"}, "is no cron expression"),
        ({"cron": "0 0 31 4,6 1"}, None),
        ({"cron": "0 0 30 2 *"}, "never runs"),
        ({"at": NOW - MINUTE}, "its time 2090-01-07T11:59:00+00:00 has passed"),
    ],
)
def test_a_schedule_that_never_runs_is_refused(values: Any, problem: str | None) -> None:
    schedule = Schedule(id="s", task=GOAL, **values)
    if problem is None:
        check(schedule, NOW)
        return
    with pytest.raises(FaultError) as raised:
        check(schedule, NOW)
    assert raised.value.fault.type == "invalid_input"
    assert problem in raised.value.fault.message


@pytest.mark.parametrize(
    "values, problem",
    [
        ({}, "exactly one of"),
        ({"cron": "* * * * *", "every_s": 5}, "exactly one of"),
        ({"every_s": 5, "zone": "Mars/Base"}, "'Mars/Base' is no time zone"),
        ({"every_s": 5, "zone": "../etc"}, "is no time zone"),
        ({"every_s": 0}, "greater than or equal to 1"),
        ({"every_s": 5, "task": {"goal": "g", "id": "mine"}}, "must have no id"),
        ({"every_s": 5, "id": "a.b"}, "should match pattern"),
    ],
)
def test_what_is_no_schedule_is_refused(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Schedule.model_validate({"id": "s", "task": {"goal": "g"}, **values})
