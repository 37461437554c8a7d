"""Structured output: the schema that a model is given, and its answer held to it.

A provider constrains the answer as well as it can; whether it fits is decided here, by Pydantic
for a type and by `motet.json_schema` for a JSON Schema.
"""

from __future__ import annotations

import json
from typing import Any, Generic, TypeVar, cast

from pydantic import BaseModel, ValidationError

from motet.json_schema import problems

__all__ = ["InvalidOutputError", "OutputForm", "openai_strict"]

T = TypeVar("T")
_MOST_PROBLEMS = 5
_NOT_STRICT = {"allOf", "not", "if", "dependentRequired", "dependentSchemas", "patternProperties"}
_DROPPED = {
    "default",
    "title",
    "examples",
    "minLength",
    "maxLength",
    "uniqueItems",
    "discriminator",
}


class InvalidOutputError(Exception):
    """An answer that does not fit; the message says how, in words for the model."""


class OutputForm(Generic[T]):
    """The form that an answer must have: a Pydantic type, or an object's JSON Schema."""

    def __init__(self, schema: type[T] | dict[str, Any], name: str) -> None:
        self.name = name
        self._type = None if isinstance(schema, dict) else schema
        self.json_schema: dict[str, Any] = (
            schema
            if isinstance(schema, dict)
            else cast("type[BaseModel]", schema).model_json_schema()
        )

    def parse(self, text: str) -> T:
        """The value of an answer.

        Raises:
            InvalidOutputError: It does not fit.
        """
        if self._type is None:
            return cast("T", self._checked(text))
        try:
            return cast("T", cast("type[BaseModel]", self._type).model_validate_json(text))
        except ValidationError as error:
            found = [
                f"{_place(problem['loc'])}: {problem['msg']}"
                for problem in error.errors(include_url=False, include_input=False)
            ]
            raise InvalidOutputError(_summary(found)) from None

    def _checked(self, text: str) -> object:
        try:
            value: Any = json.loads(text)
        except ValueError as error:
            raise InvalidOutputError(f"it is not JSON: {error}") from None
        found = [
            f"{_place(place)}: {message}" for place, message in problems(self.json_schema, value)
        ]
        if found:
            raise InvalidOutputError(_summary(found))
        return value


def _place(path: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in path) or "the answer"


def _summary(problems: list[str]) -> str:
    more = len(problems) - _MOST_PROBLEMS
    shown = problems[:_MOST_PROBLEMS] + ([f"and {more} more"] if more > 0 else [])
    return "; ".join(shown)


def openai_strict(schema: dict[str, Any]) -> dict[str, Any] | None:
    """`schema` as OpenAI's strict mode takes it, or None where that cannot be.

    Whatever fits the result fits `schema` but for bounds that strict mode does not know, which
    `OutputForm.parse` checks: every property becomes required and no other is allowed. An object
    with free keys has no strict form. Rules: OpenAI's guide "Structured model outputs", section
    "Supported schemas".
    """
    try:
        return cast("dict[str, Any]", _strict(schema))
    except _NotStrictError:
        return None


class _NotStrictError(Exception):
    pass


def _strict(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if not _NOT_STRICT.isdisjoint(schema):
        raise _NotStrictError
    strict: dict[str, Any] = {
        "anyOf" if key == "oneOf" else key: _strict_part(key, value)
        for key, value in schema.items()
        if key not in _DROPPED
    }
    if schema.get("type") == "object":
        if schema.get("additionalProperties") or "properties" not in schema:
            raise _NotStrictError
        strict["additionalProperties"] = False
        strict["required"] = list(schema["properties"])
    return strict


def _strict_part(key: str, value: Any) -> Any:
    if key in {"properties", "$defs"}:
        return {name: _strict(part) for name, part in value.items()}
    return value if key in {"enum", "const", "required"} else _strict(value)
