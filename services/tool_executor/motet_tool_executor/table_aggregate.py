"""The tool `table_aggregate`: one value over the rows of a table, or one for each group of them.

Numbers are read as `cells` says, and computed exactly. A cell that holds no number is left out, and
said to be; numbers of different currencies, and percentages with other numbers, are refused.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from motet.errors import FaultError
from motet.messages import (
    FaultType,
    SkillExample,
    Table,
    TableAggregateRequest,
    TableAggregateResult,
    TableComparison,
)
from motet_tool_executor import arithmetic
from motet_tool_executor.arithmetic import Number
from motet_tool_executor.cells import ColumnNumbers, column_named, key
from motet_tool_executor.locale_data import LanguageError
from motet_tool_executor.numerals import Numeral, decimal_text, rounded_text
from motet_tool_executor.registry import tool
from motet_tool_executor.table_lookup import matching, table_of

__all__ = ["table_aggregate"]

Row = tuple[str, ...]

_COMPUTE: Mapping[str, Callable[[Sequence[Number]], Number]] = {
    "sum": arithmetic.total,
    "mean": arithmetic.mean,
    "median": arithmetic.median,
    "min": arithmetic.minimum,
    "max": arithmetic.maximum,
}
_COMPARE: Mapping[str, Callable[[Fraction, Fraction], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_QUOTED = 3
"""Cells without a number that a warning quotes."""
_TABLE = """| Site | Country | Staff |
|---|---|---|
| Oslo | NO | 1,250 |
| Bergen | NO | 340 |
| Rome | IT | 95 |"""


@tool(
    description=(
        "Computes over the rows of a table. `table`: the text with the Markdown or CSV table. "
        "`operation`: count, sum, mean, median, min or max. `column`: the one with the numbers. "
        "`where`: column names and the value that each row must have. `compare`: conditions such "
        "as > on a column. `group_by`: a column, for one result for each of its values."
    ),
    examples=(
        SkillExample(
            goal="How many people work at the sites in Norway?",
            input={
                "table": _TABLE,
                "operation": "sum",
                "column": "Staff",
                "where": {"Country": "NO"},
            },
        ),
        SkillExample(
            goal="How many products cost more than 50?",
            input={
                "table": "Product,Price\nLamp,49.90\nDesk,180\nChair,75",
                "operation": "count",
                "compare": [{"column": "Price", "operator": ">", "value": "50"}],
            },
        ),
    ),
    typical_s=0.01,
)
def table_aggregate(request: TableAggregateRequest) -> TableAggregateResult:
    """Computes `operation` over the rows that meet all conditions."""
    table = table_of(request.table)
    try:
        return _Aggregation(table, request).result()
    except LanguageError as error:
        raise FaultError.of(FaultType.INVALID_INPUT, str(error), field="language") from None


@dataclass(frozen=True, slots=True)
class _Value:
    """A result over some rows."""

    value: Number
    rows: int
    skipped: int

    @property
    def text(self) -> tuple[str, bool]:
        """In decimals, and whether that is exact."""
        if isinstance(self.value, Fraction):
            return decimal_text(self.value)
        return rounded_text(self.value), False


class _Aggregation:
    """One request at work."""

    def __init__(self, table: Table, request: TableAggregateRequest) -> None:
        self._table = table
        self._request = request
        self._warnings: list[str] = []
        self._columns: dict[int, ColumnNumbers] = {}
        if request.operation != "count" and request.column is None:
            raise FaultError.of(
                FaultType.INVALID_INPUT,
                f"`{request.operation}` needs the name of a column with numbers in `column`.",
                field="column",
            )
        self._column = None if request.column is None else column_named(table, request.column)
        self._currency: str | None = None
        self._percentage: bool | None = None

    def result(self) -> TableAggregateResult:
        rows = self._rows()
        request = self._request
        if request.group_by is not None:
            return self._grouped(rows, column_named(self._table, request.group_by))
        found = self._value(rows)
        text, exact = found.text
        return self._answer(
            value=text,
            exact=exact,
            rows=found.rows,
            skipped=found.skipped,
            at=self._at(rows, found),
        )

    def _answer(self, **fields: object) -> TableAggregateResult:
        return TableAggregateResult.model_validate(
            {
                "currency": self._currency,
                "percentage": bool(self._percentage),
                "warnings": tuple(dict.fromkeys(self._warnings)),
                **fields,
            }
        )

    def _grouped(self, rows: Sequence[Row], column: int) -> TableAggregateResult:
        groups: dict[str, list[Row]] = {}
        for row in rows:
            groups.setdefault(key(row[column]), []).append(row)
        lines: list[Row] = []
        exact, skipped = True, 0
        for members in groups.values():
            found = self._value(members)
            text, is_exact = found.text
            exact, skipped = exact and is_exact, skipped + found.skipped
            lines.append((members[0][column], text, str(found.rows)))
        name = self._request.operation if self._column is None else self._request.column
        columns = (self._table.columns[column], f"{self._request.operation}({name})", "rows")
        return self._answer(
            exact=exact,
            rows=len(rows) - skipped,
            skipped=skipped,
            groups=Table(columns=columns, rows=tuple(lines)),
        )

    # Rows.

    def _rows(self) -> Sequence[Row]:
        """The rows that meet all conditions, which may be none."""
        try:
            found = matching(self._table, self._request.where, self._request.language)
        except FaultError as error:
            if error.fault.type != FaultType.NOT_FOUND or "value" not in error.fault.detail:
                raise
            self._warnings.append(error.fault.message)
            return ()
        self._warnings += found.warnings
        rows: Sequence[Row] = found.rows
        for comparison in self._request.compare:
            rows = [row for row in rows if self._meets(row, comparison)]
        return rows

    def _meets(self, row: Row, comparison: TableComparison) -> bool:
        column = column_named(self._table, comparison.column)
        numbers, cell = self._numbers(column), row[column]
        if comparison.operator in ("=", "!="):
            same = key(cell) == key(comparison.value)
            same = same or numbers.equal(comparison.value, [cell])[0]
            return same == (comparison.operator == "=")
        limit = numbers.read(comparison.value)
        if limit is None:
            raise FaultError.of(
                FaultType.INVALID_INPUT,
                f"`{comparison.value}` is no number that `{comparison.column}` can be compared "
                f"with by `{comparison.operator}`.",
                field="compare",
            )
        number = numbers.read(cell)
        if number is None:
            self._warnings.append(
                f"`{cell}` in the column `{comparison.column}` is no number, and not compared."
            )
            return False
        return _COMPARE[comparison.operator](number.value, limit.value)

    def _numbers(self, column: int) -> ColumnNumbers:
        if column not in self._columns:
            cells = [row[column] for row in self._table.rows]
            numbers = ColumnNumbers.of(cells, self._request.language)
            self._columns[column] = numbers
            if numbers.unsure is not None:
                name = self._table.columns[column]
                self._warnings.append(
                    f"The point in `{numbers.unsure}` of the column `{name}` was read as standing "
                    "before decimals: give `language` if it parts thousands."
                )
        return self._columns[column]

    # Values.

    def _value(self, rows: Sequence[Row]) -> _Value:
        column = self._column
        if column is None:
            return _Value(Fraction(len(rows)), len(rows), 0)
        if self._request.operation == "count":
            filled = sum(bool(row[column]) for row in rows)
            return _Value(Fraction(filled), filled, len(rows) - filled)
        cells = [row[column] for row in rows]
        numbers = [each for each in map(self._numbers(column).read, cells) if each is not None]
        self._tell_skipped([cell for cell in cells if self._numbers(column).read(cell) is None])
        for number in numbers:
            self._check(number)
        if not numbers and self._request.operation != "sum":
            name = self._table.columns[column]
            raise FaultError.of(
                FaultType.NOT_FOUND,
                f"No row that meets the conditions has a number in the column `{name}`.",
                column=name,
            )
        values: list[Number] = [number.value for number in numbers]
        value = _COMPUTE[self._request.operation](values) if values else Fraction(0)
        return _Value(value, len(values), len(cells) - len(values))

    def _check(self, number: Numeral) -> None:
        """All numbers are of one kind."""
        if number.currency is not None:
            if self._currency not in (None, number.currency):
                raise self._mixed(f"{self._currency} and {number.currency}")
            self._currency = number.currency
        if self._percentage is None:
            self._percentage = number.percentage
        elif self._percentage != number.percentage:
            raise self._mixed("percentages and other numbers")

    def _mixed(self, what: str) -> FaultError:
        return FaultError.of(
            FaultType.INVALID_INPUT,
            f"The column `{self._request.column}` mixes {what}, which do not add up: take the rows "
            "of one kind with `where`, or `group_by`.",
            field="column",
        )

    def _tell_skipped(self, cells: Sequence[str]) -> None:
        if cells:
            quoted = ", ".join(f"`{cell[:40]}`" for cell in list(dict.fromkeys(cells))[:_QUOTED])
            self._warnings.append(f"{len(cells)} cells hold no number and are left out: {quoted}.")

    def _at(self, rows: Sequence[Row], found: _Value) -> Table | None:
        column = self._column
        if column is None or self._request.operation not in ("min", "max"):
            return None
        numbers = self._numbers(column)
        there = [
            row
            for row in rows
            if (number := numbers.read(row[column])) is not None
            and arithmetic.equal(number.value, found.value)
        ]
        return Table(columns=self._table.columns, rows=tuple(there))
