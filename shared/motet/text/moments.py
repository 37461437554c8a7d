"""Dates and clock times, as `motet.text.numbers` finds them.

Dates of the Gregorian calendar, in digits or with the month in words: `2025-04-01`, `1.4.2025`,
`1 April 2025`, `April 1st, 2025`, `1er avril`, `2025年4月1日`, `April 2025`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from functools import lru_cache

import regex

from motet.text.cldr import LocaleData, locale_data
from motet.text.folding import fold
from motet.text.quantity import Quantity

__all__ = ["dates_and_times"]

_EDGE = r"(?<![\p{L}\p{N}_.,/:-])"
_END = r"(?![\p{L}\p{N}_]|[-/:.,]\p{N})"
_YEAR_FIRST = regex.compile(
    rf"{_EDGE}(?P<y>\d{{4}})(?P<s>[-/.])(?P<m>\d{{1,2}})(?P=s)(?P<d>\d{{1,2}})(?=[T\s\p{{P}}\p{{S}}]|$)"
    rf"(?![-/]\p{{N}})"
)
_YEAR_LAST = regex.compile(
    rf"{_EDGE}(?P<a>\d{{1,2}})(?P<s>[-/.])\s?(?P<b>\d{{1,2}})(?P=s)\s?(?P<y>\d{{4}}){_END}"
)
_CJK = regex.compile(
    r"(?:(?P<y>\d{4})[年년]\s*)?(?P<m>\d{1,2})[月월]\s*(?:(?P<d>\d{1,2})[日일号])?"
)
_TIME = regex.compile(
    r"(?<![\p{N}.,:/-])(?P<h>\d{1,2})(?:(?P<s>[:.h])(?P<m>[0-5]\d)(?::[0-5]\d)?)?"
    r"(?P<half>\s?\p{L}\.?\s?\p{L}\.?)?(?![\p{L}\p{N}]|[:.,]\p{N})"
)


def dates_and_times(text: str, data: LocaleData) -> Iterator[Quantity]:
    """The dates and clock times of a text, which has its digits in ASCII."""
    spans: list[tuple[int, int]] = []
    for found in (_in_digits(text, data), _with_month(text, data), _times(text, data)):
        for each in found:
            if not any(each.start < end and start < each.end for start, end in spans):
                spans.append((each.start, each.end))
                yield each


def _in_digits(text: str, data: LocaleData) -> Iterator[Quantity]:
    for match in _YEAR_FIRST.finditer(text):
        if day := _date(match["y"], match["m"], match["d"]):
            yield _day(match, day)
    for match in _YEAR_LAST.finditer(text):
        by_day = _date(match["y"], match["b"], match["a"])
        by_month = _date(match["y"], match["a"], match["b"]) if match["s"] != "." else None
        both = [by_month, by_day] if data.month_first else [by_day, by_month]
        days = [day for day in both if day is not None]
        if days:
            yield _day(match, *dict.fromkeys(days))
    for match in _CJK.finditer(text):
        if match["d"] or match["y"]:
            yield from _moment(match, match["y"], int(match["m"]), match["d"])


def _with_month(text: str, data: LocaleData) -> Iterator[Quantity]:
    pattern = _month_pattern(data.language)
    for match in pattern.finditer(text):
        month = data.months[match["month"].rstrip(".")]
        yield from _moment(match, match["y1"] or match["y2"], month, match["d1"] or match["d2"])


def _moment(
    match: regex.Match[str], year: str | None, month: int, day: str | None
) -> Iterator[Quantity]:
    """A date, or the parts of one that are given."""
    if not day and not year:
        return
    if day and year:
        if found := _date(year, str(month), day):
            yield _day(match, found)
    elif day and 1 <= int(day) <= 31 and 1 <= month <= 12:
        yield _quantity(match, Decimal(month * 100 + int(day)), f"--{month:02}-{int(day):02}")
    elif year and 1 <= month <= 12:
        yield _quantity(match, Decimal(int(year) * 100 + month), f"{int(year):04}-{month:02}")


@lru_cache(maxsize=64)
def _month_pattern(language: str) -> regex.Pattern[str]:
    """Dates with the names of months of a language, or of English.

    Between day, month and year may stand a comma, a full stop, the ending of an ordinal, or one
    short word: `1st of April, 2025`, `1 de abril de 2025`, `1. April 2025`.
    """
    names = sorted(locale_data(language).months, key=lambda name: -len(name))
    month = rf"(?P<month>(?:{'|'.join(map(regex.escape, names))})(?![\p{{L}}\p{{M}}])\.?)"
    day = r"(?<![\p{{L}}\p{{N}}.,:/-])(?P<d{0}>\d{{1,2}})(?:\p{{L}}{{1,3}}|[.º])?"
    joint = r"[\s\u00a0]*(?:\p{L}{2,3}\s+)?"
    year = r"(?P<y{0}>\d{{4}})(?![\p{{N}}]|[.,:/-]\p{{N}})"
    return regex.compile(
        rf"(?:{day.format(1)}{joint}{month}(?:,?{joint}{year.format(1)})?"
        rf"|(?<![\p{{L}}\p{{M}}]){month}[\s\u00a0]+(?:(?P<d2>\d{{1,2}})(?:\p{{L}}{{2}}|\.)?(?![\p{{L}}\p{{N}}]|[.:]\p{{N}}))?"
        rf"(?:,?[\s\u00a0]*(?:\p{{L}}{{2,3}}\s+)?{year.format(2)})?)"
    )


def _times(text: str, data: LocaleData) -> Iterator[Quantity]:
    for match in _TIME.finditer(text):
        half = regex.sub(r"[.\s]", "", fold(match["half"] or ""))
        is_half = half in data.afternoon or half in data.morning
        hour, minute = int(match["h"]), int(match["m"] or 0)
        end = match.end() if is_half else match.end() - len(match["half"] or "")
        if hour > 24 or (is_half and not 1 <= hour <= 12):
            continue
        if not is_half and match["s"] not in (":", "h"):
            continue
        if not is_half and text[end : end + 1] == ":":
            continue
        if is_half:
            hour = hour % 12 + (12 if half in data.afternoon else 0)
        yield Quantity(
            kind="time",
            value=Decimal(hour * 60 + minute),
            canonical=f"{hour:02}:{minute:02}",
            start=match.start(),
            end=end,
            literal=text[match.start() : end],
        )


def _date(year: str, month: str, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def _day(match: regex.Match[str], *days: date) -> Quantity:
    values = [Decimal(day.strftime("%Y%m%d")) for day in days]
    return _quantity(match, values[0], days[0].isoformat(), tuple(values[1:]))


def _quantity(
    match: regex.Match[str], value: Decimal, canonical: str, others: tuple[Decimal, ...] = ()
) -> Quantity:
    return Quantity(
        kind="date",
        value=value,
        canonical=canonical,
        alternatives=others,
        start=match.start(),
        end=match.end(),
        literal=match[0],
    )
