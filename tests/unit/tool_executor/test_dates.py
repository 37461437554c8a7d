"""The tool `dates`."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.errors import FaultError
from motet.messages import DateRequest, DateResult, Fault
from motet_tool_executor.dates import (
    business_days_between,
    dates_tool,
    elapsed,
    move_by_business_days,
    read_date,
)

TODAY = date(2024, 3, 3)
dates = dates_tool(lambda: datetime(2024, 3, 3, 23, 30, tzinfo=UTC))


def run(**request: Any) -> DateResult:
    return dates(DateRequest(**request))


def fault_of(**request: Any) -> Fault:
    with pytest.raises(FaultError) as caught:
        run(**request)
    assert caught.value.fault.type == "invalid_input"
    return caught.value.fault


def outcome_of(request: DateRequest) -> str:
    """The type of the fault that the request ends in, or `ok`."""
    try:
        dates(request)
    except FaultError as error:
        return error.fault.type
    return "ok"


@pytest.mark.parametrize(
    "text",
    [
        "2024-03-13",
        "20240313",
        "2024-3-13",
        "2024/03/13",
        "2024.03.13",
        "2024-W11-3",
        "13 March 2024",
        "13th of March, 2024",
        "March 13, 2024",
        "Mar 13th 2024",
        "13 Mar 2024",
        "13-Mar-2024",
        "13/03/2024",
        "03/13/2024",
        "13.3.2024",
        "Wednesday, 13 March 2024",
        "Wed 13 Mar 2024",
        "2024-03-13T10:00:00Z",
        "2024-03-13 10:00 PST",
        "  13   March\n2024 ",
    ],
)
def test_dates_as_people_write_them(text: str) -> None:
    assert read_date(text, TODAY) == date(2024, 3, 13)


def test_year_month_day_is_never_ambiguous() -> None:
    assert read_date("2012/11/10", TODAY) == read_date("2012-11-10", TODAY) == date(2012, 11, 10)


@pytest.mark.parametrize(
    "text, words",
    [
        ("03/04/2024", "it could be 4 March 2024 or 3 April 2024"),
        ("10.11.2012", "it could be 11 October 2012 or 10 November 2012"),
        ("3/4/24", "year of four digits"),
        ("3 March", "year of four digits"),
        ("Friday", "year of four digits"),
        ("next week", "year of four digits"),
        ("March 2024", "a day, a month and a year"),
        ("2024", "a day, a month and a year"),
        ("Q3 2024", "not a date"),
        ("31 February 2024", "not a date"),
        ("2024-02-30", "day"),
        ("2024-13-01", "month"),
        ("0000-01-01", "year 0"),
        ("Monday 3 March 2024", "3 March 2024 is a Sunday"),
        ("123456789012345678", "year of four digits"),
        (" ", "year of four digits"),
    ],
)
def test_what_is_no_date_or_several_is_refused(text: str, words: str) -> None:
    fault = fault_of(operation="weekday", date=text)
    assert words in fault.message
    assert repr(text) in fault.message


def test_today_is_of_the_time_zone() -> None:
    assert run(operation="weekday", date="today") == DateResult(date="2024-03-03", weekday="Sunday")
    assert run(operation="weekday", date="Today", time_zone="Asia/Tokyo").date == "2024-03-04"
    assert run(operation="weekday", date="tomorrow").date == "2024-03-04"
    assert run(operation="weekday", date="yesterday").date == "2024-03-02"
    in_tokyo = dates_tool(lambda: datetime(2024, 3, 3, 23, 30, tzinfo=UTC), "Asia/Tokyo")
    assert in_tokyo(DateRequest(operation="weekday", date="today")).date == "2024-03-04"


@pytest.mark.parametrize("zone", ["Europe/Berln", "America", "../../etc/passwd", "a\x00b", "/"])
def test_an_unknown_time_zone_is_refused(zone: str) -> None:
    assert "is not a time zone" in fault_of(operation="add", date="today", time_zone=zone).message


def test_a_time_zone_has_closest_matches() -> None:
    fault = fault_of(operation="add", date="today", time_zone="Europe/Berln")
    assert fault.detail["matches"][0] == "Europe/Berlin"


@pytest.mark.parametrize(
    "start, amounts, expected",
    [
        ("2024-01-31", {"months": 1}, "2024-02-29"),
        ("2024-02-29", {"years": 1}, "2025-02-28"),
        ("2024-01-31", {"months": 1, "days": 1}, "2024-03-01"),
        ("2024-03-31", {"months": -1}, "2024-02-29"),
        ("2024-02-01", {"months": 18}, "2025-08-01"),
        ("2024-12-30", {"weeks": 1, "days": 1}, "2025-01-07"),
        ("2024-03-01", {"business_days": 10}, "2024-03-15"),
        ("2024-03-02", {"business_days": 1}, "2024-03-04"),
        ("2024-03-02", {"business_days": -1}, "2024-03-01"),
        ("2024-03-01", {"days": 1, "business_days": 1}, "2024-03-04"),
        ("2024-03-01", {}, "2024-03-01"),
    ],
)
def test_add(start: str, amounts: dict[str, int], expected: str) -> None:
    result = run(operation="add", date=start, **amounts)
    assert result.date == expected
    assert result.weekday == f"{date.fromisoformat(expected):%A}"


@pytest.mark.parametrize(
    "start, amounts",
    [
        ("9999-12-31", {"days": 1}),
        ("0001-01-01", {"days": -1}),
        ("0001-01-01", {"months": -1}),
        ("2024-01-01", {"years": 10_000}),
        ("2024-01-01", {"months": 100_000}),
        ("2024-01-01", {"business_days": -1_000_000}),
        ("9999-12-31", {"business_days": 1}),
    ],
)
def test_dates_outside_the_calendar_are_refused(start: str, amounts: dict[str, int]) -> None:
    assert "years 1 to 9999" in fault_of(operation="add", date=start, **amounts).message


def test_difference() -> None:
    result = run(operation="difference", date="2024-03-01", other="2025-03-31")
    assert (result.days, result.elapsed) == (395, "1 year 30 days")
    back = run(operation="difference", date="2025-03-31", other="2024-03-01")
    assert (back.days, back.elapsed) == (-395, "-1 year 30 days")
    same = run(operation="difference", date="today", other="today")
    assert (same.days, same.elapsed) == (0, "0 days")


def test_a_missing_second_date_is_named() -> None:
    assert "`other`" in fault_of(operation="difference", date="today").message
    assert "`other`" in fault_of(operation="business_days", date="today").message


def test_business_days() -> None:
    assert run(operation="business_days", date="2024-03-01", other="2024-03-31").days == 20
    assert run(operation="business_days", date="2024-03-31", other="2024-03-01").days == -20


# Properties.

days = st.dates()
near = st.dates(min_value=date(2000, 1, 1), max_value=date(2003, 1, 1))


@given(days, st.sampled_from(["%Y-%m-%d", "%d %B %Y", "%B %d, %Y", "%A, %d %b %Y", "%d-%b-%Y"]))
def test_written_dates_are_read_back(day: date, form: str) -> None:
    text = day.strftime(form).replace(str(day.year), f"{day.year:04}") if day.year >= 1000 else ""
    assert read_date(text or day.isoformat(), TODAY) == day


@given(days, days)
def test_adding_a_difference_leads_to_the_other_date(a: date, b: date) -> None:
    apart = (b - a).days
    moved = a + timedelta(days=apart)
    assert moved == b
    if abs(apart) <= 1_000_000:
        result = run(operation="difference", date=a.isoformat(), other=b.isoformat())
        assert result.days == apart
        assert run(operation="add", date=a.isoformat(), days=apart).date == b.isoformat()


def is_business_day(day: date) -> bool:
    return day.weekday() < 5


@given(near, near)
def test_business_days_are_those_that_one_counts(a: date, b: date) -> None:
    first, last = sorted((a, b))
    counted = sum(
        is_business_day(first + timedelta(days=step)) for step in range(1, (last - first).days + 1)
    )
    assert business_days_between(a, b) == (counted if a <= b else -counted)


@given(near, st.integers(min_value=-400, max_value=400))
def test_moving_by_business_days_is_stepping(day: date, count: int) -> None:
    stepped, left = day, abs(count)
    while left:
        stepped += timedelta(days=1 if count > 0 else -1)
        left -= is_business_day(stepped)
    assert move_by_business_days(day, count) == stepped


@given(days, days)
def test_elapsed_is_symmetric(a: date, b: date) -> None:
    assert elapsed(a, b).removeprefix("-") == elapsed(b, a).removeprefix("-")


words = st.sampled_from(
    [*"0123456789/-.,: T", "2024", "March", "mon", "am", "st", "of", "UTC", "+01:00", "today"]
)


@given(st.text(max_size=64) | st.lists(words, max_size=12).map("".join), st.text(max_size=64))
def test_any_text_is_a_date_or_an_invalid_input(text: str, zone: str) -> None:
    request = DateRequest.model_construct(
        operation="difference", date=text, other="today", time_zone=zone
    )
    assert outcome_of(request) in ("ok", "invalid_input")
    assert outcome_of(request.model_copy(update={"time_zone": None})) in ("ok", "invalid_input")
