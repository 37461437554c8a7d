"""Which plans are accepted, and what is put right in them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from motet_planner.catalogue import catalogue_of
from motet_planner.planning import plan_schema, repaired
from motet_planner.state import StepData
from tests.unit.planner.scripted import CALCULATE, SEARCH, WEATHER, step

CATALOGUE = catalogue_of([SEARCH, CALCULATE, WEATHER], own="planner")


def plan(*proposed: dict[str, object], most: int = 8) -> list[StepData]:
    return repaired(proposed, CATALOGUE, revision=1, most=most)


def test_steps_get_ids_and_their_needs() -> None:
    steps = plan(
        step("retriever.search", "wages in 2020"),
        step("retriever.search", "wages in 2021"),
        step("tool_executor.calculate", "growth of the wages", 1, 2),
    )

    assert [(each["id"], each["needs"]) for each in steps] == [
        ("s1", []),
        ("s2", []),
        ("s3", ["s1", "s2"]),
    ]


def test_a_skill_that_nobody_has_is_left_out() -> None:
    steps = plan(step("oracle.ask", "the future"), step("retriever.search", "the past"))

    assert [each["skill"] for each in steps] == ["retriever.search"]


def test_the_second_half_of_a_name_is_enough() -> None:
    assert plan(step("search", "the past"))[0]["skill"] == "retriever.search"


def test_a_step_that_is_there_twice_is_done_once_for_all_who_need_it() -> None:
    steps = plan(
        step("retriever.search", "price of the lamp"),
        step("retriever.search", "The price of the lamp?"),
        step("tool_executor.calculate", "twice the price", 2),
    )

    assert [(each["id"], each["needs"]) for each in steps] == [("s1", []), ("s2", ["s1"])]


def test_a_cycle_is_broken() -> None:
    steps = plan(step("retriever.search", "the chicken", 2), step("retriever.search", "the egg", 1))

    assert [(each["id"], each["needs"]) for each in steps] == [("s1", []), ("s2", ["s1"])]


def test_a_calculation_without_needs_takes_the_searches_before_it() -> None:
    steps = plan(
        step("retriever.search", "income"),
        step("weather.now", "weather in Lund"),
        step("tool_executor.calculate", "tenth of the income"),
    )

    assert steps[-1]["needs"] == ["s1"]


def test_a_new_plan_has_new_ids_and_may_need_old_steps() -> None:
    earlier = plan(step("retriever.search", "income"))

    steps = repaired(
        [step("retriever.search", "income"), step("tool_executor.calculate", "half of it", 1)],
        CATALOGUE,
        revision=2,
        most=8,
        earlier=earlier,
    )

    assert [(each["id"], each["needs"]) for each in steps] == [("r2s1", ["s1"])]


def test_the_schema_names_living_skills_only() -> None:
    form = plan_schema(catalogue_of([SEARCH], own="planner"), 4)

    assert form["properties"]["steps"]["items"]["properties"]["skill"]["enum"] == [
        "retriever.search"
    ]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["retriever.search", "tool_executor.calculate", "search", "no.such"]),
            st.text(max_size=20),
            st.lists(st.integers(-2, 12), max_size=4),
        ),
        max_size=10,
    )
)
def test_whatever_is_proposed_the_plan_can_be_carried_out(
    proposed: list[tuple[str, str, list[int]]],
) -> None:
    steps = plan(*(step(skill, what, *needs) for skill, what, needs in proposed), most=5)

    done: set[str] = set()
    for each in steps:
        assert each["skill"] in CATALOGUE
        assert set(each["needs"]) <= done
        done.add(each["id"])
    assert len(done) == len(steps) <= 5
