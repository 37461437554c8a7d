"""Faithfulness: whether what an answer claims stands in its evidence.

The share of an answer's claims that the evidence supports, each counted by how far it does (the
idea of Es et al., "RAGAS: Automated Evaluation of Retrieval Augmented Generation", EACL 2024, with
`motet_evaluator.support` in the place of the language model).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from motet.messages import (
    ClaimVerdict,
    EvaluateRequest,
    Score,
    Scored,
    ScoreNotApplicable,
)
from motet_evaluator.claims import Claim, claims_of
from motet_evaluator.support import Body, Support, check_size, support_of

__all__ = ["Faithfulness", "body_of", "checked_claims", "faithfulness", "known_of"]

_SHOWN_CLAIMS = 64


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """The score, and the claims behind it."""

    score: Score
    claims: tuple[ClaimVerdict, ...] = ()


def faithfulness(request: EvaluateRequest) -> Faithfulness:
    """How far the evidence supports the answer.

    Raises:
        FaultError: `too_large` when there is more to compare than makes sense.
    """
    claims = checked_claims(request)
    if isinstance(claims, ScoreNotApplicable):
        return Faithfulness(claims)
    body = body_of(request)
    check_size(len(claims), body)
    known = known_of(request)
    found = [(claim, support_of(claim.text, body, known)) for claim in claims]
    value = sum(support.score for _, support in found) / len(found)
    supported = sum(support.supported for _, support in found)
    score = Scored(
        value=value,
        method="deterministic",
        reason=f"The evidence supports {supported} of {len(found)} claims.",
    )
    passages = [(each.id, Body([each.text])) for each in request.evidence]
    shown = tuple(_verdict(claim, support, passages) for claim, support in found[:_SHOWN_CLAIMS])
    return Faithfulness(score, shown)


def checked_claims(request: EvaluateRequest) -> list[Claim] | ScoreNotApplicable:
    """The claims to hold against the evidence, or why there are none to hold."""
    if request.answer is None:
        return ScoreNotApplicable(reason="There is no answer.")
    claims = claims_of(request.answer)
    if not claims:
        return ScoreNotApplicable(reason="The answer claims nothing.")
    if not request.answered and not any(claim.marks for claim in claims):
        return ScoreNotApplicable(reason="The answer says that the evidence does not hold one.")
    return claims


def body_of(request: EvaluateRequest) -> Body:
    """All that the answer may stand on."""
    return Body([*(each.text for each in request.evidence), *request.computed])


def known_of(request: EvaluateRequest) -> list[str]:
    """Texts whose names an answer may use: the question, and the titles."""
    return [request.question, *dict.fromkeys(each.title for each in request.evidence)]


def _verdict(claim: Claim, support: Support, passages: Sequence[tuple[str, Body]]) -> ClaimVerdict:
    return ClaimVerdict(
        text=claim.text,
        supported=support.supported,
        score=support.score,
        evidence=_nearest(claim, passages) if support.supported else None,
        reason=support.reason,
    )


def _nearest(claim: Claim, passages: Sequence[tuple[str, Body]]) -> str | None:
    """The passage that by itself supports the claim best; of equal ones the first."""
    if not passages:
        return None
    return max(passages, key=lambda passage: support_of(claim.text, passage[1]).score)[0]
