"""Answer relevance: whether an answer speaks to the question, right or wrong.

The cosine between the question and the sentence of the answer that comes nearest to it, by the
embedding model, or the share of the question's words that the answer takes up, whichever is more. A
sentence that only says the question again, or that speaks to whoever evaluates it, is no answer.
"""

from __future__ import annotations

from motet.messages import EvaluateRequest, Score, Scored, ScoreNotApplicable
from motet.models import Embedder
from motet_evaluator.claims import addresses_the_judge, claims_of
from motet_evaluator.words import Words, share

__all__ = ["answer_relevance", "answering_claims"]

_MOST_SENTENCES = 50


async def answer_relevance(request: EvaluateRequest, embedder: Embedder) -> Score:
    """How near the answer comes to the question.

    Raises:
        FaultError: `model_failed` when the embedding model does not answer.
    """
    sentences = answering_claims(request)
    if isinstance(sentences, ScoreNotApplicable):
        return sentences
    if not sentences:
        return Scored(
            value=0.0,
            method="deterministic",
            reason="The answer says nothing that the question does not.",
        )
    question, *rest = await embedder.embed([request.question, *sentences])
    nearest = max(float(vector @ question) for vector in rest)
    said = {stem for sentence in sentences for stem in Words(sentence).stems}
    content = Words(request.question).content
    taken_up = share(content, said) if content else 0.0
    return Scored(
        value=min(1.0, max(0.0, nearest, taken_up)),
        method="deterministic",
        reason=f"Cosine of the nearest sentence {nearest:.2f}; "
        f"{taken_up:.0%} of the question's words are taken up.",
    )


def answering_claims(request: EvaluateRequest) -> list[str] | ScoreNotApplicable:
    """The statements of an answer that could answer something."""
    if request.answer is None:
        return ScoreNotApplicable(reason="There is no answer.")
    claims = claims_of(request.answer)
    if not request.answered and not any(claim.marks for claim in claims):
        return ScoreNotApplicable(reason="The answer says that the evidence does not hold one.")
    asked = Words(request.question).content_set
    return [
        claim.text
        for claim in claims
        if not Words(claim.text).content_set <= asked and not addresses_the_judge(claim.text)
    ][:_MOST_SENTENCES]
