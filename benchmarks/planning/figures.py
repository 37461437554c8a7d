"""Figures of a run: success with intervals, tokens, seconds, and paired tests."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import comb, sqrt
from typing import Any

__all__ = ["Result", "figures", "mcnemar", "wilson"]

Z = 1.959964
"""Standard deviations that hold 95 % of a normal distribution."""
PLAIN_RAG = "plain_rag"
BARE = "bare"


@dataclass(frozen=True)
class Result:
    """What one system made of one question."""

    system: str
    question: str
    kind: str
    right: bool
    reason: str
    """Why it is not."""
    tokens: int
    seconds: float
    text: str
    supported: bool | None = None
    """Whether it has citations and all of them are marked as supported; None without citations."""
    answered: bool | None = None
    """What the system itself says of whether it answers."""
    found: float | None = None
    """The share of the documents with the answer among the passages that it was given."""

    def record(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def wilson(successes: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share: Wilson, "Probable Inference" (1927), equation 5."""
    if of == 0:
        return 0.0, 1.0
    share = successes / of
    middle = (share + Z**2 / (2 * of)) / (1 + Z**2 / of)
    half = Z / (1 + Z**2 / of) * sqrt(share * (1 - share) / of + Z**2 / (4 * of**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def mcnemar(better: int, worse: int) -> float:
    """Two-sided exact p that of so many differing pairs so many fall on one side by chance.

    The binomial form of McNemar's test: differing pairs are as likely to be one way as the other.
    """
    differing = better + worse
    tail = sum(comb(differing, few) for few in range(min(better, worse) + 1))
    return min(1.0, 2 * tail / 2**differing)


def figures(results: Sequence[Result], strategies: Sequence[str]) -> dict[str, Any]:
    """The figures that the benchmark prints.

    `success` is in percent of the questions, `tokens` the mean of a question, input and output,
    `seconds` the median.
    """
    by_system: dict[str, dict[str, Result]] = {}
    for each in results:
        by_system.setdefault(each.system, {})[each.question] = each
    plain = by_system.get(PLAIN_RAG, {})
    found: dict[str, Any] = {
        "strategies": {
            name: _of(by_system[name]) | _beside(by_system[name], plain)
            for name in strategies
            if name in by_system
        }
    }
    for name in (PLAIN_RAG, BARE):
        if name in by_system:
            found[name] = _of(by_system[name])
    questions = len({each.question for each in results})
    return found | {
        "questions": questions,
        "unit": {
            "success": "percent of questions",
            "tokens": "mean of a question, input and output",
            "seconds": "median of a question",
        },
    }


def _of(results: dict[str, Result]) -> dict[str, Any]:
    right = sum(each.right for each in results.values())
    low, high = wilson(right, len(results))
    kinds: dict[str, list[int]] = {}
    for each in results.values():
        count = kinds.setdefault(each.kind, [0, 0])
        count[0] += each.right
        count[1] += 1
    figures: dict[str, Any] = {
        "success": _percent(right / len(results)),
        "success_95": [_percent(low), _percent(high)],
        "tokens": round(statistics.fmean(each.tokens for each in results.values())),
        "seconds": round(statistics.median(each.seconds for each in results.values()), 2),
        "seconds_mean": round(statistics.fmean(each.seconds for each in results.values()), 2),
        "by_kind": {kind: {"right": right, "of": of} for kind, (right, of) in kinds.items()},
    }
    if any(each.supported is not None for each in results.values()):
        figures["wrong_but_supported"] = sum(
            bool(each.supported) and not each.right for each in results.values()
        )
    shares = [each.found for each in results.values() if each.found is not None]
    if shares:
        figures["passages_found"] = _percent(statistics.fmean(shares))
    return figures


def _beside(results: dict[str, Result], plain: dict[str, Result]) -> dict[str, Any]:
    """How a strategy stands beside plain RAG, on the questions that both were asked."""
    both = [(results[key], plain[key]) for key in results if key in plain]
    if not both:
        return {}
    better = sum(ours.right and not theirs.right for ours, theirs in both)
    worse = sum(theirs.right and not ours.right for ours, theirs in both)
    median = statistics.median(ours.seconds for ours, _ in both)
    other = statistics.median(theirs.seconds for _, theirs in both)
    return {
        "beside_plain_rag": {
            "better": better,
            "worse": worse,
            "p": round(mcnemar(better, worse), 5),
            "seconds_ratio": round(median / other, 2) if other else None,
        }
    }


def _percent(share: float) -> float:
    return round(100 * share, 1)
