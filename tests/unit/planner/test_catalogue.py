"""The catalogue: what a planner sees of a skill's input."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from motet.messages import SearchRequest, SkillCard
from motet_planner.catalogue import ADVANCED, Skill


class Inner(BaseModel):
    depth: int = 1


class Outer(BaseModel):
    inner: Inner


class Unused(BaseModel):
    way: str = ""


class Request(BaseModel):
    v: int = 1
    query: str
    near: Outer | None = None
    hidden: Unused | None = Field(default=None, json_schema_extra={ADVANCED: True})
    needed: int = Field(json_schema_extra={ADVANCED: True})


def skill(request: type[BaseModel]) -> Skill:
    card = SkillCard(
        name="s", description="Does.", input_schema=request.model_json_schema(), output_schema={}
    )
    return Skill("agent.s", card)


def test_a_planner_does_not_see_what_is_for_users() -> None:
    schema = skill(Request).schema
    assert set(schema["properties"]) == {"query", "near", "needed"}
    assert set(schema["$defs"]) == {"Outer", "Inner"}
    assert schema["additionalProperties"] is False


def test_the_card_is_left_as_it_is() -> None:
    each = skill(Request)
    before: dict[str, Any] = Request.model_json_schema()
    assert each.schema["$defs"] != before["$defs"]
    assert each.card.input_schema == before


def test_a_search_as_a_planner_sees_it() -> None:
    schema = skill(SearchRequest).schema
    assert set(schema["properties"]) == {"query", "limit", "strategy"}
    assert "$defs" not in schema


def test_what_users_see_is_marked_with_the_planners_word() -> None:
    marked = SearchRequest.model_json_schema()["properties"]["filter"]
    assert marked[ADVANCED] is True
