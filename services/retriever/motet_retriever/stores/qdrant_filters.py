"""Filters in Qdrant's words: what is stored to filter by, and the conditions that ask for it.

The embedded engine and a server have the same conditions under different classes: `Terms` is what
differs, and the translation is one.

Invariants:

- A value is stored under its kind, `text.FIELD`, `flag.FIELD`, `number.FIELD` or `moment.FIELD`,
  so that no engine's idea of equality decides: `true` is not 1, a number is not its text, and only
  what `is_moment` accepts is compared as a moment.
- Whole numbers are compared exactly up to 64 bits, all others as doubles; moments to microseconds.
- What is empty counts as missing.
"""

from __future__ import annotations

import math
import sys
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import AwareDatetime, TypeAdapter

from motet.messages import Passage
from motet.messages.filters import (
    FIELD_KINDS,
    AllOf,
    AnyOf,
    Condition,
    Filter,
    NoneOf,
    Scalar,
    is_moment,
)

__all__ = ["Bound", "Terms", "attributes", "translate"]

C = TypeVar("C")

Bound = Literal["lt", "lte", "gt", "gte"]

INT64 = range(-(1 << 63), 1 << 63)
NOWHERE = "nowhere"
"""A key that no point has."""

_MOMENT: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)


class Terms(ABC, Generic[C]):
    """An engine's conditions. Each holds if it holds for one of the values under `key`."""

    @abstractmethod
    def one_of(self, key: str, values: Sequence[str] | Sequence[int]) -> C:
        """Equals one of them."""

    @abstractmethod
    def number(self, key: str, **bounds: float) -> C:
        """Is within the bounds, by `Bound`."""

    @abstractmethod
    def moment(self, key: str, **bounds: datetime) -> C:
        """Is within the bounds, by `Bound`."""

    @abstractmethod
    def contains(self, key: str, text: str) -> C:
        """Has the text in it."""

    @abstractmethod
    def prefix(self, key: str, text: str) -> C:
        """Begins with the text."""

    @abstractmethod
    def empty(self, key: str) -> C:
        """Holds where there is no value."""

    @abstractmethod
    def join(
        self, must: Sequence[C] = (), should: Sequence[C] = (), must_not: Sequence[C] = ()
    ) -> C:
        """All of `must`, none of `must_not`, and one of `should` unless there is none."""


def attributes(passage: Passage) -> dict[str, Any]:
    """What a passage can be filtered by, as a part of its payload."""
    stored: dict[str, Any] = defaultdict(lambda: defaultdict(list))
    for field, kind in FIELD_KINDS.items():
        value = getattr(passage, field)
        for each in value if isinstance(value, tuple) else (value,):
            if each is None:
                continue
            if kind == "time":
                stored["moment"][field].append(_written(each))
            else:
                _store(stored, field, each)
    custom: dict[str, Any] = defaultdict(lambda: defaultdict(list))
    for name, value in passage.fields.items():
        for each in value if isinstance(value, tuple) else (value,):
            _store(custom, name, each)
            if is_moment(each):
                custom["moment"][name].append(_written(_MOMENT.validate_python(each)))
    for kind, fields in custom.items():
        stored[kind]["fields"] = fields
    return {kind: dict(fields) for kind, fields in stored.items()}


def _store(stored: dict[str, Any], field: str, value: Scalar) -> None:
    if isinstance(value, bool):
        stored["flag"][field].append(_flag(value))
    elif isinstance(value, str):
        stored["text"][field].append(value)
    elif math.isfinite(_double(value)):
        stored["number"][field].append(_number(value))


def translate(terms: Terms[C], where: Filter) -> C:
    """The condition that holds for the points for which `where` does."""
    match where:
        case AllOf():
            return terms.join(must=[translate(terms, each) for each in where.all_of])
        case AnyOf():
            return terms.join(should=[translate(terms, each) for each in where.any_of])
        case NoneOf():
            return terms.join(must_not=[translate(terms, each) for each in where.none_of])
        case Condition():
            return _condition(terms, where)


def _condition(terms: Terms[C], asked: Condition) -> C:
    field, op = asked.field, asked.op
    match op:
        case "eq" | "in":
            return _one_of(terms, asked)
        case "ne" | "not_in":
            return terms.join(must_not=[_one_of(terms, asked)])
        case "missing":
            return _missing(terms, asked)
        case "exists":
            return terms.join(must_not=[_missing(terms, asked)])
        case "contains" | "prefix":
            look = terms.contains if op == "contains" else terms.prefix
            return look(f"text.{field}", str(asked.values[0]))
        case "lt" | "lte" | "gt" | "gte":
            return _within(terms, asked, op)


def _within(terms: Terms[C], asked: Condition, bound: Bound) -> C:
    if asked.moments:
        return terms.moment(f"moment.{asked.field}", **{bound: asked.moments[0]})
    (value,) = asked.values
    limit = math.nan if isinstance(value, str) else _double(value)
    if math.isnan(limit):
        return _never(terms)
    # An engine knows no infinity.
    limit = min(max(limit, -sys.float_info.max), sys.float_info.max)
    return terms.number(f"number.{asked.field}", **{bound: limit})


def _one_of(terms: Terms[C], asked: Condition) -> C:
    field = asked.field
    if asked.kind == "time":
        return _some(
            terms, (terms.moment(f"moment.{field}", gte=at, lte=at) for at in asked.moments)
        )
    flags = [_flag(each) for each in asked.values if isinstance(each, bool)]
    texts = [each for each in asked.values if isinstance(each, str)]
    numbers = [
        _number(each)
        for each in asked.values
        if not isinstance(each, bool | str) and math.isfinite(_double(each))
    ]
    whole = [each for each in numbers if isinstance(each, int)]
    keyed = ((f"flag.{field}", flags), (f"text.{field}", texts), (f"number.{field}", whole))
    parts = [terms.one_of(key, values) for key, values in keyed if values]
    parts += [
        terms.number(f"number.{field}", gte=each, lte=each)
        for each in numbers
        if isinstance(each, float)
    ]
    return _some(terms, parts)


def _missing(terms: Terms[C], asked: Condition) -> C:
    kinds = {"any": ("text", "number", "flag"), "time": ("moment",)}.get(asked.kind, (asked.kind,))
    return terms.join(must=[terms.empty(f"{kind}.{asked.field}") for kind in kinds])


def _some(terms: Terms[C], parts: Iterable[C]) -> C:
    some = list(parts)
    return terms.join(should=some) if some else _never(terms)


def _never(terms: Terms[C]) -> C:
    return terms.one_of(NOWHERE, [""])


def _flag(value: bool) -> str:
    # As text: the embedded engine's binding takes a Python bool for a number.
    return "true" if value else "false"


def _number(value: float) -> int | float:
    """One form for equal numbers: whole ones as int, as far as an engine has them."""
    if value == int(value) and int(value) in INT64:
        return int(value)
    return float(value)


def _double(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number beyond all doubles
        return math.inf if value > 0 else -math.inf


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
