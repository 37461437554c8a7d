"""Cells of tables: when two texts are the same value, and what numbers a column holds.

What always holds:

- Texts are compared without regard to case, to white space and to how Unicode composes a character.
- `1,250` is `1250` and `74.9` is `74.90`, but `007` is not `7`: what begins with a zero is a name.
- Which sign stands before decimals is decided for a whole column, by the language where one is
  given, else by the cells that have one reading. `1.250` alone says nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from motet.errors import FaultError
from motet.messages import FaultType, Table
from motet_tool_executor.closest import closest, did_you_mean
from motet_tool_executor.locale_data import decimal_comma
from motet_tool_executor.numerals import Numeral, NumeralError, parse_numeral

__all__ = ["ColumnNumbers", "column_named", "key"]

_NAME = re.compile(r"[^\d]*0\d|.*\d[eE][+-]?\d")
"""Digits that are a name: with a zero before others, or with what may be an exponent."""
_COMMA_DECIMAL = re.compile(r"\d,(?:\d{1,2}|\d{4,})(?!\d|[,.]\d)|\d\.\d{3}[,.]\d|[\s'’]\d{3},\d")
_POINT_DECIMAL = re.compile(r"\d\.(?:\d{1,2}|\d{4,})(?!\d|[,.]\d)|\d,\d{3}[,.]\d|[\s'’]\d{3}\.\d")
_POINT_EITHER = re.compile(r"(?<!\d)[1-9]\d{0,2}\.\d{3}(?![\d.,])")


def key(text: str) -> str:
    """What is compared of a text."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(
        sign
        for sign in unicodedata.normalize("NFKC", folded)
        if not sign.isspace() and unicodedata.category(sign) != "Cf"
    )


@dataclass(frozen=True, slots=True)
class ColumnNumbers:
    """How the numbers of a column are written."""

    language: str | None
    comma: bool
    """Whether a comma stands before decimals."""
    unsure: str | None = None
    """A cell that could be read in both ways, where none says which is right."""

    @classmethod
    def of(cls, cells: Iterable[str], language: str | None) -> ColumnNumbers:
        """Of the cells of one column.

        Raises:
            LanguageError: There is no such language.
        """
        if language is not None:
            return cls(language, decimal_comma(language))
        cells = tuple(cells)
        commas = any(map(_COMMA_DECIMAL.search, cells))
        points = any(map(_POINT_DECIMAL.search, cells))
        if commas or points:
            return cls(None, commas and not points)
        return cls(None, comma=False, unsure=next(filter(_POINT_EITHER.search, cells), None))

    @property
    def other(self) -> ColumnNumbers:
        """The other way to read them."""
        return ColumnNumbers(self.language, not self.comma)

    def read(self, cell: str) -> Numeral | None:
        """The number in a cell; None when there is none."""
        try:
            return parse_numeral(cell, self.language, comma=self.comma)
        except NumeralError:
            return None

    def equal(self, wanted: str, cells: Sequence[str]) -> tuple[bool, ...]:
        """Whether each cell is the number that is wanted, however both are written."""
        number = None if _NAME.match(wanted) else self.read(wanted)
        if number is None:
            return (False,) * len(cells)
        return tuple(
            not _NAME.match(cell)
            and (found := self.read(cell)) is not None
            and _same(number, found)
            for cell in cells
        )


def column_named(table: Table, name: str) -> int:
    """The index of a column.

    Raises:
        FaultError: `not_found` with what there is, or `invalid_input` when several have the name.
    """
    found = [index for index, column in enumerate(table.columns) if key(column) == key(name)]
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


def _same(wanted: Numeral, found: Numeral) -> bool:
    currencies = {wanted.currency, found.currency} - {None}
    return (
        wanted.value == found.value
        and wanted.percentage == found.percentage
        and len(currencies) < 2
    )
