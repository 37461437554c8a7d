"""Tools: what the `tool_executor` agent takes and gives."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from motet.messages.base import Message, Value
from motet.messages.blob import BlobRef

__all__ = [
    "CalculateRequest",
    "CalculateResult",
    "ConvertRequest",
    "ConvertResult",
    "DateRequest",
    "DateResult",
    "Table",
    "TableAggregateRequest",
    "TableAggregateResult",
    "TableComparison",
    "TableLookupRequest",
    "TableLookupResult",
]


Language = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$")]
"""A BCP 47 tag, such as `de` or `de-CH`."""


class CalculateRequest(Message):
    """Exact arithmetic."""

    # Models write numbers where text is asked for.
    model_config = ConfigDict(coerce_numbers_to_str=True)

    expression: str = Field(min_length=1, max_length=1000)
    """Such as `(1250 - 980) / 980 * 100` or `revenue * 0.2`: + - * / // % **, parentheses, pi, and
    abs, min, max, sum, mean, median, count, round (halves away from zero), floor, ceil, sqrt, pow,
    mod, exp, ln, log10, log2. `12%` is 0.12, and `^` is a power."""
    variables: dict[str, str] = Field(default_factory=dict, max_length=64)
    """Values of names in the expression, as the text has them: `"1,250.50"`, `"$3.2 million"`,
    `"12%"`, `"CHF 1'250.50"`."""
    language: Language | None = None
    """The language that the values are written in: `1.250` is 1250 in `de`. Without one, what has
    two readings is read as in English."""


class CalculateResult(Message):
    """An exact value."""

    value: str
    """Exact when `exact`; otherwise rounded to 28 significant digits."""
    exact: bool
    """Whether `value` is the mathematical value (a quotient such as 1/3 is not)."""
    fraction: str | None = None
    """The value as a reduced fraction, such as `1/3`; None when it is irrational, or was rounded
    on the way."""
    expression: str
    """The expression with its variables filled in."""


class ConvertRequest(Message):
    """Converts a quantity between units."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    value: str = Field(min_length=1, max_length=64)
    """A decimal number, such as `26.2`."""
    from_unit: str = Field(min_length=1, max_length=64)
    """Such as `mile`, `km/h`, `degC`."""
    to_unit: str = Field(min_length=1, max_length=64)
    """The unit that is wanted."""
    language: Language | None = None
    """The language of the number and of the units' names; those of English are always read."""


class ConvertResult(Message):
    """A converted quantity."""

    value: str
    """The converted number, to at most 28 significant digits."""
    unit: str
    """Its unit, as it was asked for."""
    warnings: tuple[str, ...] = ()
    """How units were read that have several meanings, a sentence each."""


class DateRequest(Message):
    """Arithmetic on dates."""

    operation: Literal["add", "difference", "weekday", "business_days"]
    """`add` moves `date` by the given amounts; `difference` and `business_days` count days from
    `date` to `other` (the first excluded, the last included; negative when `other` is earlier);
    `weekday` names the day. Business days are Mondays to Fridays; holidays are not known."""
    date: str = Field(min_length=1, max_length=64)
    """ISO 8601, or as people write it: `3 March 2024`; or `today`, `tomorrow`, `yesterday`."""
    other: str | None = Field(default=None, max_length=64)
    """The second date, for `difference` and `business_days`."""
    years: int = Field(default=0, ge=-10_000, le=10_000)
    """For `add`, as all amounts: years and months first, to the month's last day at most."""
    months: int = Field(default=0, ge=-100_000, le=100_000)
    weeks: int = Field(default=0, ge=-100_000, le=100_000)
    days: int = Field(default=0, ge=-1_000_000, le=1_000_000)
    business_days: int = Field(default=0, ge=-1_000_000, le=1_000_000)
    """Counted after all others."""
    time_zone: str | None = Field(default=None, max_length=64)
    """IANA name of the time zone that `today` is meant in, such as `Europe/Berlin`."""


class DateResult(Message):
    """A date or a span of days."""

    date: str | None = None
    """ISO 8601 date, for `add` and `weekday`."""
    days: int | None = None
    """A number of days, for `difference` and `business_days`."""
    elapsed: str | None = None
    """The same span in calendar units, such as `2 years 3 months 1 day`, for `difference`."""
    weekday: str | None = None
    """The English name of the day, for `weekday` and `add`."""


class Table(Value):
    """A table as text."""

    columns: tuple[str, ...] = Field(min_length=1, max_length=200)
    rows: tuple[tuple[str, ...], ...] = Field(max_length=10_000)


class TableLookupRequest(Message):
    """Looks values up in a table, given as such, as Markdown or CSV text, or as a file with it."""

    table: Table | str | BlobRef
    """The table; of a longer text, its first Markdown table."""
    where: dict[str, str] = Field(default_factory=dict, max_length=32)
    """Column and the value it must have, compared without regard to case and spaces; numbers are
    equal however they are written."""
    select: tuple[str, ...] = ()
    """Columns to return; empty means all."""
    language: Language | None = None
    """The language of numbers in it: `1.250` is 1250 in `de`. None tells it from the column."""


class TableLookupResult(Message):
    """The rows that were found."""

    table: Table
    """The matching rows."""
    warnings: tuple[str, ...] = ()
    """What could have been read otherwise, a sentence each."""


class TableComparison(Value):
    """A condition on a column."""

    column: str = Field(min_length=1, max_length=200)
    operator: Literal["=", "!=", "<", "<=", ">", ">="]
    """How the column's value compares with `value`, as numbers; `=` and `!=` as texts too."""
    value: str = Field(min_length=1, max_length=1000)


class TableAggregateRequest(Message):
    """Computes one value over the rows of a table, or one for each group of them."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    table: Table | str | BlobRef
    """As in `TableLookupRequest`."""
    operation: Literal["count", "sum", "mean", "median", "min", "max"]
    """What to compute. `count` counts rows, or with `column` those that have something in it."""
    column: str | None = Field(default=None, max_length=200)
    """The column with the numbers."""
    where: dict[str, str] = Field(default_factory=dict, max_length=32)
    """As in `TableLookupRequest`: only these rows are taken. None that fits counts as 0 rows."""
    compare: tuple[TableComparison, ...] = Field(default=(), max_length=32)
    """Further conditions that each row must meet."""
    group_by: str | None = Field(default=None, max_length=200)
    """A column, for each of whose values one result is computed."""
    language: Language | None = None
    """As in `TableLookupRequest`."""


class TableAggregateResult(Message):
    """What was computed over a table."""

    value: str | None = None
    """The result, to at most 28 significant digits where it does not end; None where there is one
    for each group."""
    exact: bool = True
    """Whether `value`, and each group's, is the mathematical value."""
    rows: int = Field(ge=0)
    """How many rows were taken into it."""
    skipped: int = Field(default=0, ge=0)
    """How many rows met the conditions, and had no number in the column."""
    currency: str | None = None
    """ISO 4217 code, or sign, of the numbers, where they have one."""
    percentage: bool = False
    """Whether the numbers are percentages; `value` is then the share, 0.12 for 12%."""
    at: Table | None = None
    """The rows that have the value, for `min` and `max` without groups."""
    groups: Table | None = None
    """The groups, each with its value and its number of rows."""
    warnings: tuple[str, ...] = ()
    """What was left out, or could have been read otherwise, a sentence each."""
