"""Levels: gauges of what somebody looks at now and then, such as how many calls are queued.

What always holds: each look replaces the one before as a whole, so that a queue that is gone is
reported no more; and where nobody looks, no gauge exists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from motet.telemetry import names

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackT

__all__ = ["Level", "Levels"]

_GAUGES: Final = {
    names.METRIC_TASKS_QUEUED: ("{task}", "Tasks that wait or are worked on, by queue."),
    names.METRIC_TASKS_OLDEST: ("s", "Age of the oldest message of a queue of tasks."),
    names.METRIC_CALLS_QUEUED: (
        "{call}",
        "Calls without an outcome, by skill: pending and unacknowledged.",
    ),
    names.METRIC_CALLS_OLDEST: ("s", "Age of the oldest call without an outcome, by skill."),
    names.METRIC_DEAD_LETTERS_KEPT: ("{message}", "Dead letters that nobody replayed or dropped."),
    names.METRIC_INSTANCES: ("{instance}", "Processes of an agent that live."),
    names.METRIC_STREAM_MESSAGES: ("{message}", "Messages in a stream or a bucket."),
    names.METRIC_STREAM_SIZE: ("By", "What a stream or a bucket takes on disk."),
    names.METRIC_STREAM_LIMIT: ("By", "What it may take; past that, publishing is refused."),
}


class Level(NamedTuple):
    """One reading of a gauge."""

    metric: str
    value: float
    attributes: Mapping[str, str]


class Levels:
    """The newest look."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._seen: dict[str, list[Observation]] | None = None

    def show(self, levels: Iterable[Level]) -> None:
        """Reports these from now on, and nothing else."""
        seen: dict[str, list[Observation]] = {}
        for metric, value, attributes in levels:
            seen.setdefault(metric, []).append(Observation(value, dict(attributes)))
        if self._seen is None:
            for metric, (unit, description) in _GAUGES.items():
                self._meter.create_observable_gauge(
                    metric, [self._reading(metric)], unit, description
                )
        self._seen = seen

    def _reading(self, metric: str) -> CallbackT:
        # A reader's thread calls it.
        def read(_: CallbackOptions) -> list[Observation]:
            return (self._seen or {}).get(metric, [])

        reading: Callable[[CallbackOptions], Iterable[Observation]] = read
        return reading
