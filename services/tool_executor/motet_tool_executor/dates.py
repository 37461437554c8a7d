"""The tool `dates`: calendar arithmetic on dates as people write them.

A date is read only if it can be read in one way: `3 March 2024`, `March 3rd, 2024`, `2024-03-03`,
`25/12/2024`, but not `03/04/2024`, not `3/4/24`, and nothing that names no day or no year. A time
of day is dropped. The calendar is the Gregorian one from year 1 to 9999, also before it was
introduced. Every operation takes a fixed number of steps, however far the dates are apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import assert_never
from zoneinfo import ZoneInfo, available_timezones

from dateutil.parser import ParserError
from dateutil.parser import parse as parse_by_dateutil
from dateutil.relativedelta import relativedelta

from motet.errors import FaultError
from motet.messages import DateRequest, DateResult, FaultType, SkillExample, now
from motet_tool_executor.closest import closest, did_you_mean
from motet_tool_executor.registry import Tool, tool

__all__ = ["business_days_between", "dates_tool", "elapsed", "move_by_business_days", "read_date"]

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_NAMED_WEEKDAY = re.compile(r"\b(mon|tue|wed|thu|fri|sat|sun)[a-z]*\b", re.IGNORECASE)
_RELATIVE = {"yesterday": -1, "today": 0, "now": 0, "tomorrow": 1}
_YEAR = re.compile(r"(?<!\d)\d{4}(?!\d)", re.ASCII)
_ISO_WITHOUT_SIGNS = re.compile(r"\d{8}|\d{4}-?W\d{2}-?\d", re.ASCII)
_YEAR_FIRST = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?:[T ]+\d{1,2}:.*)?", re.ASCII)
"""Year, month, day, whatever stands between them, and a time of day."""
_DAYS_OF_WEEK = 7
_BUSINESS_DAYS_OF_WEEK = 5
_DEFAULTS = (datetime(2000, 1, 1), datetime(2001, 2, 2))  # noqa: DTZ001  (only their parts are used)
"""What dateutil fills in for missing parts: where the results differ, a part is missing."""


def dates_tool(clock: Callable[[], datetime] = now, time_zone: str = "UTC") -> Tool:
    """The tool, for a clock and the time zone that `today` is meant in when a request has none."""

    @tool(
        name="dates",
        description=(
            "Calendar arithmetic. `operation`: `add` moves `date` by `years`, `months`, `weeks`, "
            "`days`, `business_days` (negative: back); `difference` counts the days from `date` to "
            "`other`; `business_days` counts them without weekends; `weekday` names the day. "
            "Write dates as 2024-03-31 or 31 March 2024; `today` is a date as well."
        ),
        examples=(
            SkillExample(
                goal="When does a contract of 18 months end that starts on 1 February 2024?",
                input={"operation": "add", "date": "2024-02-01", "months": 18},
            ),
            SkillExample(
                goal="How many days are left until 31 December 2026?",
                input={"operation": "difference", "date": "today", "other": "2026-12-31"},
            ),
        ),
        typical_s=0.01,
    )
    def dates(request: DateRequest) -> DateResult:
        today = _today(clock, request.time_zone or time_zone)
        day = read_date(request.date, today)
        match request.operation:
            case "weekday":
                return DateResult(date=day.isoformat(), weekday=_WEEKDAYS[day.weekday()])
            case "add":
                moved = _moved(day, request)
                return DateResult(date=moved.isoformat(), weekday=_WEEKDAYS[moved.weekday()])
            case "difference":
                other = _other(request, today)
                return DateResult(days=(other - day).days, elapsed=elapsed(day, other))
            case "business_days":
                return DateResult(days=business_days_between(day, _other(request, today)))
        assert_never(request.operation)

    return dates


def read_date(text: str, today: date) -> date:
    """Reads a date that a person wrote.

    Raises:
        FaultError: It is no date, or could be several.
    """
    spaced = " ".join(text.split())
    shift = _RELATIVE.get(spaced.casefold())
    if shift is not None:
        return today + timedelta(days=shift)
    try:
        if match := _YEAR_FIRST.fullmatch(spaced):
            return date(int(match[1]), int(match[3]), int(match[4]))
        if _ISO_WITHOUT_SIGNS.fullmatch(spaced):
            return date.fromisoformat(spaced)
    except ValueError as error:
        raise _unreadable(text, str(error)) from None
    if not _YEAR.search(spaced):
        raise _unreadable(text, "it needs a year of four digits")
    readings = {_parsed(text, spaced, day_first, _DEFAULTS[0]) for day_first in (False, True)}
    if readings != {_parsed(text, spaced, day_first, _DEFAULTS[1]) for day_first in (False, True)}:
        raise _unreadable(text, "it needs a day, a month and a year")
    if len(readings) > 1:
        first, second = sorted(readings)
        raise _unreadable(text, f"it could be {_spelled(first)} or {_spelled(second)}")
    day = readings.pop()
    _check_weekday(text, spaced, day)
    return day


def business_days_between(start: date, end: date) -> int:
    """Mondays to Fridays after `start` up to and with `end`; negative when `end` is earlier."""
    if end < start:
        return -business_days_between(end, start)
    return _business_days_until(end) - _business_days_until(start)


def move_by_business_days(day: date, count: int) -> date:
    """The `count`-th Monday to Friday after `day`, or before it when `count` is negative.

    Raises:
        OverflowError: It is outside the years 1 to 9999.
    """
    if count == 0:
        return day
    weekday = day.weekday()
    # From a weekend, one counts from the business day on the other side of it.
    if weekday >= _BUSINESS_DAYS_OF_WEEK:
        weekday = _BUSINESS_DAYS_OF_WEEK - 1 if count > 0 else _BUSINESS_DAYS_OF_WEEK
    weeks, target = divmod(weekday + count, _BUSINESS_DAYS_OF_WEEK)
    return day + timedelta(days=weeks * _DAYS_OF_WEEK + target - day.weekday())


def elapsed(start: date, end: date) -> str:
    """The span between two dates in whole years, months and days: `2 years 1 day`."""
    span = relativedelta(max(start, end), min(start, end))
    parts = [(span.years, "year"), (span.months, "month"), (span.days, "day")]
    text = " ".join(f"{count} {unit}{'' if count == 1 else 's'}" for count, unit in parts if count)
    return f"{'-' if end < start else ''}{text or '0 days'}"


def _business_days_until(day: date) -> int:
    """Business days from 1 January of year 1, a Monday, up to and with `day`."""
    weeks, rest = divmod(day.toordinal(), _DAYS_OF_WEEK)
    return weeks * _BUSINESS_DAYS_OF_WEEK + min(rest, _BUSINESS_DAYS_OF_WEEK)


def _moved(day: date, request: DateRequest) -> date:
    try:
        moved = day + relativedelta(
            years=request.years, months=request.months, weeks=request.weeks, days=request.days
        )
        return move_by_business_days(moved, request.business_days)
    except (OverflowError, ValueError):
        raise FaultError.of(
            FaultType.INVALID_INPUT,
            f"{day.isoformat()} moved so far is outside the years 1 to 9999.",
        ) from None


def _other(request: DateRequest, today: date) -> date:
    if request.other is None:
        raise FaultError.of(
            FaultType.INVALID_INPUT,
            f"The operation `{request.operation}` needs a second date in `other`.",
            field="other",
        )
    return read_date(request.other, today)


def _today(clock: Callable[[], datetime], time_zone: str) -> date:
    try:
        zone = UTC if time_zone == "UTC" else ZoneInfo(time_zone)
    except (ValueError, OSError, KeyError):  # what ZoneInfo raises, depending on the name
        matches = closest(time_zone, available_timezones())
        raise FaultError.of(
            FaultType.INVALID_INPUT,
            f"`{time_zone}` is not a time zone such as Europe/Berlin.{did_you_mean(matches)}",
            field="time_zone",
            matches=list(matches),
        ) from None
    return clock().astimezone(zone).date()


def _parsed(text: str, spaced: str, day_first: bool, default: datetime) -> date:
    try:
        parsed = parse_by_dateutil(spaced, dayfirst=day_first, default=default, ignoretz=True)
    except (ParserError, OverflowError, ArithmeticError, TypeError, ValueError):
        raise _unreadable(text, "it is not a date") from None
    # dateutil takes any number for a year that fits nothing else: the four digits must be it.
    if f"{parsed.year:04}" not in spaced:
        raise _unreadable(text, "it needs a year of four digits")
    return parsed.date()


def _check_weekday(text: str, spaced: str, day: date) -> None:
    named = _NAMED_WEEKDAY.search(spaced)
    if named and not _WEEKDAYS[day.weekday()].lower().startswith(named[1].lower()):
        raise _unreadable(text, f"{_spelled(day)} is a {_WEEKDAYS[day.weekday()]}")


def _spelled(day: date) -> str:
    return f"{day.day} {day:%B} {day.year}"


def _unreadable(text: str, why: str) -> FaultError:
    return FaultError.of(
        FaultType.INVALID_INPUT,
        f"The date {text!r} cannot be used: {why}. Write it as YYYY-MM-DD.",
        date=text,
    )
