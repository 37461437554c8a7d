"""The tool `table_lookup`: rows and columns of a table, by their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from motet.errors import FaultError
from motet.messages import (
    BlobRef,
    FaultType,
    SkillExample,
    Table,
    TableLookupRequest,
    TableLookupResult,
)
from motet_tool_executor.cells import ColumnNumbers, column_named, key
from motet_tool_executor.closest import closest, did_you_mean
from motet_tool_executor.locale_data import LanguageError
from motet_tool_executor.registry import tool
from motet_tool_executor.tables import TableError, fitted, read_table

__all__ = ["Matching", "matching", "table_lookup", "table_of"]

_LISTED = 10
"""Values that a message lists instead of the closest ones, when a column has no more of them."""
_LISTED_CHARACTERS = 40
_TABLE = """| Quarter | Region | Revenue |
|---|---|---|
| Q1 | North | 1,250 |
| Q2 | North | 980 |"""


@tool(
    description=(
        "Finds rows of a table that is in a text. `table`: the text with the Markdown or CSV "
        "table. `where`: column names and the value that each must have; empty takes all rows. "
        "`select`: names of the columns that are wanted; empty takes all."
    ),
    examples=(
        SkillExample(
            goal="What was the revenue of the North region in Q2?",
            input={
                "table": _TABLE,
                "where": {"Region": "North", "Quarter": "Q2"},
                "select": ["Revenue"],
            },
        ),
        SkillExample(
            goal="List the products that are out of stock.",
            input={
                "table": "Product,Stock\nLamp,0\nDesk,4",
                "where": {"Stock": "0"},
                "select": ["Product"],
            },
        ),
    ),
    typical_s=0.01,
)
def table_lookup(request: TableLookupRequest) -> TableLookupResult:
    """Returns the rows that match all of `where`; none matching is a fault, with what there is."""
    table = table_of(request.table)
    selected = [column_named(table, name) for name in request.select]
    found = matching(table, request.where, request.language)
    columns = selected or range(len(table.columns))
    return TableLookupResult(
        table=Table(
            columns=tuple(table.columns[column] for column in columns),
            rows=tuple(tuple(row[column] for column in columns) for row in found.rows),
        ),
        warnings=found.warnings,
    )


def table_of(given: Table | str | BlobRef) -> Table:
    """The table that a request gives.

    Raises:
        FaultError: `invalid_input` when it is none.
    """
    if isinstance(given, BlobRef):
        raise FaultError.of(
            FaultType.INVALID_INPUT,
            "A file in the object store is read by the agent: call the skill over the bus.",
            field="table",
        )
    try:
        return fitted(read_table(given) if isinstance(given, str) else given)
    except TableError as error:
        raise FaultError.of(FaultType.INVALID_INPUT, str(error), field="table") from None


@dataclass(frozen=True, slots=True)
class Matching:
    """The rows that meet conditions."""

    rows: tuple[tuple[str, ...], ...]
    warnings: tuple[str, ...] = ()


def matching(table: Table, where: Mapping[str, str], language: str | None) -> Matching:
    """The rows in which each column has the value that it should have.

    Raises:
        FaultError: `not_found` when none has, with what there is; as `column_named`.
    """
    wanted = [(column_named(table, name), value) for name, value in where.items()]
    rows, warnings = table.rows, list[str]()
    for column, value in wanted:
        fit = _equal([row[column] for row in rows], value, table, column, language, warnings)
        if not any(fit):
            raise _nothing_found(table, rows, column, value)
        rows = tuple(row for row, fits in zip(rows, fit, strict=True) if fits)
    return Matching(rows, tuple(warnings))


def _equal(
    cells: Sequence[str],
    value: str,
    table: Table,
    column: int,
    language: str | None,
    warnings: list[str],
) -> Sequence[bool]:
    """Which cells have a value: as a text if any does, else as a number."""
    as_text = [key(cell) == key(value) for cell in cells]
    if any(as_text):
        return as_text
    try:
        numbers = ColumnNumbers.of((row[column] for row in table.rows), language)
    except LanguageError as error:
        raise FaultError.of(FaultType.INVALID_INPUT, str(error), field="language") from None
    found = numbers.equal(value, cells)
    if any(found) or numbers.unsure is None:
        return found
    found = numbers.other.equal(value, cells)
    if any(found):
        cell = next(cell for cell, fits in zip(cells, found, strict=True) if fits)
        warnings.append(
            f"`{cell}` in the column `{table.columns[column]}` was taken for `{value}`: give "
            "`language` if the point stands before decimals."
        )
    return found


def _nothing_found(
    table: Table, rows: Sequence[tuple[str, ...]], column: int, value: str
) -> FaultError:
    """Tells a value that the column does not have from one that no remaining row has."""
    elsewhere = len(rows) < len(table.rows) and any(
        key(row[column]) == key(value) for row in table.rows
    )
    values = dict.fromkeys(row[column] for row in rows)
    matches = closest(value, values)
    if not values:
        hint = " The table has no rows."
    elif len(values) <= _LISTED and all(len(each) <= _LISTED_CHARACTERS for each in values):
        hint = f" There are {', '.join(f'`{each}`' for each in values)}."
    else:
        hint = did_you_mean(matches)
    among = " among the rows that fit the other conditions" if len(rows) < len(table.rows) else ""
    problem = "only other rows have it" if elsewhere else "no row has it"
    return FaultError.of(
        FaultType.NOT_FOUND,
        f"`{table.columns[column]}` is nowhere `{value}`{among}; {problem}.{hint}",
        column=table.columns[column],
        value=value,
        matches=list(matches),
    )
