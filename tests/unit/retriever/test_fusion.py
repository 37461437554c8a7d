"""Fusion: weighted reciprocal ranks, scaled scores, and the best of several lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.messages import BranchScore, Passage
from motet_retriever.fusion import Candidate, Fusion, Method, Ranking, best_of
from motet_retriever.stores.port import Found

METHODS: tuple[Method, ...] = get_args(Method)


def passage(name: str) -> Passage:
    return Passage(id=name, source=name, title=name, text=name, position=0, start=0, end=1)


def found(*names: str) -> list[Found]:
    return [Found(passage(name), 1.0 / place) for place, name in enumerate(names, start=1)]


def dense(*names: str, **options: float) -> Ranking:
    return Ranking("dense", found(*names), **options)  # type: ignore[arg-type]


def sparse(*names: str) -> Ranking:
    return Ranking("sparse", found(*names))


def ids(candidates: Sequence[Candidate]) -> list[str]:
    return [each.id for each in candidates]


def test_scores_by_rank_are_the_formulas() -> None:
    fused = Fusion({"dense": 2.0, "sparse": 1.0}, k=10).fuse([dense("a", "b"), sparse("b", "c")])
    most = 2 / 11 + 1 / 11
    assert [(each.id, each.score) for each in fused] == [
        ("b", pytest.approx((2 / 12 + 1 / 11) / most)),
        ("a", pytest.approx((2 / 11) / most)),
        ("c", pytest.approx((1 / 12) / most)),
    ]


def test_scores_by_distribution_are_the_formulas() -> None:
    """Mean 2, deviation 1: from -1 to 5."""
    ranking = Ranking(
        "dense", [Found(passage(name), score) for name, score in zip("abc", (3, 2, 1), strict=True)]
    )
    fused = Fusion(method="dbsf").fuse([ranking])
    assert [(each.id, each.score) for each in fused] == [
        ("a", pytest.approx(4 / 6)),
        ("b", pytest.approx(3 / 6)),
        ("c", pytest.approx(2 / 6)),
    ]


def test_scaled_scores_are_cut_off() -> None:
    """One far from 29 alike lies more than three deviations above the mean."""
    far = [Found(passage("far"), 100.0)]
    alike = [Found(passage(f"p{number:02}"), 1.0) for number in range(29)]
    fused = Fusion(method="dbsf").fuse([Ranking("sparse", [*far, *alike])])
    assert (fused[0].id, fused[0].score) == ("far", 1.0)


def test_scores_that_do_not_differ_are_in_the_middle() -> None:
    for names in (("a",), ("a", "b")):
        ranking = Ranking("dense", [Found(passage(name), 0.7) for name in names])
        assert {each.score for each in Fusion(method="dbsf").fuse([ranking])} == {0.5}


LOW = [Found(passage("c"), 0.2), Found(passage("d"), 0.1)]


def test_scores_decide_where_ranks_would_not() -> None:
    """First by far in one list and second by little in the other."""
    words = Ranking("sparse", [Found(passage("z"), 30), Found(passage("b"), 9), *LOW])
    meaning = Ranking("dense", [Found(passage("b"), 0.9), Found(passage("z"), 0.89), *LOW])
    assert ids(Fusion(method="dbsf").fuse([words, meaning]))[0] == "z"
    assert ids(Fusion(method="rrf").fuse([words, meaning]))[0] == "b"


def test_each_passage_says_what_the_branches_said() -> None:
    other = Ranking("dense", found("b"), query="and b?")
    fused = Fusion().fuse([dense("a", "b"), sparse("b"), other])
    assert {each.id: each.branches for each in fused} == {
        "b": (
            BranchScore(branch="dense", rank=2, score=0.5),
            BranchScore(branch="sparse", rank=1, score=1.0),
            BranchScore(branch="dense", query="and b?", rank=1, score=1.0),
        ),
        "a": (BranchScore(branch="dense", rank=1, score=1.0),),
    }


def test_first_everywhere_scores_one() -> None:
    assert Fusion().fuse([dense("a", "b"), sparse("a")])[0].score == 1.0


def test_an_empty_list_changes_no_order() -> None:
    assert ids(Fusion().fuse([dense("b", "a", "c"), sparse()])) == ["b", "a", "c"]


def test_a_weight_of_zero_silences_a_branch_beside_others_only() -> None:
    fusion = Fusion({"dense": 0.0, "sparse": 1.0})
    assert ids(fusion.fuse([dense("a"), sparse("b")])) == ["b"]
    assert ids(fusion.fuse([dense("a")])) == ["a"]


def test_a_list_weighs_beside_its_branch() -> None:
    fused = Fusion().fuse([dense("a"), dense("b", weight=0.5)])
    assert [(each.id, each.score) for each in fused] == [
        ("a", pytest.approx(2 / 3)),
        ("b", pytest.approx(1 / 3)),
    ]


def test_ranks_may_be_shared() -> None:
    ranking = Ranking("document", found("a", "b", "c"), ranks=[1, 1, 2])
    said = {each.id: each.branches[0].rank for each in Fusion().fuse([ranking])}
    assert said == {"a": 1, "b": 1, "c": 2}


def test_the_best_of_several_questions() -> None:
    """What one question puts first stays before what every question puts third."""
    first = Fusion().fuse([dense("a", "x", "m")])
    second = Fusion().fuse([Ranking("dense", found("b", "y", "m"), query="b?")])
    merged = best_of([first, second])
    assert ids(merged)[:2] == ["a", "b"]
    (both,) = (each for each in merged if each.id == "m")
    assert [(each.query, each.rank) for each in both.branches] == [(None, 3), ("b?", 3)]
    assert both.score == first[2].score


NAMES = "abcdefgh"
SCORES = st.lists(st.floats(0, 100, width=32), min_size=len(NAMES), max_size=len(NAMES))


@st.composite
def rankings(draw: st.DrawFn, branch: str) -> Ranking:
    scores = sorted(draw(SCORES), reverse=True)
    names = draw(st.permutations(NAMES))[: draw(st.integers(0, len(NAMES)))]
    return Ranking(branch, [Found(passage(n), s) for n, s in zip(names, scores, strict=False)])


WEIGHT = st.floats(0.1, 10)


@pytest.mark.parametrize("method", METHODS)
@given(rankings("dense"), rankings("sparse"), WEIGHT, WEIGHT, st.integers(1, 100))
def test_who_is_better_in_every_list_is_better(
    method: Method, one: Ranking, other: Ranking, weight: float, other_weight: float, k: int
) -> None:
    fusion = Fusion({"dense": weight, "sparse": other_weight}, k, method)
    fused = fusion.fuse([one, other])
    order = ids(fused)
    assert set(order) == {each.passage.id for ranking in (one, other) for each in ranking.found}
    assert len(order) == len(set(order))
    assert all(0 <= each.score <= 1 for each in fused)
    assert [each.score for each in fused] == sorted((e.score for e in fused), reverse=True)
    both = {each.passage.id for each in one.found} & {each.passage.id for each in other.found}

    def place(name: str, ranking: Ranking) -> int:
        return [each.passage.id for each in ranking.found].index(name)

    for better in both:
        for worse in both:
            places = [(place(better, each), place(worse, each)) for each in (one, other)]
            if all(mine < theirs for mine, theirs in places):
                assert fused[order.index(better)].score >= fused[order.index(worse)].score
                if method == "rrf":
                    assert order.index(better) < order.index(worse)


@pytest.mark.parametrize("method", METHODS)
@given(rankings("dense"), rankings("sparse"), st.floats(0.01, 100))
def test_only_the_proportion_of_weights_counts(
    method: Method, one: Ranking, other: Ranking, factor: float
) -> None:
    fusions = [Fusion({"dense": a, "sparse": 2 * a}, 10, method) for a in (1.0, factor)]
    first, second = (fusion.fuse([one, other]) for fusion in fusions)
    scores = {each.id: each.score for each in second}
    for each in first:
        assert scores[each.id] == pytest.approx(each.score)


@given(rankings("dense"), rankings("sparse"))
def test_ranks_alone_decide_by_rrf(one: Ranking, other: Ranking) -> None:
    flat = [
        Ranking(each.branch, [Found(found.passage, 1.0) for found in each.found])
        for each in (one, other)
    ]
    assert ids(Fusion().fuse([one, other])) == ids(Fusion().fuse(flat))


@given(rankings("sparse"), st.floats(0.5, 50), st.integers(-50, 50))
def test_scale_and_zero_of_scores_do_not_matter_by_dbsf(
    ranking: Ranking, factor: float, shift: int
) -> None:
    moved = Ranking(
        "sparse",
        [Found(each.passage, each.score * factor + shift) for each in ranking.found],
    )
    fusion = Fusion(method="dbsf")
    scores = {each.id: each.score for each in fusion.fuse([ranking])}
    given = [each.score for each in ranking.found] or [0.0]
    spread = max(given) - min(given)
    if spread > 1e-3:
        for each in fusion.fuse([moved]):
            assert each.score == pytest.approx(scores[each.id], abs=1e-3)
