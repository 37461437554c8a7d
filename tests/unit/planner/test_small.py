"""Whole tasks by the strategy `plan` with a small model: passages first, one decision a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from motet.errors import FaultError
from motet.testing import ScriptedModel
from tests.unit.planner.scripted import CALCULATE, SEARCH, WEATHER, Bench, FakeCall, gives, passage

GUESTS = passage(
    "In 2023 412 guests came to the summer school. In 2024 538 guests came.", title="Summer school"
)


SEARCHED = {"skill": "retriever.search"}
COMPUTED = {"skill": "tool_executor.calculate"}


def judged(same: str) -> dict[str, str]:
    return {"asked": "what", "told": "what", "same": same}


def small(answers: Mapping[str, Any]) -> ScriptedModel:
    return ScriptedModel({"route": SEARCHED, "judge": judged("yes"), **answers}, profile="small")


async def test_a_fact_that_a_passage_states_takes_one_answer() -> None:
    said = "In 2023 412 guests came to the summer school."
    model = small({"text": said})
    call = FakeCall({"retriever.search": gives(GUESTS)})

    answer = await Bench().answer("How many guests came to the summer school?", call, model)

    assert answer.text == "In 2023 412 guests came to the summer school [1]."
    assert [each.supported for each in answer.citations] == [True]
    assert [asked.name for asked in model.asked] == ["route", "text"]
    assert [made[2]["query"] for made in call.made] == [
        "How many guests came to the summer school?"
    ]
    assert call.streamed == said


async def test_all_requests_begin_alike() -> None:
    figures = {"figures": [{"name": "one", "value": "412"}], "formula": "one * 2"}
    model = small({"route": COMPUTED, "figures": figures, "text": "It was 824."})
    call = FakeCall(
        {"retriever.search": gives(GUESTS), "tool_executor.calculate": lambda _: {"value": "824"}}
    )

    await Bench().answer("How many came?", call, model)

    first, second = (asked.messages for asked in model.asked[1:3])
    assert first[0] == second[0]
    shared = first[1][1].rindex("How many came?")
    assert shared > 100
    assert first[1][1][:shared] == second[1][1][:shared]


async def test_a_tool_computes_over_figures_that_the_model_points_at() -> None:
    figures = {
        "figures": [{"name": "later", "value": "538"}, {"name": "earlier", "value": "412"}],
        "formula": "later - earlier",
    }
    model = small(
        {
            "route": COMPUTED,
            "figures": figures,
            "text": "126 more guests came.",
        }
    )
    call = FakeCall(
        {
            "retriever.search": gives(GUESTS),
            "tool_executor.calculate": lambda _: {"value": "126", "exact": True},
        }
    )

    answer = await Bench().answer("How many more guests came in 2024 than in 2023?", call, model)

    assert call.made[-1][2] == {
        "expression": "later - earlier",
        "variables": {"later": "538", "earlier": "412"},
    }
    assert "126" in answer.text
    assert "126" in model.asked[-1].last
    assert answer.data["steps"]["r2s1"]["answer"] == "126"


async def test_figures_that_are_nowhere_are_asked_for_again_and_then_the_passages_must_do() -> None:
    wrong = {"figures": [{"name": "all", "value": "2024538"}], "formula": "all"}
    model = small(
        {
            "route": COMPUTED,
            "figures": [wrong, wrong],
            "text": "2024538 guests came.",
        }
    )
    call = FakeCall({"retriever.search": gives(GUESTS)})

    answer = await Bench().answer("How many guests came?", call, model)

    assert [made[1] for made in call.made] == ["retriever.search"]
    assert "Not in the passages: 2024538" in model.asked[3].last
    assert model.count("text") == 1  # nothing new was found
    assert answer.text == "2024538 guests came."


async def test_constants_that_people_use_are_no_mistake() -> None:
    salary = passage("The annual salary of a junior technician is 42,000 euros.")
    reply = {"figures": [{"name": "annual", "value": "42,000 euros"}], "formula": "annual / 12"}
    model = small(
        {
            "route": COMPUTED,
            "figures": reply,
            "text": "3,500 euros a month.",
        }
    )
    call = FakeCall(
        {
            "retriever.search": gives(salary),
            "tool_executor.calculate": lambda _: {"value": "3500", "exact": True},
        }
    )

    await Bench().answer("What is the monthly salary of a junior technician?", call, model)

    assert call.made[-1][2] == {"expression": "annual / 12", "variables": {"annual": "42000"}}


async def test_what_is_missing_is_searched_for_in_the_models_words() -> None:
    first = passage("The Lyra is cared for by the optics workshop.")
    second = passage("Ada Brown leads the optics workshop.", id="p2", source="b.md")
    model = small(
        {
            "judge": judged("no"),
            "look": {"query": "who leads the optics workshop"},
            "text": ["The passages do not say it.", "Ada Brown leads the optics workshop."],
        }
    )
    call = FakeCall(
        {
            "retriever.search": lambda request: {
                "passages": [second if "leads the" in request["query"] else first]
            }
        }
    )

    answer = await Bench().answer("Who leads the Lyra's workshop?", call, model)

    assert [made[0] for made in call.made] == ["s1", "r2s1"]
    assert [citation.source for citation in answer.citations] == ["b.md"]


async def test_a_skill_of_another_agent_is_chosen_by_its_card() -> None:
    model = small(
        {
            "route": {"skill": "weather.now"},
            "judge": judged("no"),
            "fill": {"city": "Lund"},
            "text": "It is clear.",
        }
    )
    call = FakeCall({"retriever.search": gives(GUESTS), "weather.now": lambda _: {"sky": "clear"}})

    answer = await Bench().answer("What is the weather in Lund?", call, model)

    assert call.made[-1] == ("r2s1", "weather.now", {"city": "Lund"})
    assert answer.text == "It is clear."


async def test_without_a_search_the_model_chooses_among_the_skills() -> None:
    model = small(
        {"route": {"skill": "weather.now"}, "fill": {"city": "Lund"}, "text": "It is clear."}
    )
    call = FakeCall({"weather.now": lambda _: {"sky": "clear"}}, agents=[WEATHER])

    await Bench().answer("What is the weather in Lund?", call, model)

    assert [made[0] for made in call.made] == ["s1"]


async def test_a_search_that_fails_fails_the_task() -> None:
    with pytest.raises(FaultError, match=r"retriever\.search does not answer"):
        await Bench().answer(
            "How many?",
            FakeCall({}, agents=[SEARCH, CALCULATE]),
            small({}),
        )


async def test_what_no_passage_gives_is_said_and_not_guessed() -> None:
    model = small(
        {
            "judge": judged("no"),
            "look": {"query": "price of the garden"},
            "text": ["It costs a lot of money.", "It costs much.", "The price is not given."],
        }
    )
    call = FakeCall({"retriever.search": gives(GUESTS)})

    answer = await Bench().answer("What does the garden cost?", call, model)

    assert (answer.answered, answer.text) == (False, "The price is not given.")
    assert answer.citations == ()


async def test_a_computed_value_is_cited_by_the_passages_that_have_its_figures() -> None:
    first = passage("In 2023 412 guests came.")
    second = passage("In 2024 538 guests came.", id="p2", source="b.md")
    names = [{"name": "later", "value": "538"}, {"name": "earlier", "value": "412"}]
    model = small(
        {
            "route": COMPUTED,
            "figures": {"figures": names, "formula": "later - earlier"},
            "text": "126 more guests came.",
        }
    )
    call = FakeCall(
        {
            "retriever.search": gives(first, second),
            "tool_executor.calculate": lambda _: {"value": "126", "exact": True},
        }
    )

    answer = await Bench().answer("How many more guests came?", call, model)

    assert {citation.source for citation in answer.citations} == {"a.md", "b.md"}
    assert [citation.supported for citation in answer.citations] == [True, True]
