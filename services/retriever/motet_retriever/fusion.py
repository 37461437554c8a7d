"""Fusion: the lists that branches and sub-queries propose, made into one.

Two methods, both with a weight for each list. An engine that fuses returns the fused score alone,
and who reads a passage needs to see what each branch said, so it is done here.

- `rrf`, weighted reciprocal rank fusion: the sum of `weight / (k + rank)` over the lists that found
  a passage, divided by what first place in every list would give (Cormack, Clarke and Büttcher,
  "Reciprocal rank fusion outperforms Condorcet and individual rank learning methods", SIGIR 2009).
- `dbsf`, distribution-based score fusion: each list's scores are scaled so that its mean less three
  standard deviations is 0 and its mean plus three is 1, what lies beyond being cut off, and summed
  by weight (M. Mazzeschi, "Distribution-Based Score Fusion (DBSF), a new approach to vector search
  ranking", 2023; the rule of Qdrant's fusion `dbsf`: scores that do not differ count 0.5 each).

Invariants:

- Scores are from 0 to 1; by `rrf` 1 is first place in every list, and none is 0.
- Equal scores are ordered by best rank, then by id, so that the order is always the same.
- A list that found nothing changes no order. Where all lists weigh 0, they count alike.
- Every passage keeps rank and score of each list that found it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from motet.messages import BranchScore, Passage
from motet_retriever.stores.port import Found, Vector

__all__ = ["Candidate", "Fusion", "Method", "Ranking", "best_of", "in_order"]

Method = Literal["rrf", "dbsf"]


@dataclass(frozen=True, slots=True)
class Ranking:
    """What one branch proposes for one question, best first."""

    branch: str
    """`dense`, `sparse`, `graph`, or another name of `BranchScore.branch`."""
    found: Sequence[Found]
    query: str | None = None
    """What was asked, where that is not the question itself."""
    weight: float = 1.0
    """How much it counts among lists of the same branch."""
    ranks: Sequence[int] | None = None
    """The rank of each, where several share one; None counts from 1."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage on its way to the result."""

    found: Found
    """As the store gave it."""
    score: float
    """What it is ordered by."""
    branches: tuple[BranchScore, ...] = ()
    """Rank and score in each list that found it."""

    @property
    def id(self) -> str:
        """The passage's id."""
        return self.found.id

    @property
    def passage(self) -> Passage:
        """The passage, made when it is first asked for: most candidates are on no page."""
        return self.found.passage

    @property
    def vector(self) -> Vector | None:
        """Its embedding, where it was asked for."""
        return self.found.vector

    def scored(self, score: float, *said: BranchScore) -> Candidate:
        """The same with another score, and with what another branch said."""
        return Candidate(self.found, score, (*self.branches, *said))

    def told(self, **more: Any) -> Passage:
        """The passage with score and branches, and whatever else is to be set."""
        update = {"score": self.score, "branches": self.branches, **more}
        return self.passage.model_copy(update=update)


@dataclass(frozen=True, slots=True)
class Fusion:
    """How lists become one."""

    weights: Mapping[str, float] = field(default_factory=dict)
    """How much each branch counts; 1 for those left out."""
    k: int = 10
    """Of `rrf`: the larger, the less the first ranks stand out. The paper takes 60; for lists of
    some 50 passages 10 is better: nDCG@10 of .766 against .758 on SciFact's training claims (BM25
    .735, all-MiniLM-L6-v2 .732; the 3,773 abstracts and 685 claims whose evidence is among
    them)."""
    method: Method = "rrf"

    def fuse(self, rankings: Sequence[Ranking]) -> list[Candidate]:
        """All passages that a list of weight above 0 found, best first."""
        weights = [self.weights.get(each.branch, 1.0) * each.weight for each in rankings]
        if not any(weights):
            weights = [1.0] * len(rankings)
        counted = [pair for pair in zip(rankings, weights, strict=True) if pair[1] > 0]
        passages: dict[str, Found] = {}
        said: dict[str, list[BranchScore]] = {}
        total: dict[str, float] = {}
        for ranking, weight in counted:
            ranks = ranking.ranks or range(1, len(ranking.found) + 1)
            worth = self._worth(ranking.found, ranks)
            for found, rank, value in zip(ranking.found, ranks, worth, strict=True):
                key = found.id
                if key not in passages or passages[key].vector is None:
                    passages[key] = found
                total[key] = total.get(key, 0.0) + weight * value
                said.setdefault(key, []).append(
                    BranchScore(
                        branch=ranking.branch, query=ranking.query, rank=rank, score=found.score
                    )
                )
        first = 1 / (self.k + 1) if self.method == "rrf" else 1.0
        most = first * sum(weight for _, weight in counted)
        return in_order(
            Candidate(found, min(total[key] / most, 1.0), tuple(said[key]))
            for key, found in passages.items()
        )

    def _worth(self, found: Sequence[Found], ranks: Sequence[int]) -> list[float]:
        """What each passage of a list gets for being in it, before the list's weight."""
        if self.method == "rrf":
            return [1 / (self.k + rank) for rank in ranks]
        return _scaled([each.score for each in found])


def _scaled(scores: Sequence[float]) -> list[float]:
    """Scores with their mean at 0.5 and three standard deviations at 0 and 1."""
    deviation = statistics.stdev(scores) if len(scores) > 1 else 0.0
    if deviation <= 0 or not math.isfinite(deviation):
        return [0.5] * len(scores)
    mean = statistics.fmean(scores)
    return [min(max(0.5 + (score - mean) / (6 * deviation), 0.0), 1.0) for score in scores]


def in_order(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Best first; of equal scores by best rank, then by id."""

    def key(each: Candidate) -> tuple[float, int, str]:
        ranks = (said.rank for said in each.branches)
        return -each.score, min(ranks, default=0), each.id

    return sorted(candidates, key=key)


def best_of(lists: Iterable[Sequence[Candidate]]) -> list[Candidate]:
    """Lists of different questions merged: each passage counts by its best score in any of them.

    What answers a part of a question belongs before what has a little of every part, so scores
    are not added. A passage keeps what all of its lists said, the best of them first.
    """
    found: dict[str, list[Candidate]] = {}
    for each in lists:
        for candidate in each:
            found.setdefault(candidate.id, []).append(candidate)
    merged: list[Candidate] = []
    for same in found.values():
        best, *others = sorted(same, key=lambda each: -each.score)
        known = set(best.branches)
        said = dict.fromkeys(said for each in others for said in each.branches if said not in known)
        merged.append(best.scored(best.score, *said))
    return in_order(merged)
