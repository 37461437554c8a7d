"""A quantity: a number of a text, as `motet.text.numbers` finds it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

__all__ = ["Kind", "Quantity"]

Kind = Literal["plain", "money", "measure", "percent", "date", "time", "version", "ordinal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A number with its sign, unit and kind, where it stands."""

    kind: Kind
    value: Decimal
    """With sign and scale. Of a date yyyymmdd, of a part of one yyyymm or mmdd, of a clock time
    minutes since midnight, of a version its first number."""
    unit: str | None = None
    """The likeliest one: an ISO 4217 code, or a CLDR unit such as `kilogram` and `percent`."""
    units: frozenset[str] = frozenset()
    """All that the unit may be: `$` is the sign of many currencies."""
    alternatives: tuple[Decimal, ...] = ()
    """Other values that it may have."""
    canonical: str
    """In one form: `1850.5`, `2025-04-01`, `2025-04`, `--04-01`, `17:00`, `1.10.2`."""
    start: int
    end: int
    literal: str
    """As it is written, with sign, scale and unit."""
