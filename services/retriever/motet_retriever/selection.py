"""Selection: an order of candidates that looks at more than their scores.

Invariants:

- What is selected is a part of what was given, each once, and an order that any page can be cut
  from: it depends on neither offset nor limit.
- At most so many passages of one document are selected as the request allows.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import numpy as np

from motet.messages import Passage
from motet_retriever.fusion import Candidate, in_order

__all__ = ["age_days", "capped", "decayed", "diversified"]

_DAY_S = 86_400.0


def age_days(passage: Passage, now: datetime) -> float:
    """Days since the moment that a passage's document speaks of, or else since its ingestion.

    What lies in the future, or has neither, is of age 0.
    """
    moment = passage.time or passage.ingested_at
    return 0.0 if moment is None else max((now - moment).total_seconds() / _DAY_S, 0.0)


def decayed(
    candidates: Sequence[Candidate], half_life_days: float, now: datetime
) -> list[Candidate]:
    """Candidates with scores that age has halved once for each half-life, best first."""
    return in_order(
        each.scored(each.score * math.exp2(-age_days(each.passage, now) / half_life_days))
        for each in candidates
    )


def diversified(candidates: Sequence[Candidate], diversity: float) -> list[Candidate]:
    """All candidates by maximal marginal relevance.

    Next is who has the largest `(1 - diversity) * relevance - diversity * likeness`: relevance is
    the score as a share of the best one, likeness the largest cosine with one that was taken
    (Carbonell and Goldstein, "The use of MMR", SIGIR 1998; `diversity` is their 1 - λ). A
    candidate without an embedding is like no other.
    """
    if not diversity or len(candidates) < 2:
        return list(candidates)
    known = next((each.vector for each in candidates if each.vector is not None), None)
    if known is None:
        return list(candidates)
    vectors = np.array(
        [np.zeros_like(known) if each.vector is None else each.vector for each in candidates]
    )
    scores = np.array([each.score for each in candidates], np.float64)
    relevance = (1 - diversity) * scores / max(float(scores.max()), 1e-12)
    likeness = np.full(len(candidates), -1.0)
    left = np.ones(len(candidates), bool)
    order: list[int] = []
    chosen = 0  # the best comes first, whatever it is like
    for _ in candidates:
        order.append(chosen)
        left[chosen] = False
        likeness = np.maximum(likeness, vectors @ vectors[chosen])
        worth = np.where(left, relevance - diversity * likeness, -np.inf)
        chosen = int(worth.argmax())
    return [candidates[place] for place in order]


def capped(
    candidates: Sequence[Candidate], per_document: int | None, taken: Counter[str] | None = None
) -> list[Candidate]:
    """The first `per_document` candidates of each document, in order.

    Args:
        candidates: In order.
        per_document: How many at most; None sets no limit.
        taken: How many were taken before, by source; brought up to date.
    """
    if per_document is None:
        return list(candidates)
    counts = Counter[str]() if taken is None else taken
    kept: list[Candidate] = []
    for each in candidates:
        if counts[each.passage.source] < per_document:
            counts[each.passage.source] += 1
            kept.append(each)
    return kept
