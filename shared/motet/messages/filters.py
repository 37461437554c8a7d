"""Filters: which passages a search may look at, as a tree of conditions.

    {"field": "language", "op": "eq", "value": "en"}
    {"all_of": [{"field": "time", "op": "gte", "value": "2026-01-01T00:00:00Z"},
                {"none_of": [{"field": "fields.status", "op": "in", "value": ["draft"]}]}]}

A filter narrows what a principal sees and never widens it. What always holds, whichever store
evaluates it:

- A condition on a list (`section`, a field with several values) holds if it holds for one of its
  values; `ne` and `not_in` are the opposites of `eq` and `in`, so they hold for none.
- A passage without the field meets `missing`, `ne` and `not_in`, and nothing else.
- Text is compared exactly, `true` is not 1, and a number is not its text.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AwareDatetime,
    Discriminator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    StringConstraints,
    Tag,
    TypeAdapter,
    model_validator,
)

from motet.messages.base import Value

__all__ = [
    "FIELD_KINDS",
    "AllOf",
    "AnyOf",
    "Condition",
    "CustomFields",
    "FieldKind",
    "FieldName",
    "Filter",
    "NoneOf",
    "Scalar",
    "conditions",
]

MAX_DEPTH = 8
"""Levels of a filter."""
MAX_CONDITIONS = 200

Scalar = StrictBool | StrictInt | StrictFloat | Annotated[StrictStr, Field(max_length=4096)]
"""A value that a condition compares with, and that a custom field has."""

FieldKind = Literal["text", "number", "time", "any"]

FIELD_KINDS: dict[str, FieldKind] = {
    "source": "text",
    "title": "text",
    "media_type": "text",
    "language": "text",
    "section": "text",
    "block": "text",
    "page": "number",
    "position": "number",
    "time": "time",
    "ingested_at": "time",
}
"""What passages have, besides custom `fields.NAME`, whose kind is that of the value."""

FieldName = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z_]{0,39}(\.[A-Za-z0-9_-]{1,64})?$")
]

CustomFields = dict[
    Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")],
    Scalar | tuple[Scalar, ...],
]
"""Fields of a document's own, by name; a search finds them as `fields.NAME`."""

_TIME: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)
_TIME_TEXT = re.compile(r"\d{4}-\d\d-\d\dT")

_MANY = {"in", "not_in"}
_ORDERED = {"lt", "lte", "gt", "gte"}
_BARE = {"exists", "missing"}
_TEXTUAL = {"contains", "prefix"}


