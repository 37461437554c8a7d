"""The judge: a language model that decides one thing a call.

Invariants:

- A judgement is an answer in a form that allows nothing else; what does not fit it, comes late, or
  does not come is a failed score with its fault, never a number.
- What is under test is data: it stands between marks that it cannot forge (`motet.text.fencing`).
  Whatever it says, the model cannot grant a number that the evidence does not give.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from motet.errors import FaultError
from motet.messages import (
    EvaluateRequest,
    Evidence,
    Fault,
    FaultType,
    Score,
    Scored,
    ScoreFailed,
    ScoreNotApplicable,
)
from motet.text.fencing import FENCE_RULE, fence
from motet_evaluator.citations import cited_claims
from motet_evaluator.claims import claims_of
from motet_evaluator.context import mean_precision
from motet_evaluator.faithfulness import checked_claims
from motet_evaluator.prompts import PROMPTS
from motet_evaluator.relevance import answering_claims
from motet_evaluator.support import Body
from motet_evaluator.words import Words, language_of_all, share

__all__ = ["JUDGED", "Judge", "JudgeModel"]

log = logging.getLogger(__name__)

JUDGED = (
    "faithfulness",
    "answer_relevance",
    "citation_accuracy",
    "context_precision",
    "context_recall",
)
"""The metrics that a model can judge."""

_AT_ONCE = 4
"""Questions that the model is asked at once."""

_EVIDENCE_LOCAL, _EVIDENCE_REMOTE = 1_500, 12_000
"""Characters of evidence that a local and a remote model are shown for one claim."""

_TEXT = 2_000
"""Characters of a question, a claim or an answer that the model is shown."""

_GRADES = {"fully": 1.0, "partly": 0.5, "not": 0.0}


class JudgeModel(Protocol):
    """What is asked of a model."""

    @property
    def provider(self) -> str:
        """`local` for the one on this machine."""
        ...

    @property
    def name(self) -> str:
        """The model's name."""
        ...

    async def structured(
        self,
        messages: Sequence[Any],
        schema: dict[str, Any],
        *,
        name: str,
        max_tokens: int,
    ) -> dict[str, Any]:
        """An answer in the form of a JSON Schema."""
        ...


