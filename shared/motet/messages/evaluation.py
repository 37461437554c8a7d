"""Evaluation: what the `evaluator` agent takes and gives.

Invariants:

- A score is one of three things: a number from 0 to 1 with its reason, a failure with its fault, or
  not applicable with why. It is never NaN, and a failure is never a number.
- What is measured rather than judged (seconds, tokens, dollars) stands apart from scores.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from motet.messages.base import Message, Token, Value
from motet.messages.budget import Usage
from motet.messages.fault import Fault

__all__ = [
    "METRICS",
    "ClaimVerdict",
    "EvaluateRequest",
    "Evaluation",
    "Evidence",
    "Measurements",
    "Score",
    "ScoreFailed",
    "ScoreNotApplicable",
    "ScoreTaskRequest",
    "Scored",
]

METRICS = (
    "faithfulness",
    "answer_relevance",
    "citation_accuracy",
    "context_precision",
    "context_recall",
    "recall@2",
    "recall@5",
    "recall@10",
    "ndcg@10",
    "mrr",
)
"""The metrics that are scored, each from 0 (worst) to 1 (best)."""

Method = Literal["deterministic", "judge"]
"""Whether the same input always gives the same score, or a language model decided."""

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Scored(Value):
    """A metric with its number."""

    status: Literal["scored"] = "scored"
    value: float = Field(ge=0, le=1, allow_inf_nan=False)
    """From 0 (worst) to 1 (best)."""
    method: Method
    reason: str
    """What the number was made from, in a sentence."""


class ScoreFailed(Value):
    """A metric that should have a number, and has none."""

    status: Literal["failed"] = "failed"
    method: Method
    fault: Fault


class ScoreNotApplicable(Value):
    """A metric for which the input says too little."""

    status: Literal["not_applicable"] = "not_applicable"
    reason: str
    """What is missing."""


Score = Annotated[Scored | ScoreFailed | ScoreNotApplicable, Field(discriminator="status")]


class Evidence(Value):
    """A passage on which an answer may stand."""

    id: str = Field(default="", max_length=1024)
    """Identifies it, for the comparison with the relevant ones."""
    text: str = Field(max_length=50_000)
    """Its words."""
    title: str = Field(default="", max_length=1024)
    """Its document's title; a name in it counts as said."""
    source: str = Field(default="", max_length=1024)
    """Its document."""
    number: int | None = Field(default=None, ge=1)
    """The number under which the answer cites it, as in `[1]`; None when it does not."""


class EvaluateRequest(Message):
    """Asks for the scores of one answer."""

    question: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)] = Field(
        max_length=20_000
    )
    """What was wanted."""
    answer: str | None = Field(default=None, max_length=200_000)
    """What was given; None when there was no answer."""
    answered: bool = True
    """False when the answer says that there is none."""
    evidence: tuple[Evidence, ...] = Field(default=(), max_length=500)
    """What was retrieved or cited, best first."""
    computed: tuple[str, ...] = Field(default=(), max_length=200)
    """What tools gave, as statements: an answer may stand on them as well."""
    retrieved: tuple[str, ...] | None = Field(default=None, max_length=10_000)
    """Ids of what was retrieved, best first; None takes those of `evidence`."""
    reference: str | None = Field(default=None, max_length=200_000)
    """A right answer."""
    relevant: dict[str, Amount] = Field(default_factory=dict)
    """Ids of the passages that answer the question, with grades; 1 where all count alike."""
    usage: Usage | None = None
    """What the answer cost."""
    latency_s: Amount | None = None
    """Seconds from the question to the answer."""
    metrics: tuple[str, ...] = Field(default=(), max_length=100)
    """Only these of `METRICS`; empty means all."""
    judge: bool | None = None
    """Whether a language model judges too; None takes the evaluator's setting."""


class ScoreTaskRequest(Message):
    """Asks for the scores of a task that has ended, beside those that it gets by itself."""

    task: Token
    reference: str | None = Field(default=None, max_length=200_000)
    """A right answer."""
    relevant: dict[str, Amount] = Field(default_factory=dict)
    """What answers the question, with grades: ids of passages, or sources of documents."""
    metrics: tuple[str, ...] = Field(default=(), max_length=100)
    """Only these of `METRICS`; empty means all."""
    judge: bool | None = None
    """Whether a language model judges too; None takes the evaluator's setting."""


class ClaimVerdict(Value):
    """One claim of an answer against the evidence."""

    text: str
    supported: bool
    score: float = Field(ge=0, le=1, allow_inf_nan=False)
    """How far it is supported; from one half on it counts as supported."""
    evidence: str | None = None
    """Id of the passage that comes nearest."""
    reason: str
    """What spoke for or against it."""


class Measurements(Value):
    """What was measured, not judged."""

    latency_s: Amount | None = None
    """Seconds from the question to the answer."""
    tokens: int | None = Field(default=None, ge=0)
    """Tokens of all models, in and out."""
    cost_usd: Amount | None = None
    """US dollars."""


class Evaluation(Message):
    """The scores of one answer."""

    scores: dict[str, Score] = Field(default_factory=dict)
    """By metric, made without a language model."""
    judged: dict[str, Score] = Field(default_factory=dict)
    """By metric, as a language model judged; empty when none was asked."""
    measurements: Measurements = Measurements()
    claims: tuple[ClaimVerdict, ...] = ()
    """The claims behind `scores["faithfulness"]`; the first 64."""
    judge: str | None = None
    """The model that judged, as `provider:name`."""
    usage: Usage = Usage()
    """What the evaluation itself spent."""
