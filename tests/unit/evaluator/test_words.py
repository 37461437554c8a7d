"""Words, numbers and stems."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet_evaluator.words import Words, figures_of, numbers_of, share, stem, words_of


@pytest.mark.parametrize(
    "words",
    [
        ("cost", "costs"),
        ("city", "cities"),
        ("grow", "growing"),
        ("stop", "stopped"),
        ("walk", "walked"),
        ("match", "matches"),
        ("three", "3"),
    ],
)
def test_forms_of_a_word_have_one_stem(words: tuple[str, ...]) -> None:
    assert len({stem(word) for word in words}) == 1


@pytest.mark.parametrize("one, other", [("bus", "bu"), ("sing", "s"), ("news", "glass")])
def test_words_that_are_no_forms_keep_apart(one: str, other: str) -> None:
    assert stem(one) != stem(other)


def test_a_contracted_negation_is_a_negation() -> None:
    assert words_of("It isn’t open, and cannot be.") == (
        ["it", "is", "not", "open", "and", "can", "not", "be"]
    )


@pytest.mark.parametrize(
    "text, negated",
    [
        ("It is not open.", True),
        ("It never was.", True),
        ("No, it is open.", False),
        ("Not really, it is open.", False),
        ("Nobody knows.", True),
        ("It is open.", False),
    ],
)
def test_negations(text: str, negated: bool) -> None:
    assert Words(text).negated is negated


@pytest.mark.parametrize(
    "text, values",
    [
        ("1,250 people", [1250]),
        ("12.5% of 3 million", [12.5, 3_000_000]),
        ("on 1.5.2024", [1, 5, 2024]),
        ("version 3,5", [3.5]),
        ("from 2022 to 2023.", [2022, 2023]),
        ("the A4 road", []),
        ("none", []),
    ],
)
def test_figures(text: str, values: list[float]) -> None:
    assert [figure.value for figure in figures_of(text)] == pytest.approx(values)


@pytest.mark.parametrize(
    "said, true, states",
    [
        ("12.5", 12.48, True),
        ("12.5", 12.4, False),
        ("12", 12.4, True),
        ("3 million", 2_900_000, True),
        ("3 million", 2_400_000, False),
        ("900", 950, False),
    ],
)
def test_a_figure_states_what_it_is_rounded_from(said: str, true: float, states: bool) -> None:
    (figure,) = figures_of(said)
    assert figure.states(true) is states


def test_numbers_in_words() -> None:
    assert {3.0, 2_000_000.0} <= numbers_of("three boats and two million fish")


@given(st.text())
def test_any_text_can_be_taken_apart(text: str) -> None:
    words = Words(text)
    assert len(words.stems) == len(words.all)
    assert set(words.content) <= set(words.stems)
    assert all(figure.step >= 0 for figure in words.figures)


def test_a_share_of_nothing_is_all() -> None:
    assert share([], set()) == 1.0
    assert share(["a", "b"], {"a"}) == 0.5
