"""Retrieval metrics, against values worked out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet_evaluator.context import mean_precision
from motet_evaluator.retrieval import ndcg, precision_at, recall, reciprocal_rank

RANKED = ["d1", "d2", "d3", "d4"]
GRADES = {"d2": 1.0, "d4": 2.0, "d9": 1.0, "d3": 0.0}


def test_by_hand() -> None:
    assert recall(RANKED, GRADES, 2) == pytest.approx(1 / 3)
    assert recall(RANKED, GRADES, 4) == pytest.approx(2 / 3)
    assert precision_at(RANKED, GRADES, 4) == 0.5
    assert precision_at(RANKED, GRADES, 10) == 0.2
    assert reciprocal_rank(RANKED, GRADES) == 0.5
    gained = 1 / math.log2(3) + 2 / math.log2(5)
    ideal = 2 / math.log2(2) + 1 / math.log2(3) + 1 / math.log2(4)
    assert ndcg(RANKED, GRADES, 10) == pytest.approx(gained / ideal)


def test_the_example_of_the_textbook() -> None:
    # Ranks 1, 3 and 5 of five: (1/1 + 2/3 + 3/5) / 3.
    found = mean_precision([True, False, True, False, True])
    assert found == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
    assert mean_precision([]) == mean_precision([False]) == 0.0


def test_an_id_that_comes_twice_counts_once() -> None:
    assert recall(["a", "a", "b"], {"b": 1}, 2) == 1.0
    assert ndcg(["a", "a"], {"a": 1}, 10) == 1.0


def test_nothing_relevant_is_an_error() -> None:
    for metric in (
        lambda: recall(RANKED, {}, 2),
        lambda: ndcg(RANKED, {"d1": 0.0}, 2),
        lambda: reciprocal_rank(RANKED, {}),
    ):
        with pytest.raises(ValueError, match="nothing is relevant"):
            metric()


IDS = st.lists(st.sampled_from("abcdefgh"), max_size=12)
MARKS = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0.1, 5), min_size=1)


@given(IDS, MARKS, st.integers(1, 12))
def test_all_are_from_0_to_1(ranked: list[str], grades: dict[str, float], k: int) -> None:
    for value in (
        recall(ranked, grades, k),
        ndcg(ranked, grades, k),
        precision_at(ranked, grades, k),
        reciprocal_rank(ranked, grades),
    ):
        assert 0 <= value <= 1


@given(MARKS)
def test_the_best_order_is_1(grades: dict[str, float]) -> None:
    ranked = sorted(grades, key=lambda each: -grades[each])
    assert ndcg(ranked, grades, 10) == pytest.approx(1.0)
    assert reciprocal_rank(ranked, grades) == 1.0
    assert recall(ranked, grades, 10) == 1.0
