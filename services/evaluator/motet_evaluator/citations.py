"""Citations: whether what a statement cites supports it.

Citation precision as in Gao et al., "Enabling Large Language Models to Generate Text with
Citations" (EMNLP 2023): a citation is right when all that its statement cites supports the
statement together, and it is not idle, which it is when it does not support it alone and the others
do without it. Here the words decide (`motet_evaluator.support`) where theirs asks a model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from motet.messages import EvaluateRequest, Score, Scored, ScoreNotApplicable
from motet_evaluator.claims import Claim, claims_of
from motet_evaluator.faithfulness import known_of
from motet_evaluator.support import Body, check_size, support_of

__all__ = ["citation_accuracy", "cited_claims", "rightly_cited"]


def citation_accuracy(request: EvaluateRequest) -> Score:
    """The share of an answer's citations that are right."""
    claims = cited_claims(request)
    if isinstance(claims, ScoreNotApplicable):
        return claims
    judged = _judged(request, claims)
    right = sum(each for _, each in judged)
    return Scored(
        value=right / len(judged),
        method="deterministic",
        reason=f"{right} of {len(judged)} citations support what they stand at.",
    )


def rightly_cited(request: EvaluateRequest) -> set[int]:
    """The numbers of the passages that a citation is right about."""
    claims = cited_claims(request)
    if isinstance(claims, ScoreNotApplicable):
        return set()
    return {number for number, right in _judged(request, claims) if right}


def _judged(request: EvaluateRequest, claims: Sequence[Claim]) -> list[tuple[int, bool]]:
    """Each citation by its number, and whether it is right."""
    texts = {each.number: each.text for each in request.evidence if each.number is not None}
    known = known_of(request)
    check_size(
        sum(len(claim.marks) for claim in claims), Body([*texts.values(), *request.computed])
    )
    judged: list[tuple[int, bool]] = []
    for claim in claims:

        def supports(numbers: Sequence[int], claim: Claim = claim) -> bool:
            cited = [texts[number] for number in numbers if number in texts]
            body = Body([*cited, *request.computed])
            return bool(cited) and support_of(claim.text, body, known).supported

        judged += zip(claim.marks, _right(claim.marks, supports), strict=True)
    return judged


def cited_claims(request: EvaluateRequest) -> list[Claim] | ScoreNotApplicable:
    """The claims that cite something, or why there are none."""
    if request.answer is None:
        return ScoreNotApplicable(reason="There is no answer.")
    claims = [claim for claim in claims_of(request.answer) if claim.marks]
    return claims or ScoreNotApplicable(reason="The answer cites nothing.")


def _right(marks: Sequence[int], supports: Callable[[Sequence[int]], bool]) -> list[bool]:
    """Which of the citations at one statement are right."""
    if not supports(marks):
        return [False] * len(marks)
    if len(marks) == 1:
        return [True]
    return [
        supports([mark]) or not supports([other for other in marks if other != mark])
        for mark in marks
    ]
