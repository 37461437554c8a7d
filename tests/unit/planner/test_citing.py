"""Whether citations that do not hold are found, and put right."""

from __future__ import annotations

import pytest

from motet.testing import ScriptedModel
from motet_planner.citing import Checked, check_citations
from motet_planner.composing import Finding
from motet_planner.run import Run
from motet_planner.settings import PlannerSettings
from motet_planner.state import PassageData, Quote
from motet_planner.support import Support, support_of
from tests.unit.planner.scripted import FakeCall

PASSAGES: dict[str, PassageData] = {
    "p1": {"id": "p1", "source": "a.md", "title": "Tower", "text": "The tower is 38 metres high."},
    "p2": {"id": "p2", "source": "b.md", "title": "Bridge", "text": "Ana Roth built the bridge."},
}
FINDINGS = [
    Finding(
        "height of the tower",
        "38 metres",
        Quote(
            passage="p1", text="The tower is 38 metres high.", shown="The tower is 38 metres high."
        ),
        1,
    ),
    Finding(
        "builder of the bridge",
        "Ana Roth",
        Quote(passage="p2", text="Ana Roth built the bridge.", shown="Ana Roth built the bridge."),
        2,
    ),
]


async def checked(text: str, findings: list[Finding] = FINDINGS, same: str = "yes") -> Checked:
    model = ScriptedModel({"judge": {"asked": "a", "told": "b", "same": same}})
    run = Run(FakeCall({}), model, PlannerSettings())
    return await check_citations(text, "How high, and by whom?", findings, PASSAGES, run)


async def test_a_citation_that_holds_stays() -> None:
    result = await checked("The tower is 38 metres high [1].")

    assert result.text == "The tower is 38 metres high [1]."
    assert [each.passage_id for each in result.citations] == ["p1"]
    assert not result.problems


async def test_a_citation_of_the_wrong_passage_is_put_right() -> None:
    result = await checked("The tower is 38 metres high [2]. Ana Roth built the bridge [1].")

    assert result.text == "The tower is 38 metres high [1]. Ana Roth built the bridge [2]."
    assert [each.passage_id for each in result.citations] == ["p1", "p2"]
    assert len(result.problems) == 2


async def test_a_sentence_with_a_number_that_is_nowhere_is_dropped() -> None:
    result = await checked("The tower is 38 metres high [1]. It weighs 900 tonnes [1].")

    assert "900" not in result.text


async def test_a_name_that_is_nowhere_is_dropped() -> None:
    result = await checked("The bridge was built by Piet Okafor [2]. The tower is 38 metres high.")

    assert result.text == "The tower is 38 metres high [1]."


async def test_a_citation_that_does_not_exist_is_taken_out_or_replaced() -> None:
    result = await checked("Ana Roth built the bridge [7].")

    assert result.text == "Ana Roth built the bridge [1]."
    assert result.citations[0].passage_id == "p2"


async def test_when_nothing_stands_the_findings_are_spelled_out() -> None:
    result = await checked("BANANA")

    assert "38 metres [1]" in result.text
    assert [each.number for each in result.citations] == [1, 2]


async def test_a_computed_number_needs_no_passage() -> None:
    result = await checked(
        "Twice the tower's 38 metres [1] is 76 metres.", [*FINDINGS, Finding("twice", "76")]
    )

    assert result.text == "Twice the tower's 38 metres [1] is 76 metres."


@pytest.mark.parametrize(
    "clause, passage, support",
    [
        ("It earned 7.4 million euros.", "earned 7,400,000 euros", Support.FULL),
        ("It earned 8 million euros.", "earned 7,400,000 euros", Support.WRONG),
        ("It is led by Ana Roth.", "led by Ana Roth", Support.FULL),
        ("It is led by Ana Roth.", "led by somebody", Support.WRONG),
        ("Perhaps something entirely different.", "led by somebody", Support.UNCLEAR),
    ],
)
def test_degrees_of_support(clause: str, passage: str, support: int) -> None:
    assert support_of(clause, passage) == support
