"""Whole tasks by the strategy `plan` with a small model: passages first, one decision a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from motet.errors import FaultError
from motet.messages import FaultType
from motet.testing import ScriptedModel
from tests.unit.planner.scripted import CALCULATE, SEARCH, WEATHER, Bench, FakeCall, gives, passage

GUESTS = passage(
    "In 2023 412 guests came to the summer school. In 2024 538 guests came.", title="Summer school"
)


SEARCHED = {"skill": "retriever.search"}
WORKED_OUT = {"answer": "worked out"}


def small(answers: Mapping[str, Any]) -> ScriptedModel:
    usual = {"worked_out": {"answer": "stated"}, "route": SEARCHED}
    return ScriptedModel({**usual, **answers}, profile="small")


def script(*lines: str) -> str:
    return "\n".join(("```python", *lines, "```"))


async def test_a_fact_that_a_passage_states_takes_one_answer() -> None:
    said = "In 2023 412 guests came to the summer school."
    model = small({"text": said})
    call = FakeCall({"retriever.search": gives(GUESTS)})

    answer = await Bench().answer("How many guests came to the summer school?", call, model)

    assert answer.text == "In 2023 412 guests came to the summer school [1]."
    assert [each.supported for each in answer.citations] == [True]
    assert [asked.name for asked in model.asked] == ["worked_out", "text"]
    assert [made[2]["query"] for made in call.made] == [
        "How many guests came to the summer school?"
    ]
    assert call.streamed == said


async def test_all_requests_begin_alike() -> None:
    model = small({"worked_out": WORKED_OUT, "text": [script("answer = 412 * 2"), "It was 824."]})
    call = FakeCall(
        {"retriever.search": gives(GUESTS), "tool_executor.calculate": lambda _: {"value": "824"}}
    )

    await Bench().answer("How many came?", call, model)

    first, second = (asked.messages for asked in model.asked[1:3])
    assert first[0] == second[0]
    shared = first[1][1].index(GUESTS["text"]) + len(GUESTS["text"])
    assert first[1][1][:shared] == second[1][1][:shared]


async def test_a_tool_computes_over_figures_that_the_model_points_at() -> None:
    written = script("later = 538", "earlier = 412", "answer = later - earlier")
    model = small({"worked_out": WORKED_OUT, "text": [written, "126 more guests came."]})
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
    assert answer.text == "126 more guests came [1]."
    assert "126" in model.asked[-1].last
    assert answer.data["steps"]["r2s1"]["answer"] == "126"


async def test_an_answer_that_does_not_say_what_was_computed_gives_way_to_the_computation() -> None:
    written = script("later = 538", "earlier = 412", "answer = later - earlier")
    model = small({"worked_out": WORKED_OUT, "text": [written, "116 more guests came."]})
    call = FakeCall(
        {
            "retriever.search": gives(GUESTS),
            "tool_executor.calculate": lambda _: {"value": "126", "exact": True},
        }
    )

    answer = await Bench().answer("How many more guests came in 2024 than in 2023?", call, model)

    assert answer.text == "538 - 412 = 126 [1]"


@pytest.mark.parametrize(
    "lines",
    [
        ("all = 2024538", "answer = all / 2"),  # a figure that is nowhere
        ("answer = 412",),  # nothing to compute
        ("answer = open('/etc/passwd').read()",),
        ("412",),
    ],
)
async def test_what_is_no_computation_over_given_figures_leaves_the_passages_to_answer(
    lines: tuple[str, ...],
) -> None:
    said = "In 2023 412 guests came to the summer school."
    model = small({"worked_out": WORKED_OUT, "text": [script(*lines), said]})
    call = FakeCall({"retriever.search": gives(GUESTS)})

    answer = await Bench().answer("How many guests came in 2023?", call, model)

    assert [made[1] for made in call.made] == ["retriever.search"]
    assert answer.text == "In 2023 412 guests came to the summer school [1]."


async def test_a_computation_that_fails_leaves_the_passages_to_answer() -> None:
    said = "In 2023 412 guests came to the summer school."
    model = small({"worked_out": WORKED_OUT, "text": [script("answer = 412 / 0"), said]})

    def fails(_: object) -> Any:
        raise FaultError.of(FaultType.INVALID_INPUT, "A division by zero.")

    call = FakeCall({"retriever.search": gives(GUESTS), "tool_executor.calculate": fails})

    answer = await Bench().answer("How many guests came in 2023?", call, model)

    assert answer.text == "In 2023 412 guests came to the summer school [1]."


async def test_constants_that_people_use_are_no_mistake() -> None:
    salary = passage("The annual salary of a junior technician is 42,000 euros.")
    written = script("annual = 42,000", "answer = annual / 12")
    model = small({"worked_out": WORKED_OUT, "text": [written, "3,500 euros a month."]})
    call = FakeCall(
        {
            "retriever.search": gives(salary),
            "tool_executor.calculate": lambda _: {"value": "3500", "exact": True},
        }
    )

    await Bench().answer("What is the monthly salary of a junior technician?", call, model)

    assert call.made[-1][2] == {"expression": "annual / 12", "variables": {"annual": "42000"}}


async def test_a_figure_with_its_scale_in_words_may_be_taken_without_it() -> None:
    revenue = passage("Revenue was 24.6 million euros in 2023 and 26.1 million euros in 2024.")
    written = script("answer = 26.1 - 24.6")
    model = small({"worked_out": WORKED_OUT, "text": [written, "It grew by 1.5 million euros."]})
    call = FakeCall(
        {
            "retriever.search": gives(revenue),
            "tool_executor.calculate": lambda _: {"value": "1.5", "exact": True},
        }
    )

    answer = await Bench().answer("By how much did revenue grow?", call, model)

    assert answer.text == "It grew by 1.5 million euros [1]."


async def test_what_is_missing_is_searched_for_in_the_models_words() -> None:
    first = passage("The Lyra is cared for by the optics workshop.")
    second = passage("Ada Brown leads the optics workshop.", id="p2", source="b.md")
    model = small(
        {
            "look": {"query": "who leads the optics workshop"},
            "text": ["The passages do not say it.", "none", "Ada Brown leads the optics workshop."],
        }
    )
    call = FakeCall(
        {
            "retriever.search": lambda request: {
                "passages": [second if "optics" in request["query"] else first]
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
            "look": {"query": "price of the garden"},
            "text": ["It costs a lot of money.", "none", "none", "The price is not given."],
        }
    )
    call = FakeCall({"retriever.search": gives(GUESTS)})

    answer = await Bench().answer("What does the garden cost?", call, model)

    assert (answer.answered, answer.text) == (False, "The price is not given.")
    assert answer.citations == ()


async def test_the_words_that_a_doubtful_answer_stands_on_are_its_quote() -> None:
    model = small({"text": ["A large crowd of visitors.", "412 guests came to the summer school"]})
    call = FakeCall({"retriever.search": gives(GUESTS)})

    answer = await Bench().answer("How many pupils were there?", call, model)

    assert (answer.text, answer.answered) == ("A large crowd of visitors [1].", True)
    assert [each.quote for each in answer.citations] == ["412 guests came to the summer school"]


async def test_a_computed_value_is_cited_by_the_passages_that_have_its_figures() -> None:
    first = passage("In 2023 412 guests came.")
    second = passage("In 2024 538 guests came.", id="p2", source="b.md")
    written = script("answer = 538 - 412")
    model = small({"worked_out": WORKED_OUT, "text": [written, "126 more guests came."]})
    call = FakeCall(
        {
            "retriever.search": gives(first, second),
            "tool_executor.calculate": lambda _: {"value": "126", "exact": True},
        }
    )

    answer = await Bench().answer("How many more guests came?", call, model)

    assert {citation.source for citation in answer.citations} == {"a.md", "b.md"}
    assert [citation.supported for citation in answer.citations] == [True, True]
