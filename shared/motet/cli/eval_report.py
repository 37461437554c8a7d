"""What an evaluation over a dataset found: by item, by metric, and against the gates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from motet.messages import METRICS, Evaluation, Fault, Scored, ScoreFailed, TaskRecord

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from motet.cli.eval_dataset import EvalItem

__all__ = ["JUDGED", "MEASURED", "EvalOutcome", "Gate", "Summary", "report", "summaries"]

MEASURED = ("latency_s", "tokens", "cost_usd")
"""What is measured rather than judged."""

JUDGED = "judged."
"""Before the name of a metric that a language model judged."""

_COLUMNS = ("faithfulness", "answer_relevance", "citation_accuracy", "context_recall")
_SHORT = ("faithful", "relevant", "citations", "recall")


@dataclass(frozen=True)
class EvalOutcome:
    """What became of one item."""

    item: EvalItem
    task: str
    record: TaskRecord | None = None
    evaluation: Evaluation | None = None
    fault: Fault | None = None
    """Why it has no evaluation, or no answer."""

    @property
    def failed(self) -> bool:
        """Whether the task did not succeed, or could not be evaluated."""
        return self.fault is not None

    def json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "id": self.item.id,
            "goal": self.item.goal,
            "task": self.task,
            "state": None if self.record is None else self.record.state.value,
            "answer": _dumped(None if self.record is None else self.record.answer),
            "evaluation": _dumped(self.evaluation),
            "fault": _dumped(self.fault),
        }


@dataclass(frozen=True)
class Summary:
    """One metric over all items."""

    name: str
    values: tuple[float, ...]
    failed: int
    not_applicable: int

    @property
    def mean(self) -> float | None:
        """Over the items that have a value; None where none has."""
        return sum(self.values) / len(self.values) if self.values else None

    def json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "mean": self.mean,
            "min": min(self.values, default=None),
            "max": max(self.values, default=None),
            "scored": len(self.values),
            "failed": self.failed,
            "not_applicable": self.not_applicable,
        }


@dataclass(frozen=True)
class Gate:
    """What a mean must reach, or not pass."""

    name: str
    bound: float
    at_most: bool = False

    def met(self, summary: Summary | None) -> bool:
        """Whether it holds; where there is no value, or one could not be made, it does not."""
        if summary is None or summary.mean is None or summary.failed:
            return False
        return summary.mean <= self.bound if self.at_most else summary.mean >= self.bound

    def said(self, summary: Summary | None) -> str:
        """It and what was found, in words."""
        mean = None if summary is None else summary.mean
        found = "has no value" if mean is None else f"is {mean:.3f}"
        if summary is not None and summary.failed:
            found += f", and could not be made {summary.failed} times"
        return f"{self.name} {found}; it must be {'<=' if self.at_most else '>='} {self.bound:g}"


def summaries(outcomes: Iterable[EvalOutcome]) -> dict[str, Summary]:
    """Every metric of which there is anything to say, in the order of `METRICS`."""
    evaluations = [each.evaluation for each in outcomes if each.evaluation is not None]
    found: dict[str, Summary] = {}
    for prefix, parts in (
        ("", [each.scores for each in evaluations]),
        (JUDGED, [each.judged for each in evaluations]),
    ):
        for metric in METRICS:
            scores = [part[metric] for part in parts if metric in part]
            values = tuple(score.value for score in scores if isinstance(score, Scored))
            failed = sum(isinstance(score, ScoreFailed) for score in scores)
            if scores:
                rest = len(scores) - len(values) - failed
                found[prefix + metric] = Summary(prefix + metric, values, failed, rest)
    for name in MEASURED:
        measured = [getattr(each.measurements, name) for each in evaluations]
        values = tuple(float(each) for each in measured if each is not None)
        if values:
            found[name] = Summary(name, values, 0, len(measured) - len(values))
    return found


def report(console: Console, outcomes: Sequence[EvalOutcome]) -> RenderableType:
    """Tables for people: the items, then the metrics."""
    from rich.console import Group
    from rich.text import Text

    return Group(_items(console, outcomes), Text(), _metrics(outcomes))


def _items(console: Console, outcomes: Sequence[EvalOutcome]) -> Table:
    from rich.table import Table
    from rich.text import Text

    from motet.cli.layout import width

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("#", justify="right")
    table.add_column("question", width=max(20, width(console) - 56), no_wrap=True)
    for name in (*_SHORT, "seconds"):
        table.add_column(name, justify="right")
    for number, outcome in enumerate(outcomes, start=1):
        goal = Text(" ".join(outcome.item.goal.split()), overflow="ellipsis")
        if outcome.evaluation is None:
            table.add_row(str(number), goal, Text("failed", style="red"), "", "", "", "")
            continue
        cells = [_cell(outcome.evaluation, metric) for metric in _COLUMNS]
        took = outcome.evaluation.measurements.latency_s
        seconds = "" if took is None else f"{took:.1f}"
        table.add_row(str(number), goal, *cells, seconds, style="red" if outcome.failed else None)
    return table


def _metrics(outcomes: Sequence[EvalOutcome]) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("metric", style="cyan")
    for name in ("mean", "min", "max", "scored", "failed", "n/a"):
        table.add_column(name, justify="right")
    for summary in summaries(outcomes).values():
        if not summary.values and not summary.failed:
            continue
        numbers = [
            "" if value is None else _number(summary.name, value)
            for value in (summary.mean, min(summary.values, default=None),
                          max(summary.values, default=None))
        ]  # fmt: skip
        counts = (len(summary.values), summary.failed, summary.not_applicable)
        table.add_row(summary.name, *numbers, *map(str, counts))
    return table


def _cell(evaluation: Evaluation, metric: str) -> str:
    score = evaluation.scores.get(metric)
    if isinstance(score, Scored):
        return f"{score.value:.2f}"
    return "failed" if isinstance(score, ScoreFailed) else "-"


def _number(name: str, value: float) -> str:
    if name == "tokens":
        return f"{value:,.0f}"
    return f"{value:.4f}" if name == "cost_usd" else f"{value:.3f}"


def _dumped(value: Any) -> Any:
    return None if value is None else value.model_dump(mode="json")
