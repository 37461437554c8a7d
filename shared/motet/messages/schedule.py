"""Schedules: tasks that are submitted again and again, or at a time.

A schedule is kept in the bucket `schedules` under its id, as JSON that any NATS client can put:
`{"cron": "0 7 * * 1-5", "zone": "Europe/Oslo", "task": {"goal": "..."}}` is a whole one. The mesh
adds `since` and `runs` to it.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, StringConstraints, field_validator, model_validator

from motet.messages.base import Message, Timestamp, Token, Value
from motet.messages.task import Task

__all__ = ["Schedule", "ScheduledRun"]

MAX_LABELS = 30
"""Labels of a schedule's task: two are added to each run."""


class ScheduledRun(Value):
    """What became of one planned time."""

    planned: Timestamp
    state: Literal["pending", "submitted", "skipped"]
    """`pending`: it was decided that its task is submitted, and that is under way."""
    task: Token | None = None
    """The id of the task, made from the schedule's id and the planned time."""
    reason: str = ""
    """Why it was skipped."""


class Schedule(Message):
    """When which task is submitted; exactly one of `cron`, `at` and `every_s` says when."""

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,40}$")]
    """Its key in the bucket. What is put there may leave it out."""
    task: Task
    """What is submitted, without an id. Each run gets the labels `schedule` and `scheduled_for`."""
    cron: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] | None = None
    """Five fields (minute, hour, day of month, month, day of week) as Debian's cron reads them,
    or six with seconds in front."""
    at: Timestamp | None = None
    """The one time at which it runs."""
    every_s: int | None = Field(default=None, ge=1, le=366 * 24 * 3600)
    """It runs at each multiple of so many seconds since 1970 in UTC: 3600 is on every hour."""
    zone: str = Field(default="UTC", max_length=100)
    """The IANA time zone of `cron`, such as `Europe/Oslo`."""
    enabled: bool = True
    """False while it is paused. What is planned within a pause does not run later."""
    catch_up: bool = True
    """Whether a run that was missed, since nothing of the mesh ran, is made good: the latest one,
    once."""
    overlap: Literal["allow", "skip"] = "allow"
    """Whether it runs while the task of its run before has not ended."""
    created_at: Timestamp | None = None
    since: Timestamp | None = None
    """Planned times up to here are done with. None, and so what leaves it out, begins at the
    moment at which the mesh first sees it."""
    runs: tuple[ScheduledRun, ...] = ()
    """The last runs, the oldest first."""

    @field_validator("zone")
    @classmethod
    def _zone_is_known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(
                f"{zone!r} is no time zone; they are named as in 'Europe/Oslo' or 'UTC'"
            ) from None
        return zone

    @model_validator(mode="after")
    def _says_when_and_what(self) -> Self:
        if [self.cron, self.at, self.every_s].count(None) != 2:
            raise ValueError("exactly one of `cron`, `at` and `every_s` must say when it runs")
        if self.task.id is not None:
            raise ValueError("the task must have no id, for each run is a task of its own")
        if len(self.task.labels) > MAX_LABELS:
            raise ValueError(f"the task may have at most {MAX_LABELS} labels")
        return self
