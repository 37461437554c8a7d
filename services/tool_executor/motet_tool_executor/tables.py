"""Tables in text: Markdown and CSV.

A table is read only if all of its rows fit its header: a shorter row is filled up with empty cells,
a longer one is a mistake, since its cells may stand in the wrong columns. A byte order mark is no
part of the text. Reading is linear in the length of the text.
"""

from __future__ import annotations

import csv
import io
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
_DELIMITERS = ("\t", ";", "|", ",")
"""What parts the cells of CSV. Where several fit, the first: commas are in many a cell."""
_STATED = re.compile(r"\Asep=([,;\t|])\n")
"""How spreadsheets state the delimiter."""
_BYTE_ORDER_MARK = "\ufeff"
_BLANK = " \t\n\r\u00a0" + _BYTE_ORDER_MARK
"""What is taken from both ends of a cell."""


class TableError(ValueError):
    """A text is no table; the message is a sentence."""


def read_table(text: str) -> Table:
    """Reads the first Markdown table of a text; without one, the whole text as CSV.

    Columns of CSV are parted by whichever of comma, semicolon, tab and bar gives most rows as many
    cells as the header, so that the others may be in cells.

    Raises:
        TableError: It is longer than `MAX_CHARACTERS`, has no header, or a row that does not fit.
    """
    if len(text) > MAX_CHARACTERS:
        raise TableError(f"The table has more than {MAX_CHARACTERS:,} characters.")
    text = text.lstrip(_BYTE_ORDER_MARK).replace("\r\n", "\n").replace("\r", "\n")
    lines = text.splitlines()
    for index in range(1, len(lines)):
        if "|" not in lines[index - 1] or "-" not in lines[index]:
            continue
        header, rule = _markdown_cells(lines[index - 1]), _markdown_cells(lines[index])
        if len(header) == len(rule) and all(map(_RULE_CELL.fullmatch, rule)):
            return _table(header, _markdown_rows(lines[index + 1 :]))
    return _read_csv(text)


def fitted(table: Table) -> Table:
    """The table with rows of equal length.

    Raises:
        TableError: A row has more cells than there are columns.
    """
    return _table(table.columns, table.rows)


def _read_csv(text: str) -> Table:
    if not text.strip():
        raise TableError("The table is empty.")
    delimiters = _DELIMITERS
    if stated := _STATED.match(text):
        delimiters, text = (stated[1],), text[stated.end() :]
    first = text.strip("\n").partition("\n")[0]
    problem: csv.Error | None = None
    best: list[list[str]] = []
    most = -1.0
    for delimiter in delimiters:
        if delimiter not in first:
            continue
        try:
            rows = _csv_rows(text, delimiter)
        except csv.Error as error:
            problem = error
            continue
        fitting = _share_fitting(rows)
        if fitting > most:
            best, most = rows, fitting
    if best:
        return _table(best[0], best[1:])
    if problem is not None:
        raise TableError(f"The table is not valid CSV: {problem}.")
    raise TableError(
        "The text has no table: neither Markdown with a line such as |---|---| under the "
        "header, nor CSV with commas, semicolons, tabs or bars."
    )


def _csv_rows(text: str, delimiter: str) -> list[list[str]]:
    lines = io.StringIO(text, newline="")
    rows = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    return [row for row in rows if len(row) > 1 or any(cell.strip() for cell in row)]


def _share_fitting(rows: Sequence[Sequence[str]]) -> float:
    """The share of rows with as many cells as the header; below zero where it has only one."""
    width = len(rows[0])
    return sum(len(row) == width for row in rows) / len(rows) if width > 1 else -1.0


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
    header = tuple(cell.strip(_BLANK) for cell in columns)
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
        body.append((*(cell.strip(_BLANK) for cell in row), *[""] * (len(header) - len(row))))
    return Table(columns=header, rows=tuple(body))
