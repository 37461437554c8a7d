"""Context: whether what was retrieved is what the answer needs.

Precision asks whether the passages that help come first, recall whether all that is needed came.
Which passages help is known by the ids of the relevant ones; else by the words of a right answer;
else, for precision, by those of the answer itself, and by its citations where they are right.
"""

from __future__ import annotations

from collections.abc import Sequence

from motet.messages import EvaluateRequest, Score, Scored, ScoreNotApplicable
from motet_evaluator.citations import rightly_cited
from motet_evaluator.claims import claims_of
from motet_evaluator.faithfulness import known_of
from motet_evaluator.retrieval import recall
from motet_evaluator.support import Body, check_size, support_of
from motet_evaluator.words import share

__all__ = ["context_precision", "context_recall", "mean_precision", "retrieved_of"]

_HELPS = 0.6
"""Share of the words of a short reference that a passage has which holds it."""


def retrieved_of(request: EvaluateRequest) -> tuple[str, ...]:
    """The ids of what was retrieved, best first."""
    if request.retrieved is not None:
        return request.retrieved
    return tuple(each.id for each in request.evidence)


def context_precision(request: EvaluateRequest) -> Score:
    """How early the passages come that help."""
    if request.relevant:
        ranked = list(dict.fromkeys(retrieved_of(request)))
        if not ranked:
            return Scored(value=0.0, method="deterministic", reason="Nothing was retrieved.")
        helps = [request.relevant.get(each, 0.0) > 0 for each in ranked]
        by = "by their ids"
    elif not request.evidence:
        return ScoreNotApplicable(reason="Neither passages nor relevant ids are given.")
    elif request.reference is not None:
        helps = _holding(request.reference, request)
        by = "by the reference answer"
    elif request.answer is not None and request.answered:
        right = rightly_cited(request)
        holding = _holding(request.answer, request)
        helps = [
            holds or each.number in right
            for each, holds in zip(request.evidence, holding, strict=True)
        ]
        by = "by the answer itself"
    else:
        return ScoreNotApplicable(
            reason="Neither relevant ids, a reference nor an answer is given."
        )
    return Scored(
        value=mean_precision(helps),
        method="deterministic",
        reason=f"{sum(helps)} of {len(helps)} passages help, {by}.",
    )


def context_recall(request: EvaluateRequest) -> Score:
    """How much of what is needed came."""
    if any(request.relevant.values()):
        ranked = retrieved_of(request)
        return Scored(
            value=recall(ranked, request.relevant, len(ranked)),
            method="deterministic",
            reason=f"Of {len(request.relevant)} relevant passages, by their ids.",
        )
    if request.reference is None:
        return ScoreNotApplicable(reason="Neither relevant ids nor a reference answer is given.")
    claims = [claim.text for claim in claims_of(request.reference)]
    if not claims:
        return ScoreNotApplicable(reason="The reference answer claims nothing.")
    body = Body(each.text for each in request.evidence)
    check_size(len(claims), body)
    found = sum(_states(claim, body, request) for claim in claims)
    return Scored(
        value=found / len(claims),
        method="deterministic",
        reason=f"The passages hold {found} of {len(claims)} claims of the reference answer.",
    )


def mean_precision(helps: Sequence[bool]) -> float:
    """The mean, over the passages that help, of the precision at their rank; 0 where none does.

    Average precision (Manning, Raghavan and Schütze, 2008, 8.4), which RAGAS calls context
    precision.
    """
    hits = 0
    total = 0.0
    for rank, helpful in enumerate(helps, start=1):
        if helpful:
            hits += 1
            total += hits / rank
    return total / hits if hits else 0.0


def _holding(answer: str, request: EvaluateRequest) -> list[bool]:
    """Of each passage, whether it states anything of an answer."""
    claims = claims_of(answer)
    bodies = [Body([each.text]) for each in request.evidence]
    check_size(len(claims), *bodies)
    return [any(_states(claim.text, body, request) for claim in claims) for body in bodies]


def _states(claim: str, body: Body, request: EvaluateRequest) -> bool:
    """Whether evidence states a claim, which may be no more than a name or a number."""
    words = body.words_of(claim)
    if len(words.content) <= 3:
        has_numbers = body.missing_quantity(claim) is None
        return has_numbers and share(words.content, body.stems) >= _HELPS
    return support_of(claim, body, known_of(request)).supported
