"""The estimate of tokens is additive enough to cut by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet_retriever import tokens


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", 0),
        (" \n\t ", 0),
        ("the cat sat", 3),
        ("electroencephalography", 4),
        ("1,250.50", 5),
        ("don't", 3),
        ("日本語", 3),
        ("naïve", 3),
        ("snake_case", 3),
    ],
)
def test_count(text: str, expected: int) -> None:
    assert tokens.count(text) == expected


@given(st.text(), st.text())
def test_a_whole_is_at_most_the_sum_of_its_parts(left: str, right: str) -> None:
    assert tokens.count(left + right) <= tokens.count(left) + tokens.count(right)
    assert tokens.count(f"{left} {right}") == tokens.count(left) + tokens.count(right)


@given(st.text())
def test_every_character_counts_somewhere(text: str) -> None:
    assert (tokens.count(text) == 0) == (not text.strip())
