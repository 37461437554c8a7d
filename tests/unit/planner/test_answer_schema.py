"""An answer's data fulfils the schema that was asked for, or there is a fault that says why not."""

from __future__ import annotations

from typing import Any

import pytest

from motet.errors import FaultError
from motet.messages import FaultType
from motet.testing import ScriptedModel
from motet_planner.answer_schema import check_schema, fulfil
from tests.unit.planner.taking_in import TaskCall, attempt

LEASE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "rent": {"type": "number", "minimum": 0},
        "parties": {"type": "array", "items": {"$ref": "#/$defs/Party"}, "minItems": 2},
    },
    "required": ["rent", "parties"],
    "additionalProperties": False,
    "$defs": {"Party": {"type": "string", "minLength": 1}},
}
RIGHT = {"rent": 900, "parties": ["Harbour Properties", "Ann Lee"]}


async def filled(answer: Any, schema: dict[str, Any] = LEASE) -> tuple[dict[str, Any], Any]:
    model = ScriptedModel({"data": answer})
    run = attempt(TaskCall(), model)
    data = await fulfil(schema, "900 euros [1].", "The rent is 900 euros.", run, goal="Rent?")
    return data, model.asked[-1]


async def test_the_data_is_what_the_schema_asks_for() -> None:
    data, asked = await filled(RIGHT)
    assert data == RIGHT
    assert asked.schema == LEASE
    assert "The rent is 900 euros." in asked.last
    assert "900 euros [1]." in asked.last


@pytest.mark.parametrize(
    "wrong, place",
    [
        ({**RIGHT, "rent": -1}, "rent"),
        ({**RIGHT, "parties": ["Ann Lee"]}, "parties"),
        ({**RIGHT, "parties": ["", "Ann Lee"]}, "parties.0"),
        ({"rent": 1}, "'parties' is a required property"),
    ],
)
async def test_what_does_not_fit_is_a_fault_that_says_where(wrong: Any, place: str) -> None:
    with pytest.raises(FaultError) as raised:
        await filled(wrong)
    fault = raised.value.fault
    assert fault.type == FaultType.MODEL_OUTPUT_INVALID
    assert place in fault.message
    assert "answer_schema" in fault.message


async def test_a_fault_of_the_task_is_its_own() -> None:
    with pytest.raises(FaultError) as raised:
        await filled(FaultError.of(FaultType.BUDGET_EXCEEDED, "No tokens are left."))
    assert raised.value.fault.type == FaultType.BUDGET_EXCEEDED


async def test_a_type_that_contains_itself_is_given_as_an_object() -> None:
    node = {"type": "object", "properties": {"below": {"$ref": "#/$defs/Node"}}}
    schema = {"$ref": "#/$defs/Node", "$defs": {"Node": node}}
    data, asked = await filled({"below": {"below": {}}}, schema)
    assert data == {"below": {"below": {}}}
    assert asked.schema["type"] == "object"


@pytest.mark.parametrize(
    "schema, reason",
    [
        ({"type": "object", "properties": {"a": {"$ref": "https://x.test/a"}}}, "outside"),
        ({"type": "object", "properties": {"a": {"$ref": "file:///etc/passwd"}}}, "outside"),
        ({"type": "object", "allOf": [{"$dynamicRef": "other.json#x"}]}, "outside"),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/None"}}}, "not in it"),
        ({"type": "object", "properties": {"a": {"$ref": "#none"}}}, "not in it"),
        ({"type": "object", "properties": {"a": {"$id": "https://x.test/"}}}, "`$id`"),
        ({"type": "array", "items": {}}, "an object"),
        ({"anyOf": [{"type": "object"}]}, "an object"),
        ({}, "an object"),
        ({"$ref": "#"}, "circle"),
        ({"type": "thing"}, "no JSON Schema"),
        ({"type": "object", "properties": {"a": {"pattern": "("}}}, "no JSON Schema"),
        ({"type": "object", "description": "x" * 70_000}, "at most 65,536"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused(schema: dict[str, Any], reason: str) -> None:
    with pytest.raises(FaultError, match="answer_schema") as raised:
        check_schema(schema)
    assert raised.value.fault.type == FaultType.INVALID_INPUT
    assert reason in raised.value.fault.message


@pytest.mark.parametrize(
    "schema",
    [
        LEASE,
        {"type": "object", "properties": {"$ref": {"type": "string"}}},
        {"type": "object", "properties": {"a": {"const": {"$ref": "https://x.test/a"}}}},
        {"type": "object", "properties": {"a": {"$anchor": "here"}, "b": {"$ref": "#here"}}},
        {"$id": "https://x.test/form", "type": "object"},
        {"type": "object", "properties": {"a": {"$ref": "#/properties/b%20c"}, "b c": {}}},
    ],
)
def test_a_schema_by_itself_is_taken(schema: dict[str, Any]) -> None:
    check_schema(schema)
