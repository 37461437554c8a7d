"""Conditions in SQL: who sees what, and filters with what the catalogue stores to filter by.

What is stored and how a filter is translated is that of `qdrant_filters`, so that a filter means
the same in every store. A condition is a fragment about `p.row`, the number of a passage. Values
are always bound, never written into the SQL.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from typing_extensions import override

from motet.messages import Filter, Passage, Principal
from motet_retriever.stores.port import Level, Query
from motet_retriever.stores.qdrant_filters import Terms, attributes, translate
from motet_retriever.stores.qdrant_payload import found_by, named_by, seen_by

__all__ = [
    "Sql",
    "among",
    "filterable",
    "filtered",
    "found",
    "join",
    "marks",
    "microseconds",
    "narrowed",
    "readable",
    "seen",
]

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


SQL = SqlTerms()


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


def seen(principal: Principal, *levels: Level) -> Sql:
    """Holds for the rows that the principal finds, where others say which rows to look at."""
    return _seen_by_one(seen_by(principal, *levels))


def found(query: Query) -> Sql:
    """The same for the rows that a search finds."""
    return _seen_by_one(found_by(query))


def _seen_by_one(keys: Sequence[str]) -> Sql:
    # The plus sign: a row has few lines, which are looked up once, not once for each key.
    return Sql(
        f"EXISTS (SELECT 1 FROM finders AS f WHERE f.row = p.row AND +f.key IN ({marks(keys)}))",
        tuple(keys),
    )


def among(keys: Sequence[str]) -> Sql:
    """The same, where this says which rows to look at."""
    return Sql(
        f"p.row IN (SELECT f.row FROM finders AS f WHERE f.key IN ({marks(keys)}))",
        tuple(keys),
    )


def narrowed(query: Query) -> Iterator[Sql]:
    """What a search asks for beside what is seen."""
    if query.sources:
        names = json.dumps(named_by(query))
        yield Sql(
            "p.row IN (SELECT row FROM passages WHERE document IN (SELECT number FROM documents"
            " WHERE id IN (SELECT value FROM json_each(?))))",
            (names,),
        )
    yield from filtered(query.where)


def filtered(where: Filter | None) -> Iterator[Sql]:
    """What a filter asks for."""
    if where is not None:
        yield translate(SQL, where)


def readable(principal: Principal) -> Sql:
    """Holds for the documents, by `number`, that the principal sees."""
    keys = seen_by(principal, "record")
    return Sql(
        f"number IN (SELECT document FROM readers WHERE key IN ({marks(keys)}))",
        tuple(keys),
    )


def marks(values: Sequence[str]) -> str:
    """A question mark for each."""
    return ", ".join("?" * len(values))


def join(*parts: Sql) -> Sql:
    """Holds where all of them do."""
    return SQL.join(must=parts)
