"""Filters in SQL: what the catalogue stores to filter by, and the conditions that ask for it.

What is stored and how a filter is translated is that of `qdrant_filters`, so that a filter means
the same in every store. A condition is a fragment about `p.row`, the number of a passage. Values are
always bound, never written into the SQL.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from typing_extensions import override

from motet.messages import Passage
from motet_retriever.stores.qdrant_filters import Terms, attributes

__all__ = ["Sql", "SqlTerms", "filterable", "microseconds"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COMPARED = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}


class Sql(NamedTuple):
    """A condition, and what its question marks stand for."""

    text: str
    values: tuple[Any, ...] = ()


class SqlTerms(Terms[Sql]):
    """Conditions on the table `attributes`."""

    @override
    def one_of(self, key: str, values: Sequence[str] | Sequence[int]) -> Sql:
        if len(values) == 1:
            return _where(key, "value = ?", values[0])
        return _where(key, "value IN (SELECT value FROM json_each(?))", json.dumps([*values]))

    @override
    def number(self, key: str, **bounds: float) -> Sql:
        # As doubles, as every store compares them: SQLite would compare a whole number exactly.
        text = " AND ".join(f"CAST(value AS REAL) {COMPARED[bound]} ?" for bound in bounds)
        return _where(key, text, *map(float, bounds.values()))

    @override
    def moment(self, key: str, **bounds: datetime) -> Sql:
        text = " AND ".join(f"value {COMPARED[bound]} ?" for bound in bounds)
        return _where(key, text, *map(microseconds, bounds.values()))

    @override
    def contains(self, key: str, text: str) -> Sql:
        return _where(key, "instr(value, ?) > 0", text)

    @override
    def prefix(self, key: str, text: str) -> Sql:
        return _where(key, "instr(value, ?) = 1", text)

    @override
    def empty(self, key: str) -> Sql:
        return Sql("p.row NOT IN (SELECT row FROM attributes WHERE key = ?)", (key,))

    @override
    def join(
        self, must: Sequence[Sql] = (), should: Sequence[Sql] = (), must_not: Sequence[Sql] = ()
    ) -> Sql:
        parts = [*must, *(Sql(f"NOT {each.text}", each.values) for each in must_not)]
        if should:
            parts.append(_joined(" OR ", should))
        return _joined(" AND ", parts)


def filterable(passage: Passage) -> Iterator[tuple[str, str | int | float]]:
    """What a passage can be filtered by, as keys and values."""
    for kind, fields in attributes(passage).items():
        for field, values in fields.items():
            named = (
                [(f"fields.{name}", each) for name, each in values.items()]
                if field == "fields"
                else [(field, values)]
            )
            for name, each in named:
                for value in each:
                    written = (
                        microseconds(datetime.fromisoformat(value)) if kind == "moment" else value
                    )
                    yield f"{kind}.{name}", written


def microseconds(moment: datetime) -> int:
    """Since 1970."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def _where(key: str, text: str, *values: Any) -> Sql:
    return Sql(f"p.row IN (SELECT row FROM attributes WHERE key = ? AND {text})", (key, *values))


def _joined(by: str, parts: Sequence[Sql]) -> Sql:
    if not parts:
        return Sql("1")
    text = by.join(each.text for each in parts)
    return Sql(f"({text})", tuple(value for each in parts for value in each.values))
