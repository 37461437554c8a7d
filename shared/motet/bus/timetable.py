"""Timetables: when a schedule runs.

Invariants:

- A planned time depends on the schedule's rule alone, never on who asks or when. So all who ask
  agree, and an id that is made from it is the same for all.
- Times are handled in UTC: two local times compare by what the clock on the wall shows.

Cron is read by cronsim, which follows Debian's cron. Where clocks are put forward, a job whose hour
and minute are fixed runs at once after the gap; where they are put back, it runs once; other jobs
run as time goes by.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from motet.errors import FaultError
from motet.messages import FaultType, Schedule

__all__ = ["LATE_S", "Due", "check", "due", "next_time"]

LATE_S = 60.0
"""Seconds after which a run that was not begun counts as missed."""


@dataclass(frozen=True, slots=True)
class Due:
    """A planned time that has come."""

    planned: datetime
    missed: bool
    """Whether it came longer ago than `LATE_S`, and everything else since then as well."""


def check(schedule: Schedule, now: datetime) -> None:
    """Refuses a schedule that would never run.

    Raises:
        FaultError: `invalid_input`.
    """
    if schedule.at is not None and schedule.at <= now:
        raise _wrong(schedule, f"its time {schedule.at.isoformat()} has passed")
    if next_time(schedule, now) is None:
        raise _wrong(schedule, f"the cron expression {schedule.cron!r} matches no time")


def next_time(schedule: Schedule, after: datetime) -> datetime | None:
    """The first planned time after a moment; None when there is none.

    Raises:
        FaultError: `invalid_input` for a cron expression that cannot be read.
    """
    if schedule.at is not None:
        return schedule.at.astimezone(UTC) if schedule.at > after else None
    if schedule.every_s is not None:
        count = int(after.timestamp() // schedule.every_s) + 1
        return datetime.fromtimestamp(count * schedule.every_s, UTC)
    after = after.astimezone(UTC)
    try:
        for local in CronSim(schedule.cron or "", after.astimezone(ZoneInfo(schedule.zone))):
            # Within the hour that comes twice, cronsim begins with what is already past.
            if (moment := local.astimezone(UTC)) > after:
                return moment
    except CronSimError as error:
        raise _wrong(schedule, f"{schedule.cron!r} is no cron expression ({error})") from None
    return None


def due(schedule: Schedule, now: datetime) -> Due | None:
    """What is to be decided next of a schedule that has a `since`; None when nothing is due.

    What has come within `LATE_S` is given one by one, the oldest first. Only where there is no such
    thing, the latest of what was missed.
    """
    if schedule.since is None:
        return None
    recent = max(schedule.since, now - timedelta(seconds=LATE_S))
    planned = next_time(schedule, recent)
    if planned is not None and planned <= now:
        return Due(planned, missed=False)
    planned = _last_time(schedule, schedule.since, recent)
    return None if planned is None else Due(planned, missed=True)


def _last_time(schedule: Schedule, after: datetime, until: datetime) -> datetime | None:
    """The latest planned time after a moment and up to another one.

    Found by halving: there is one after `begin` exactly if the first one is not after `until`.
    Planned times are a second apart or more.
    """

    def first(begin: datetime) -> datetime | None:
        planned = next_time(schedule, begin)
        return planned if planned is not None and planned <= until else None

    found, none = after, until
    while none - found > timedelta(seconds=1):
        middle = found + (none - found) / 2
        if first(middle) is None:
            none = middle
        else:
            found = middle
    return first(found)


def _wrong(schedule: Schedule, problem: str) -> FaultError:
    return FaultError.of(
        FaultType.INVALID_INPUT, f"Schedule {schedule.id!r} never runs: {problem}."
    )
