"""Dates within texts that should hold numbers: `2024-01-31` is no subtraction."""

from __future__ import annotations

import re
from datetime import date
from itertools import permutations

__all__ = ["DATES_HINT", "date_at"]

DATES_HINT = (
    "a date is no number: count days and move dates with the tool `dates`, or put spaces around "
    "the signs of a calculation"
)

_WRITTEN = re.compile(
    r"([0-9]{1,4})([-/.\u2010-\u2015])([0-9]{1,2})(?:\2([0-9]{1,4}))?(?![0-9]|[.,][0-9])"
)
_YEAR_DIGITS = 4


def date_at(text: str, position: int = 0) -> str | None:
    """The date, or the month of a year, that is written at a position without spaces."""
    if position and (text[position - 1].isdigit() or text[position - 1] in ".,"):
        return None
    match = _WRITTEN.match(text, position)
    if match is None:
        return None
    first, sign, second, third = match.groups()
    if third is None:  # 2024-01: no number that is subtracted begins with a zero
        month = len(first) == _YEAR_DIGITS and sign != "." and second[0] == "0" and len(second) > 1
        return match.group() if month and _is_date(int(first), int(second), 1) else None
    parts = (first, second, third)
    dated = any(len(part) == _YEAR_DIGITS for part in parts) or any(
        len(part) > 1 and part[0] == "0" for part in parts
    )
    orders = permutations(map(int, parts))
    return match.group() if dated and any(_is_date(*order) for order in orders) else None


def _is_date(year: int, month: int, day: int) -> bool:
    try:
        date(year if year > 99 else 2000 + year, month, day)
    except ValueError:
        return False
    return True
