"""Citing: marks become numbers, words stay, and each citation says whether its passage holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet_planner.citing import cite
from motet_planner.evidence import PassageData, mark_of


def passage(text: str, *, id: str = "a", title: str = "A") -> PassageData:
    return PassageData(id=id, source=f"{id}.md", title=title, text=text)


LICENCE = passage("The Vektor licence costs 4500 SEK per seat.\nSupport is included.")
MARKED = {"1": LICENCE}


def test_marks_become_numbers_in_the_order_of_first_use() -> None:
    a, b = passage("It has 3 gates.", id="a"), passage("It has 5 towers.", id="b")
    marks = {mark_of(each["id"]): each for each in (a, b)}
    text = f"It has 5 towers [{mark_of('b')}]. It has 3 gates [{mark_of('a')}, {mark_of('b')}]."

    cited = cite(text, marks)

    assert cited.text == "It has 5 towers [1]. It has 3 gates [2][1]."
    assert [each.passage_id for each in cited.citations] == ["b", "a"]


def test_a_mark_of_no_passage_is_taken_out_and_the_words_stay() -> None:
    assert cite("It is so [p000000].", {}).text == "It is so."


def test_amounts_in_parentheses_are_no_marks() -> None:
    assert cite("It costs a lot (4500).", MARKED).text.startswith("It costs a lot (4500)")


@pytest.mark.parametrize(
    "text, supported",
    [
        ("The Vektor licence costs 4500 SEK per seat [1].", True),
        ("The Vektor licence costs 5400 SEK per seat [1].", False),
    ],
)
def test_a_citation_says_whether_its_passage_holds_it(text: str, supported: bool) -> None:
    cited = cite(text, MARKED)

    assert cited.text == text
    assert [each.supported for each in cited.citations] == [supported]


def test_a_quote_is_checked_letter_by_letter() -> None:
    said = "The Vektor licence costs 4500 SEK per seat [1]."
    right = cite(said, MARKED, quotes={"1": ["costs 4500 SEK\n per seat"]})
    wrong = cite(said, MARKED, quotes={"1": ["costs 4500 SEK per place"]})

    assert (right.citations[0].quote, right.citations[0].supported) == (
        "costs 4500 SEK per seat",
        True,
    )
    assert wrong.citations[0].supported is False
    assert wrong.citations[0].quote in LICENCE["text"]


def test_a_text_without_marks_gets_those_of_passages_that_hold_it() -> None:
    cited = cite("The Vektor licence costs 4500 SEK per seat.", MARKED)

    assert cited.text == "The Vektor licence costs 4500 SEK per seat [1]."
    assert [each.supported for each in cited.citations] == [True]


@given(st.text(max_size=200))
def test_no_word_is_ever_changed(text: str) -> None:
    words = "".join(text.split())
    kept = "".join(cite(text, {}).text.split())
    assert all(letter in words for letter in kept)


def test_passages_that_are_cited_together_hold_a_statement_together() -> None:
    first = passage("The bridge was built by Ana Roth.", id="a")
    second = passage("Ana Roth was born in Lund.", id="b")
    cited = cite(
        "Ana Roth was born in Lund. The bridge was built by Ana Roth [1][2].",
        {"1": first, "2": second},
    )

    assert [each.supported for each in cited.citations] == [True, True]
