"""What filters mean, in plain Python, and filters of every kind to try on a store."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hypothesis import strategies as st
from pydantic import AwareDatetime, TypeAdapter

from motet.messages import Passage
from motet.messages.filters import (
    FIELD_KINDS,
    AllOf,
    AnyOf,
    Condition,
    Filter,
    NoneOf,
    is_moment,
)

__all__ = ["described", "filters", "holds"]

MOMENT: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)

TEXTS = ["", "a", "Ab", "ab", "b ab/c", "true", "1", "é", '"', "a.b[0]"]
MOMENTS = [
    "2026-01-01T00:00:00Z",
    "2026-01-01T01:00:00+01:00",
    "2025-12-31T23:59:59.999999Z",
    "2026-06-01T00:00:00Z",
]
NOT_QUITE = ["2026-01-01", "2026-01-01T00:00:00"]
NUMBERS: list[int | float] = [0, 1, -1, 1.0, 1.5, -0.0, 2**53 + 1, 2**53, 2**63, 1e300, 7, 2**70]
NAMES = ["status", "0-b", "A_b"]


def holds(where: Filter, passage: Passage) -> bool:
    """Whether a passage meets a filter."""
    match where:
        case AllOf():
            return all(holds(each, passage) for each in where.all_of)
        case AnyOf():
            return any(holds(each, passage) for each in where.any_of)
        case NoneOf():
            return not any(holds(each, passage) for each in where.none_of)
        case Condition():
            return _holds(where, _values(where, passage))


def _values(asked: Condition, passage: Passage) -> list[Any]:
    if asked.kind == "any":
        value = passage.fields.get(asked.field.removeprefix("fields."))
    else:
        value = getattr(passage, asked.field)
    return [each for each in (value if isinstance(value, tuple) else (value,)) if each is not None]


def _holds(asked: Condition, values: list[Any]) -> bool:
    wanted = [
        MOMENT.validate_python(each) if asked.kind == "time" else each for each in asked.values
    ]
    found = any(_meets(asked.op, value, each) for value in values for each in wanted)
    match asked.op:
        case "exists":
            return bool(values)
        case "missing":
            return not values
        case "ne" | "not_in":
            return not found
        case _:
            return found


def _meets(op: str, value: Any, wanted: Any) -> bool:
    """Whether one value meets an operator or, for `ne` and `not_in`, its opposite."""
    match op:
        case "contains":
            return isinstance(value, str) and wanted in value
        case "prefix":
            return isinstance(value, str) and value.startswith(wanted)
        case "lt" | "lte" | "gt" | "gte":
            return _ordered(value, op, wanted)
        case _:
            return _same(value, wanted)


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _ordered(value: Any, op: str, bound: Any) -> bool:
    if isinstance(bound, str):
        bound = MOMENT.validate_python(bound)
    if isinstance(bound, datetime):
        if isinstance(value, str):
            if not is_moment(value):
                return False
            value = MOMENT.validate_python(value)
        if not isinstance(value, datetime):
            return False
    elif isinstance(value, bool) or not isinstance(value, int | float):
        return False
    else:
        value, bound = float(value), float(bound)
    return {"lt": value < bound, "lte": value <= bound, "gt": value > bound, "gte": value >= bound}[
        op
    ]


scalars = st.one_of(
    st.booleans(), st.sampled_from(NUMBERS), st.sampled_from([*TEXTS, *MOMENTS, *NOT_QUITE])
)


def described() -> st.SearchStrategy[dict[str, Any]]:
    """Fields of a passage."""
    moments = st.sampled_from(MOMENTS).map(MOMENT.validate_python)
    values = st.one_of(scalars, st.lists(scalars, max_size=3).map(tuple))
    return st.fixed_dictionaries(
        {
            "title": st.sampled_from(TEXTS),
            "section": st.lists(st.sampled_from(TEXTS), max_size=3).map(tuple),
            "fields": st.dictionaries(st.sampled_from(NAMES), values, max_size=3),
        },
        optional={
            "page": st.sampled_from([1, 2, 7]),
            "media_type": st.sampled_from(["text/plain", "a"]),
            "language": st.sampled_from(["en", "pt-BR"]),
            "block": st.sampled_from(["text", "table", "code"]),
            "time": moments,
            "ingested_at": moments,
        },
    )


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    """A condition that is allowed, on any field."""
    field = draw(st.sampled_from([*FIELD_KINDS, *(f"fields.{name}" for name in NAMES)]))
    kind = FIELD_KINDS.get(field, "any")
    ops = ["eq", "ne", "in", "not_in", "exists", "missing"]
    ops += ["contains", "prefix"] if kind in ("text", "any") else []
    ops += ["lt", "lte", "gt", "gte"] if kind != "text" else []
    op = draw(st.sampled_from(ops))
    values: st.SearchStrategy[Any] = {
        "text": st.sampled_from([*TEXTS, "table", "en", "text/plain", "s1"]),
        "number": st.sampled_from(NUMBERS),
        "time": st.sampled_from(MOMENTS),
        "any": scalars,
    }[kind]
    if op in ("contains", "prefix"):
        values = st.sampled_from([text for text in [*TEXTS, *MOMENTS, "2026-01"] if text])
    if op in ("lt", "lte", "gt", "gte") and kind == "any":
        values = st.one_of(st.sampled_from(NUMBERS), st.sampled_from(MOMENTS))
    value: Any = None
    if op in ("in", "not_in"):
        value = draw(st.lists(values, max_size=4).map(tuple))
    elif op not in ("exists", "missing"):
        value = draw(values)
    return Condition.model_validate({"field": field, "op": op, "value": value})


def filters() -> st.SearchStrategy[Filter]:
    """Filters of up to four levels."""

    def joined(parts: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
        some = st.lists(parts, min_size=1, max_size=3).map(tuple)
        return st.one_of(
            some.map(lambda each: AllOf(all_of=each)),
            some.map(lambda each: AnyOf(any_of=each)),
            some.map(lambda each: NoneOf(none_of=each)),
        )

    return st.recursive(conditions(), joined, max_leaves=5)
