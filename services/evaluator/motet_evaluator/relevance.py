"""Answer relevance: whether an answer speaks to the question, right or wrong.

The cosine between the question and the sentence of the answer that comes nearest to it, by the
embedding model, or the share of the question's words that the answer takes up, whichever is more. A
sentence that only says the question again is no answer, unless yes or no would be one: `The pool is
open.` answers `Is the pool open?`, and so does `Yes.`
"""

from __future__ import annotations

from motet.messages import EvaluateRequest, Score, Scored, ScoreNotApplicable
from motet.models import Embedder
from motet.text.folding import fold
from motet.text.grammar import grammar_words
from motet.text.languages import likely_language
from motet.text.words import words
from motet_evaluator.claims import claims_of
from motet_evaluator.words import Words, language_of_all, share

__all__ = ["answer_relevance", "answering_claims"]

_MOST_SENTENCES = 50
_QUESTION_MARKS = ("?", "？", "؟")


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
    language = language_of_all(request.question, *sentences)
    if not any(Words(sentence, language).content for sentence in sentences):
        return _without_content(request)
    question, *rest = await embedder.embed([request.question, *sentences])
    nearest = max(float(vector @ question) for vector in rest)
    said = {stem for sentence in sentences for stem in Words(sentence, language).stems}
    content = Words(request.question, language).content
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
    yes_or_no = _asks_yes_or_no(request.question)
    if not claims and yes_or_no is not False and words(request.answer):
        return [request.answer.strip()]
    language = language_of_all(request.question, request.answer)
    asked = Words(request.question, language).content_set
    return [
        claim.text
        for claim in claims
        if not Words(claim.text, language).content_set <= asked
        or (yes_or_no and not claim.text.endswith(_QUESTION_MARKS))
    ][:_MOST_SENTENCES]


def _without_content(request: EvaluateRequest) -> Score:
    """The score of a `yes` or `no` and its like."""
    if _asks_yes_or_no(request.question) is None:
        return ScoreNotApplicable(
            reason="It may say yes or no; only the judge can tell whether that was asked."
        )
    return Scored(
        value=1.0,
        method="deterministic",
        reason="The question asks for yes or no, and the answer is no more than that.",
    )


def _asks_yes_or_no(question: str) -> bool | None:
    """Whether a question has no word that asks for more; None where its words are not known."""
    asking = grammar_words("asking", likely_language(question))
    return asking.isdisjoint(map(fold, words(question))) if asking else None
