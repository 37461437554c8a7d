"""Retrieval metrics: a ranking against what is known to be relevant.

`ranked` are ids, best first; an id that comes twice counts where it comes first. `grades` give the
relevance of ids; what is not in it, or has grade 0, is not relevant. All values are from 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

__all__ = ["ndcg", "precision_at", "recall", "reciprocal_rank"]


def recall(ranked: Sequence[str], grades: Mapping[str, float], k: int) -> float:
    """Recall@k: the share of the relevant that is among the first `k`.

    Manning, Raghavan and Schütze, "Introduction to Information Retrieval" (2008), 8.4.

    Raises:
        ValueError: Nothing is relevant.
    """
    wanted = _relevant(grades)
    return len(wanted & set(_distinct(ranked)[:k])) / len(wanted)


def precision_at(ranked: Sequence[str], grades: Mapping[str, float], k: int) -> float:
    """Precision@k: the share of the first `k` that is relevant; missing places are not.

    Manning, Raghavan and Schütze (2008), 8.4.

    Raises:
        ValueError: Nothing is relevant, or `k` is below 1.
    """
    if k < 1:
        raise ValueError(f"k is {k}; it must be 1 or more")
    wanted = _relevant(grades)
    return len(wanted & set(_distinct(ranked)[:k])) / k


def ndcg(ranked: Sequence[str], grades: Mapping[str, float], k: int) -> float:
    """NDCG@k: discounted cumulative gain of the first `k`, by that of the best order.

    Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques" (TOIS 20, 2002),
    with the gain equal to the grade and the discount log2(1 + rank), as trec_eval has it and BEIR
    reports it.

    Raises:
        ValueError: Nothing is relevant.
    """
    _relevant(grades)
    ideal = sorted((grade for grade in grades.values() if grade > 0), reverse=True)
    gained = [max(grades.get(each, 0.0), 0.0) for each in _distinct(ranked)]
    return min(1.0, _discounted(gained[:k]) / _discounted(ideal[:k]))


def reciprocal_rank(ranked: Sequence[str], grades: Mapping[str, float]) -> float:
    """One by the rank of the first that is relevant; 0 where none is.

    Its mean over questions is MRR: Voorhees, "The TREC-8 Question Answering Track Report" (1999).

    Raises:
        ValueError: Nothing is relevant.
    """
    wanted = _relevant(grades)
    places = (place for place, each in enumerate(_distinct(ranked), start=1) if each in wanted)
    first = next(places, None)
    return 0.0 if first is None else 1 / first


def _distinct(ranked: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(ranked))


def _relevant(grades: Mapping[str, float]) -> set[str]:
    wanted = {each for each, grade in grades.items() if grade > 0}
    if not wanted:
        raise ValueError("nothing is relevant")
    return wanted


def _discounted(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(place + 1) for place, gain in enumerate(gains, start=1))
