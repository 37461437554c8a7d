"""The tool `table_lookup`: rows and columns of a table, by their values."""

from __future__ import annotations

from collections.abc import Sequence

from motet.errors import FaultError
from motet.messages import (
    FaultType,
    SkillExample,
    Table,
    TableLookupRequest,
    TableLookupResult,
)
from motet_tool_executor.closest import closest, did_you_mean
from motet_tool_executor.registry import tool
from motet_tool_executor.tables import TableError, fitted, read_table

__all__ = ["table_lookup"]

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
    try:
        table = read_table(request.table) if isinstance(request.table, str) else request.table
        table = fitted(table)
    except TableError as error:
        raise FaultError.of(FaultType.INVALID_INPUT, str(error), field="table") from None
    wanted = [(_column(table, name), value) for name, value in request.where.items()]
    selected = [_column(table, name) for name in request.select] or range(len(table.columns))
    rows = table.rows
    for column, value in wanted:
        key = _key(value)
        matching = tuple(row for row in rows if _key(row[column]) == key)
        if not matching:
            raise _nothing_found(table, rows, column, value)
        rows = matching
    return TableLookupResult(
        table=Table(
            columns=tuple(table.columns[column] for column in selected),
            rows=tuple(tuple(row[column] for column in selected) for row in rows),
        )
    )


def _key(text: str) -> str:
    """What is compared: without case and white space."""
    return "".join(text.casefold().split())


def _column(table: Table, name: str) -> int:
    found = [index for index, column in enumerate(table.columns) if _key(column) == _key(name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise FaultError.of(
            FaultType.INVALID_INPUT,
            f"The table has {len(found)} columns with the name `{name}`: give each its own.",
            column=name,
        )
    matches = closest(name, table.columns)
    known = ", ".join(f"`{column}`" for column in table.columns[:20])
    raise FaultError.of(
        FaultType.NOT_FOUND,
        f"The table has no column `{name}`, only {known}.{did_you_mean(matches)}",
        column=name,
        matches=list(matches),
    )


def _nothing_found(
    table: Table, rows: Sequence[tuple[str, ...]], column: int, value: str
) -> FaultError:
    """Tells a value that the column does not have from one that no remaining row has."""
    key = _key(value)
    elsewhere = len(rows) < len(table.rows) and any(_key(row[column]) == key for row in table.rows)
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