class Judge:
    """Judges by a language model."""

    def __init__(self, model: JudgeModel, *, timeout_s: float, claims: int) -> None:
        """Makes a judge.

        Args:
            model: What is asked.
            timeout_s: Seconds that one judgement may take.
            claims: Judgements at most for one score.
        """
        self._model = model
        self._timeout_s = timeout_s
        self._most = claims
        local = model.provider == "local"
        self._evidence = _EVIDENCE_LOCAL if local else _EVIDENCE_REMOTE
        self._room = asyncio.Semaphore(1 if local else _AT_ONCE)
        provider = f"{model.provider}:"
        self.name = f"{provider}{model.name.removeprefix(provider)}"
        """The model, as `provider:name`."""

    async def score(self, metric: str, request: EvaluateRequest) -> Score:
        """The score of one of `JUDGED`."""
        judgements: dict[str, Callable[[EvaluateRequest], Awaitable[Score]]] = {
            "faithfulness": self.faithfulness,
            "answer_relevance": self.answer_relevance,
            "citation_accuracy": self.citation_accuracy,
            "context_precision": self.context_precision,
            "context_recall": self.context_recall,
        }
        return await judgements[metric](request)

    async def faithfulness(self, request: EvaluateRequest) -> Score:
        """The share of the answer's claims that the evidence supports."""
        claims = checked_claims(request)
        if isinstance(claims, ScoreNotApplicable):
            return claims
        return await self._supported(
            [claim.text for claim in claims], request, "claims of the answer"
        )

    async def context_recall(self, request: EvaluateRequest) -> Score:
        """The share of a right answer's claims that the evidence supports."""
        claims = [claim.text for claim in claims_of(request.reference or "")]
        if not claims:
            return ScoreNotApplicable(reason="No reference answer is given.")
        return await self._supported(claims, request, "claims of the reference answer")

    async def citation_accuracy(self, request: EvaluateRequest) -> Score:
        """The share of the cited claims that what they cite supports, taken together."""
        claims = cited_claims(request)
        if isinstance(claims, ScoreNotApplicable):
            return claims

        async def right(index: int) -> bool:
            claim = claims[index]
            cited = [each for each in request.evidence if each.number in claim.marks]
            return await self._supports(claim.text, cited, request.computed)

        return await self._share(right, len(claims), "cited claims are supported by what they cite")

    async def answer_relevance(self, request: EvaluateRequest) -> Score:
        """Whether the answer speaks to the question."""
        sentences = answering_claims(request)
        if isinstance(sentences, ScoreNotApplicable):
            return sentences
        if not sentences:
            reason = "The answer says nothing that the question does not."
            return Scored(value=0.0, method="judge", reason=reason)

        async def judged() -> Score:
            said = await self._ask(
                "answers",
                {"asked": _phrase(80), "given": _phrase(80), "answers": _one_of(*_GRADES)},
                question=fence(request.question[:_TEXT], label="question"),
                answer=fence(" ".join(sentences)[:_TEXT], label="answer"),
            )
            reason = f"Asked for {said['asked']!r}; given {said['given']!r}."
            return Scored(value=_GRADES[said["answers"]], method="judge", reason=reason)

        return await _or_failed(judged())

    async def context_precision(self, request: EvaluateRequest) -> Score:
        """How early the passages come that help to answer the question."""
        passages = request.evidence[: self._most]
        if not passages:
            return ScoreNotApplicable(reason="No passages are given.")

        async def helps(passage: Evidence) -> bool:
            said = await self._ask(
                "helps",
                {"tells": _phrase(120), "helps": _one_of("yes", "no")},
                question=fence(request.question[:_TEXT], label="question"),
                passage=fence(passage.text[: self._evidence], label="passage", title=passage.title),
            )
            return said["helps"] == "yes"

        async def judged() -> Score:
            found = await _all([helps(passage) for passage in passages])
            reason = f"{sum(found)} of {len(found)} passages help."
            return Scored(value=mean_precision(found), method="judge", reason=reason)

        return await _or_failed(judged())

    async def _supported(self, claims: Sequence[str], request: EvaluateRequest, what: str) -> Score:
        async def supported(index: int) -> bool:
            return await self._supports(claims[index], request.evidence, request.computed)

        return await self._share(supported, len(claims), f"{what} are supported")

    async def _share(self, holds: Callable[[int], Awaitable[bool]], count: int, what: str) -> Score:
        """The share of `count` things of which something holds; of too many, a sample of them."""
        step = max(1.0, count / self._most)
        indices = [int(place * step) for place in range(min(count, self._most))]

        async def judged() -> Score:
            found = await _all([holds(index) for index in indices])
            of = f"{len(found)}" if len(found) == count else f"{len(found)} (of {count})"
            reason = f"{sum(found)} of {of} {what}."
            return Scored(value=sum(found) / len(found), method="judge", reason=reason)

        return await _or_failed(judged())

    async def _supports(
        self, claim: str, evidence: Sequence[Evidence], computed: Sequence[str]
    ) -> bool:
        texts = [*(_titled(each) for each in evidence), *computed]
        if not texts or Body(texts).missing_quantity(claim) is not None:
            return False
        said = await self._ask(
            "supported",
            {"nearest": _phrase(160), "supported": _one_of("yes", "no")},
            evidence=fence(_nearest(claim, texts, self._evidence), label="evidence"),
            claim=fence(claim[:_TEXT], label="claim"),
        )
        return said["supported"] == "yes"

    async def _ask(self, prompt: str, properties: dict[str, Any], **values: str) -> dict[str, Any]:
        schema = {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
        async with self._room, asyncio.timeout(self._timeout_s):
            return await self._model.structured(
                PROMPTS.load(prompt).messages(rule=FENCE_RULE, **values),
                schema,
                name=prompt,
                max_tokens=160,
            )


async def _all(judgements: Sequence[Awaitable[bool]]) -> list[bool]:
    """What all of them say; raises the first that failed once all have ended."""
    found: list[bool] = []
    for said in await asyncio.gather(*judgements, return_exceptions=True):
        if isinstance(said, BaseException):
            raise said
        found.append(said)
    return found


async def _or_failed(judged: Awaitable[Score]) -> Score:
    """A score, or why there is none."""
    try:
        return await judged
    except FaultError as error:
        return ScoreFailed(method="judge", fault=error.fault)
    except TimeoutError:
        return ScoreFailed(
            method="judge",
            fault=Fault(
                type=FaultType.DEADLINE_EXCEEDED, message="The judge did not answer in time."
            ),
        )
    except Exception as error:
        log.exception("the judge failed")
        fault = Fault(type=FaultType.INTERNAL, message=f"{type(error).__name__}: {error}")
        return ScoreFailed(method="judge", fault=fault)


def _phrase(length: int) -> dict[str, Any]:
    return {"type": "string", "maxLength": length}


def _one_of(*words: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(words)}


def _titled(passage: Evidence) -> str:
    return f"({passage.title}) {passage.text}" if passage.title else passage.text


def _nearest(claim: str, texts: Sequence[str], room: int) -> str:
    """The texts that share most words with a claim, as many as there is room for."""
    language = language_of_all(claim, *texts)
    wanted = Words(claim, language).stems
    ranked = sorted(texts, key=lambda text: -share(wanted, set(Words(text, language).stems)))
    taken: list[str] = []
    for text in ranked:
        left = room - sum(len(each) + 1 for each in taken)
        if left <= 0:
            break
        taken.append(text[:left])
    return "\n".join(taken)
