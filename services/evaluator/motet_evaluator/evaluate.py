"""Evaluating an answer: every metric by itself, so that one that fails takes no other with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from opentelemetry.trace import get_current_span

from motet.errors import FaultError
from motet.messages import (
    METRICS,
    EvaluateRequest,
    Evaluation,
    Fault,
    FaultType,
    Measurements,
    Score,
    Scored,
    ScoreFailed,
    ScoreNotApplicable,
)
from motet.models import Embedder
from motet.telemetry import names
from motet.telemetry.metrics import Instruments
from motet_evaluator.citations import citation_accuracy
from motet_evaluator.context import context_precision, context_recall, retrieved_of
from motet_evaluator.faithfulness import Faithfulness, faithfulness
from motet_evaluator.judge import JUDGED, Judge
from motet_evaluator.relevance import answer_relevance
from motet_evaluator.retrieval import ndcg, recall, reciprocal_rank

__all__ = ["Evaluator"]

log = logging.getLogger(__name__)

T = TypeVar("T")

_IN_WORDS: dict[str, Callable[[EvaluateRequest], Score]] = {
    "citation_accuracy": citation_accuracy,
    "context_precision": context_precision,
    "context_recall": context_recall,
}
"""Metrics that compare texts, and so take a moment of a core."""

_NO_JUDGE = Fault(
    type=FaultType.UNAVAILABLE,
    message="The evaluator has no judge: set MOTET_EVALUATOR_JUDGE=on, or ask for none.",
)


@dataclass(frozen=True)
class Evaluator:
    """Makes evaluations."""

    embedder: Embedder
    judge: Judge | None
    """None when no language model is asked."""
    instruments: Instruments
    timeout_s: float
    """Seconds that one score without a language model may take."""

    async def evaluate(self, request: EvaluateRequest) -> Evaluation:
        """The scores of one answer.

        Raises:
            FaultError: `invalid_input` when a metric is asked for that there is not.
        """
        wanted = request.metrics or METRICS
        unknown = [metric for metric in wanted if metric not in METRICS]
        if unknown:
            raise FaultError.of(
                FaultType.INVALID_INPUT,
                f"There is no metric {unknown[0]!r}; there are {', '.join(METRICS)}.",
            )
        faithful = Faithfulness(ScoreNotApplicable(reason="It was not asked for."))
        scores: dict[str, Score] = {}
        for metric in dict.fromkeys(wanted):
            if metric == "faithfulness":
                faithful = await self._faithfulness(request)
                scores[metric] = faithful.score
            else:
                scores[metric] = await self._guarded(metric, self._score(metric, request))
        judged = await self._judged(wanted, request)
        evaluation = Evaluation(
            scores=scores,
            judged=judged,
            measurements=_measured(request),
            claims=faithful.claims,
            judge=self.judge.name if judged and self.judge is not None else None,
        )
        self._tell(evaluation)
        return evaluation

    async def _faithfulness(self, request: EvaluateRequest) -> Faithfulness:
        found: list[Faithfulness] = []

        async def score() -> Score:
            found.append(await asyncio.to_thread(faithfulness, request))
            return found[0].score

        value = await self._guarded("faithfulness", score())
        return replace(found[0], score=value) if found else Faithfulness(value)

    async def _score(self, metric: str, request: EvaluateRequest) -> Score:
        if metric == "answer_relevance":
            return await answer_relevance(request, self.embedder)
        if metric in _IN_WORDS:
            return await asyncio.to_thread(_IN_WORDS[metric], request)
        return _retrieval(metric, request)

    async def _judged(self, wanted: tuple[str, ...], request: EvaluateRequest) -> dict[str, Score]:
        metrics = [metric for metric in JUDGED if metric in wanted]
        if request.judge is False or (request.judge is None and self.judge is None):
            return {}
        if self.judge is None:
            return {metric: ScoreFailed(method="judge", fault=_NO_JUDGE) for metric in metrics}
        return {metric: await self.judge.score(metric, request) for metric in metrics}

    async def _guarded(self, metric: str, score: Awaitable[Score]) -> Score:
        """A score; what goes wrong becomes a failed one."""
        try:
            async with asyncio.timeout(self.timeout_s):
                return await score
        except FaultError as error:
            fault = error.fault
        except TimeoutError:
            fault = Fault(
                type=FaultType.DEADLINE_EXCEEDED,
                message=f"{metric} took more than {self.timeout_s:g} s.",
            )
        except Exception as error:
            log.exception("%s failed", metric)
            fault = Fault(type=FaultType.INTERNAL, message=f"{type(error).__name__}: {error}")
        return ScoreFailed(method="deterministic", fault=fault)

    def _tell(self, evaluation: Evaluation) -> None:
        """Puts the scores into the trace and the metrics."""
        span = get_current_span()
        for metric, score in (*evaluation.scores.items(), *evaluation.judged.items()):
            attributes: dict[str, Any] = {
                names.EVALUATION_NAME: metric,
                names.EVALUATION_LABEL: score.status,
            }
            match score:
                case Scored():
                    self.instruments.scored(metric, score.method, score.value)
                    attributes |= {
                        names.EVALUATION_METHOD: score.method,
                        names.EVALUATION_VALUE: score.value,
                    }
                case ScoreFailed():
                    self.instruments.score_failed(metric, score.method, score.fault.type)
                    attributes |= {
                        names.EVALUATION_METHOD: score.method,
                        names.ERROR_TYPE: score.fault.type,
                    }
                case ScoreNotApplicable():
                    continue
            span.add_event(names.EVALUATION_EVENT, attributes)


def _retrieval(metric: str, request: EvaluateRequest) -> Score:
    if not any(request.relevant.values()):
        return ScoreNotApplicable(reason="No ids of relevant passages are given.")
    ranked, grades = retrieved_of(request), request.relevant
    kind, _, at = metric.partition("@")
    match kind:
        case "recall":
            value = recall(ranked, grades, int(at))
        case "ndcg":
            value = ndcg(ranked, grades, int(at))
        case _:
            value = reciprocal_rank(ranked, grades)
    relevant = sum(grade > 0 for grade in grades.values())
    return Scored(
        value=value,
        method="deterministic",
        reason=f"{len(ranked)} retrieved against {relevant} relevant.",
    )


def _measured(request: EvaluateRequest) -> Measurements:
    usage = request.usage
    return Measurements(
        latency_s=request.latency_s,
        tokens=None if usage is None else usage.tokens,
        cost_usd=None if usage is None else usage.cost_usd,
    )
