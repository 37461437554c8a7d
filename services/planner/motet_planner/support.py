"""Support: whether a text says a clause, decided by its numbers, its names and its words.

Source of the idea: what a faithful statement copies exactly are its numbers and names, and what it
rephrases are the other words; so the former decide, and the latter only raise doubt.
"""

from __future__ import annotations

from decimal import Decimal
from enum import IntEnum

from motet_planner.words import coverage, matches, names, numbers, terms

__all__ = ["Support", "has_number", "support_of"]

_LITTLE = 0.34
"""Share of a clause's words under which there is doubt."""
_SCALES = (Decimal(1), Decimal(10) ** 3, Decimal(10) ** 6, Decimal(10) ** 9)


class Support(IntEnum):
    """Degrees of support."""

    WRONG = 0
    """A number or a name of the clause is nowhere."""
    UNCLEAR = 1
    """Numbers and names hold, but the words hardly meet."""
    FULL = 2


def support_of(clause: str, passage: str, goal: str = "", computed: str = "") -> Support:
    """How a passage supports a clause, which may also repeat the goal and what was computed."""
    free = f"{goal} {computed}"
    known = f"{passage} {free}"
    if not all(has_number(known, value) for value in numbers(clause)):
        return Support.WRONG
    have = terms(known)
    if not all(matches(name, have) for name in names(clause)):
        return Support.WRONG
    if any(has_number(computed, value) for value in numbers(clause)):
        return Support.FULL
    return Support.FULL if coverage(clause, passage) >= _LITTLE else Support.UNCLEAR


def has_number(text: str, value: Decimal) -> bool:
    """Whether a text has a number, exactly, or rounded to the digits that `value` is given with.

    A rounded number has at least two digits, and may be in thousands, millions or billions.
    """
    exact = numbers(text)
    if value in exact:
        return True
    exponent = value.as_tuple().exponent
    places = -exponent if isinstance(exponent, int) and exponent < 0 else 0
    if value == 0 or places + value.adjusted() < 1:
        return any(each == value * scale for each in exact for scale in _SCALES)
    half = Decimal(5).scaleb(-places - 1)
    return any(abs(each / scale - value) <= half for each in exact for scale in _SCALES)
