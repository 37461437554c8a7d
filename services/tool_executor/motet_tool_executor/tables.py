"""Tables in text: Markdown and CSV.

A table is read only if all of its rows fit its header: a shorter row is filled up with empty cells,
a longer one is a mistake, since its cells may stand in the wrong columns. Reading is linear in the
length of the text.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence

from motet.messages import Table

__all__ = ["MAX_CHARACTERS", "MAX_COLUMNS", "MAX_ROWS", "TableError", "fitted", "read_table"]

MAX_CHARACTERS = 1_000_000
MAX_COLUMNS = 200
MAX_ROWS = 10_000

_RULE_CELL = re.compile(r":?-+:?")
_UNESCAPED_BAR = re.compile(r"(?<!\\)\|")
_EMPHASIS = re.compile(r"\A(\*\*|__|`)(.+)\1\Z")
_DELIMITERS = (",", ";", "\t", "|")


class TableError(ValueError):
    """A text is no table; the message is a sentence."""


def read_table(text: str) -> Table:
    """Reads the first Markdown table of a text; without one, the whole text as CSV.

    Columns of CSV are separated by whichever of comma, semicolon, tab and bar is most frequent in
    its first line.

    Raises:
        TableError: It is longer than `MAX_CHARACTERS`, has no header, or a row that does not fit.
    """
    if len(text) > MAX_CHARACTERS:
        raise TableError(f"The table has more than {MAX_CHARACTERS:,} characters.")
    lines = text.splitlines()
    for index in range(1, len(lines)):
        if "|" not in lines[index - 1] or "-" not in lines[index]:
            continue
        header, rule = _markdown_cells(lines[index - 1]), _markdown_cells(lines[index])
        if len(header) == len(rule) and all(map(_RULE_CELL.fullmatch, rule)):
            return _table(header, _markdown_rows(lines[index + 1 :]))
    return _read_csv(lines)


def fitted(table: Table) -> Table:
    """The table with rows of equal length.

    Raises:
        TableError: A row has more cells than there are columns.
    """
    return _table(table.columns, table.rows)


def _read_csv(lines: Sequence[str]) -> Table:
    filled = [line for line in lines if line.strip()]
    if not filled:
        raise TableError("The table is empty.")
    delimiter = max(_DELIMITERS, key=filled[0].count)
    if delimiter not in filled[0]:
        raise TableError(
            "The text has no table: neither Markdown with a line such as |---|---| under the "
            "header, nor CSV with commas, semicolons, tabs or bars."
        )
    try:
        rows = list(csv.reader(filled, delimiter=delimiter, skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise TableError(f"The table is not valid CSV: {error}.") from None
    return _table(rows[0], rows[1:])


def _markdown_rows(lines: Iterable[str]) -> Iterable[list[str]]:
    for line in lines:
        if "|" not in line:
            return
        yield _markdown_cells(line)


def _markdown_cells(line: str) -> list[str]:
    inner = line.strip().removeprefix("|")
    if inner.endswith("|") and not inner.endswith("\\|"):
        inner = inner[:-1]
    cells = (cell.strip().replace("\\|", "|") for cell in _UNESCAPED_BAR.split(inner))
    return [_EMPHASIS.sub(r"\2", cell) for cell in cells]


def _table(columns: Iterable[str], rows: Iterable[Sequence[str]]) -> Table:
    header = tuple(cell.strip() for cell in columns)
    body: list[tuple[str, ...]] = []
    if len(header) > MAX_COLUMNS:
        raise TableError(f"The table has {len(header)} columns, more than {MAX_COLUMNS}.")
    for number, row in enumerate(rows, start=1):
        if number > MAX_ROWS:
            raise TableError(f"The table has more than {MAX_ROWS:,} rows.")
        if len(row) > len(header):
            raise TableError(
                f"Row {number} of the table has {len(row)} cells for {len(header)} columns."
            )
        body.append((*(cell.strip() for cell in row), *[""] * (len(header) - len(row))))
    return Table(columns=header, rows=tuple(body))
