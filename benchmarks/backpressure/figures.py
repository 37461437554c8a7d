"""Figures of many measurements: percentiles, rates, and how far an order is from another."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

__all__ = ["latency", "order", "rates", "rss_mb"]


def latency(seconds: Sequence[float]) -> dict[str, float]:
    """Median and 99th percentile, in milliseconds."""
    ordered = sorted(seconds)
    return {
        "p50_ms": round(statistics.median(ordered) * 1e3, 2),
        "p99_ms": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1e3, 2),
    }


def rates(ends: Sequence[float]) -> dict[str, float]:
    """How many ended a second after the first: of the first tenth, the last tenth, and all."""
    tenth = max(1, len(ends) // 10)
    return {
        "first_tenth_per_s": _rate(tenth, ends[tenth] - ends[0]),
        "last_tenth_per_s": _rate(tenth, ends[-1] - ends[-tenth - 1]),
        "per_s": _rate(len(ends) - 1, ends[-1] - ends[0]),
    }


def _rate(count: int, seconds: float) -> float:
    return round(count / max(seconds, 1e-9), 1)


def order(numbers: Sequence[int]) -> dict[str, float]:
    """How the order in which tasks ended lies to that in which they were accepted.

    Args:
        numbers: Each task's place among the accepted, in the order of their ends.

    Returns:
        Spearman's rank correlation, 1 for the same order; and how many places the unluckiest task
        ended later than it was accepted.
    """
    count = len(numbers)
    squares = sum((place - number) ** 2 for place, number in enumerate(numbers))
    return {
        "rank_correlation": round(1 - 6 * squares / (count * (count**2 - 1)), 6),
        "places_lost_at_most": max(place - number for place, number in enumerate(numbers)),
    }


def rss_mb(pid: int) -> float:
    """Resident memory of a process, in MB (10^6 bytes), as Linux has it."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) * 1024 / 1e6, 1)
    return 0.0
