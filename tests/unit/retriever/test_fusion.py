"""Weighted reciprocal rank fusion."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.messages import BranchScore, Passage
from motet_retriever.fusion import Fusion
from motet_retriever.stores.port import Branch, Found


def found(*names: str) -> list[Found]:
    return [Found(passage(name), 1.0 / place) for place, name in enumerate(names, start=1)]


def passage(name: str) -> Passage:
    return Passage(id=name, source=name, title=name, text=name, position=0, start=0, end=1)


def test_scores_are_the_formulas() -> None:
    fused = Fusion({"dense": 2.0, "sparse": 1.0}, k=10).fuse(
        {"dense": found("a", "b"), "sparse": found("b", "c")}, limit=5
    )
    most = 2 / 11 + 1 / 11
    assert [(each.id, each.score) for each in fused] == [
        ("b", pytest.approx((2 / 12 + 1 / 11) / most)),
        ("a", pytest.approx((2 / 11) / most)),
        ("c", pytest.approx((1 / 12) / most)),
    ]


def test_each_passage_says_what_the_branches_said() -> None:
    fused = Fusion().fuse({"dense": found("a", "b"), "sparse": found("b")}, limit=2)
    assert {each.id: each.branches for each in fused} == {
        "b": (
            BranchScore(branch="dense", rank=2, score=0.5),
            BranchScore(branch="sparse", rank=1, score=1.0),
        ),
        "a": (BranchScore(branch="dense", rank=1, score=1.0),),
    }


def test_first_everywhere_scores_one() -> None:
    fused = Fusion().fuse({"dense": found("a", "b"), "sparse": found("a")}, limit=1)
    assert [(each.id, each.score) for each in fused] == [("a", 1.0)]


def test_an_empty_branch_changes_no_order() -> None:
    fused = Fusion().fuse({"dense": found("b", "a", "c"), "sparse": []}, limit=5)
    assert [each.id for each in fused] == ["b", "a", "c"]


def test_a_weight_of_zero_silences_a_branch_beside_others_only() -> None:
    fusion = Fusion({"dense": 0.0, "sparse": 1.0})
    both = fusion.fuse({"dense": found("a"), "sparse": found("b")}, limit=5)
    assert [each.id for each in both] == ["b"]
    assert [each.id for each in fusion.fuse({"dense": found("a")}, limit=5)] == ["a"]


RANKING = st.permutations("abcdefgh").flatmap(
    lambda names: st.integers(0, 8).map(lambda length: names[:length])
)


@given(RANKING, RANKING, st.floats(0.1, 10), st.floats(0.1, 10), st.integers(1, 100))
def test_who_is_better_in_every_branch_is_better(
    dense: list[str], sparse: list[str], dense_weight: float, sparse_weight: float, k: int
) -> None:
    branches: dict[Branch, list[Found]] = {"dense": found(*dense), "sparse": found(*sparse)}
    fused = Fusion({"dense": dense_weight, "sparse": sparse_weight}, k).fuse(branches, limit=10)
    assert {each.id for each in fused} == {*dense, *sparse}
    assert all(0 < each.score <= 1 for each in fused)
    order = [each.id for each in fused]

    def rank(name: str, ranking: list[str]) -> int:
        return ranking.index(name) if name in ranking else 100

    for better in order:
        for worse in order:
            ranks = [(rank(better, one), rank(worse, one)) for one in (dense, sparse)]
            if all(b <= w for b, w in ranks) and any(b < w for b, w in ranks):
                assert order.index(better) < order.index(worse)
