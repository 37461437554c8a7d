from __future__ import annotations

from typing import Any, Literal

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from motet.models.structured import InvalidOutputError, OutputForm, openai_strict


class Leaf(BaseModel):
    title: str = Field(max_length=20)
    default: int = 3


class Tree(BaseModel):
    kind: Literal["tree"] = "tree"
    leaves: list[Leaf] = Field(min_length=1)
    twin: Leaf | None = None


def test_the_strict_form_requires_all_and_allows_no_more() -> None:
    strict = openai_strict(Tree.model_json_schema())
    assert strict is not None
    assert strict["required"] == ["kind", "leaves", "twin"]
    assert strict["additionalProperties"] is False
    leaf = strict["$defs"]["Leaf"]
    assert leaf["required"] == ["title", "default"]  # a property may be called like a keyword
    assert leaf["properties"]["title"] == {"type": "string"}
    whole = {"kind": "tree", "leaves": [{"title": "a", "default": 1}], "twin": None}
    validator = Draft202012Validator(strict)
    assert validator.is_valid(whole)
    assert not validator.is_valid({**whole, "more": 1})
    assert Tree.model_validate(whole)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "properties": {"a": {"type": "object", "additionalProperties": {}}}},
        {"type": "object", "properties": {"a": {"allOf": [{"type": "string"}]}}},
    ],
)
def test_free_keys_and_rare_keywords_have_no_strict_form(schema: dict[str, Any]) -> None:
    assert openai_strict(schema) is None


def test_one_of_becomes_any_of() -> None:
    schema = {"type": "object", "properties": {"a": {"oneOf": [{"type": "string"}]}}}
    strict = openai_strict(schema)
    assert strict is not None
    assert strict["properties"]["a"] == {"anyOf": [{"type": "string"}]}


def test_many_problems_are_told_briefly() -> None:
    form = OutputForm(
        {"type": "object", "required": [f"field{number}" for number in range(9)]}, "many"
    )
    with pytest.raises(InvalidOutputError, match="and 4 more"):
        form.parse("{}")