class Condition(Value):
    """One condition on one field."""

    field: FieldName
    """One of `source`, `title`, `media_type`, `language`, `section`, `block`, `page`, `position`,
    `time`, `ingested_at`, or a custom one as `fields.NAME`."""
    op: Literal[
        "eq",
        "ne",
        "in",
        "not_in",
        "lt",
        "lte",
        "gt",
        "gte",
        "contains",
        "prefix",
        "exists",
        "missing",
    ]
    """`lt`, `lte`, `gt`, `gte` compare numbers and moments; `contains` and `prefix` look into
    text, upper and lower case alike being different."""
    value: Scalar | tuple[Scalar, ...] | None = Field(default=None)
    """What to compare with: a list for `in` and `not_in`, nothing for `exists` and `missing`, else
    one value. A moment is written as ISO 8601 with its time zone."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        kind = self.kind
        if self.op in _BARE:
            if self.value is not None:
                raise ValueError(f"{self.op!r} takes no value")
            return self
        values = self._values()
        if self.op in _TEXTUAL and not all(isinstance(each, str) and each for each in values):
            raise ValueError(f"{self.op!r} takes text that is not empty")
        if self.op in _TEXTUAL and kind not in ("text", "any"):
            raise ValueError(f"{self.op!r} looks into text, and {self.field!r} is a {kind}")
        for each in values:
            _check(self.field, kind, self.op, each)
        return self

    @property
    def kind(self) -> FieldKind:
        """What the field's values are; `any` for a custom field.

        Raises:
            ValueError: There is no such field.
        """
        if self.field.startswith("fields."):
            return "any"
        kind = FIELD_KINDS.get(self.field)
        if kind is None:
            raise ValueError(
                f"there is no field {self.field!r}: take one of {', '.join(FIELD_KINDS)}, "
                "or a custom one as 'fields.NAME'"
            )
        return kind

    @property
    def values(self) -> tuple[bool | int | float | str, ...]:
        """What to compare with, as a list; empty for `exists` and `missing`."""
        return () if self.op in _BARE else self._values()

    def _values(self) -> tuple[bool | int | float | str, ...]:
        if isinstance(self.value, tuple):
            if self.op not in _MANY:
                raise ValueError(f"{self.op!r} takes one value, not a list")
            if len(self.value) > 1000:
                raise ValueError("a list has at most 1000 values")
            return self.value
        if self.value is None or self.op in _MANY:
            wanted = "a list of values" if self.op in _MANY else "a value"
            raise ValueError(f"{self.op!r} takes {wanted}")
        return (self.value,)

    @property
    def moments(self) -> tuple[datetime, ...]:
        """The values as moments, where they are; empty otherwise."""
        if self.kind == "time" or (self.kind == "any" and self.op in _ORDERED):
            return tuple(_TIME.validate_python(each) for each in self.values if is_moment(each))
        return ()


def is_moment(value: Any) -> bool:
    """Whether a value is text that writes a moment: ISO 8601 with date, time and zone."""
    if not isinstance(value, str) or not _TIME_TEXT.match(value):
        return False
    try:
        _TIME.validate_python(value)
    except ValueError:
        return False
    return True


def _check(field: str, kind: FieldKind, op: str, value: Any) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "number" and not is_number:
        raise ValueError(f"{field!r} is a number, and {value!r} is none")
    if kind == "time" and not is_moment(value):
        raise ValueError(
            f"{field!r} is a moment, and {value!r} is none: write 2026-01-31T12:00:00Z"
        )
    if kind == "text" and not isinstance(value, str):
        raise ValueError(f"{field!r} is text, and {value!r} is none")
    if op in _ORDERED:
        if kind == "text":
            raise ValueError(f"{op!r} compares numbers and moments, and {field!r} is text")
        if not is_number and not is_moment(value):
            raise ValueError(f"{op!r} compares numbers and moments, and {value!r} is neither")


class AllOf(Value):
    """Holds if all hold."""

    all_of: tuple[Filter, ...] = Field(min_length=1, max_length=100)


class AnyOf(Value):
    """Holds if one holds."""

    any_of: tuple[Filter, ...] = Field(min_length=1, max_length=100)


class NoneOf(Value):
    """Holds if none holds."""

    none_of: tuple[Filter, ...] = Field(min_length=1, max_length=100)


def _shape(value: Any) -> str:
    for name in ("all_of", "any_of", "none_of"):
        if name in value if isinstance(value, dict) else hasattr(value, name):
            return name
    return "condition"


Filter = Annotated[
    Annotated[Condition, Tag("condition")]
    | Annotated[AllOf, Tag("all_of")]
    | Annotated[AnyOf, Tag("any_of")]
    | Annotated[NoneOf, Tag("none_of")],
    Discriminator(_shape),
]
"""A condition, or several joined."""

for _each in (AllOf, AnyOf, NoneOf):
    _each.model_rebuild()


def conditions(tree: Filter, depth: int = 1) -> list[Condition]:
    """All conditions of a filter.

    Raises:
        ValueError: It has too many, or too many levels.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"a filter has at most {MAX_DEPTH} levels")
    match tree:
        case Condition():
            return [tree]
        case AllOf():
            parts = tree.all_of
        case AnyOf():
            parts = tree.any_of
        case NoneOf():
            parts = tree.none_of
    found = [each for part in parts for each in conditions(part, depth + 1)]
    if len(found) > MAX_CONDITIONS:
        raise ValueError(f"a filter has at most {MAX_CONDITIONS} conditions")
    return found
