"""What happens in a run, all of it made from the seed alone: the tasks, and the faults.

The same seed gives the same tasks at the same moments, and the same faults on the same parts at
the same moments. What the machine makes of it is not repeated to the microsecond; what went wrong
under a seed is sought under that seed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from motet.messages import TaskState

__all__ = ["AGENT_PARTS", "KILLABLE", "PARTS", "SHAPES", "FaultPlan", "Plan", "Shape", "TaskPlan"]

AGENT_PARTS = tuple(f"{agent}-{n}" for agent in ("conductor", "branch", "hand") for n in (1, 2))
"""Two replicas of each agent."""
KILLABLE = (*AGENT_PARTS, "nats")
PARTS = (*KILLABLE, "client")
"""Everything that can fail; the client's line only, since its process is the benchmark's."""

Fault = Literal["kill", "pause", "cut", "slow"]


@dataclass(frozen=True)
class Shape:
    """A kind of task, and what must become of it."""

    weight: int
    ends: frozenset[TaskState]
    """The states that it may end in."""
    effects: tuple[str, ...] = ()
    """What the outside must have seen when it succeeded."""


_SUCCEEDS = frozenset({TaskState.SUCCEEDED})
_SPREAD = ("a-left", "a-right", "b-left", "b-right")

SHAPES: dict[str, Shape] = {
    "parallel": Shape(4, _SUCCEEDS, ("a", "b", "c")),
    "sequence": Shape(4, _SUCCEEDS, ("a", "b", "c")),
    "nested": Shape(4, _SUCCEEDS, _SPREAD),
    "retried": Shape(2, _SUCCEEDS, ("a",)),
    "slow": Shape(1, _SUCCEEDS, ("a",)),
    "reissued": Shape(2, _SUCCEEDS, ("a",)),
    "refused": Shape(1, frozenset({TaskState.FAILED})),
    "expiring": Shape(1, frozenset({TaskState.EXPIRED})),
    "cancelled": Shape(1, frozenset({TaskState.CANCELLED})),
}


@dataclass(frozen=True)
class TaskPlan:
    """A task that is submitted."""

    id: str
    shape: str
    at_s: float
    """Seconds after the beginning."""
    deadline_s: float | None
    cancel_after_s: float | None
    """Seconds from its submission to its cancellation."""


@dataclass(frozen=True)
class FaultPlan:
    """A fault of a part."""

    part: str
    fault: Fault
    at_s: float
    """Seconds after the beginning."""
    lasts_s: float
    delay_s: float = 0.0
    """How late each piece of data is on a slow line."""


@dataclass(frozen=True)
class Plan:
    """A whole run."""

    tasks: tuple[TaskPlan, ...]
    faults: tuple[FaultPlan, ...]

    @classmethod
    def of(cls, tasks: int, seed: int, *, over_s: float, every_s: float, ack_wait_s: float) -> Plan:
        """The plan of a seed.

        Args:
            tasks: How many tasks.
            seed: From which everything is made.
            over_s: Seconds in which tasks are submitted and faults happen.
            every_s: Seconds between two faults, on average.
            ack_wait_s: The mesh's ack wait: half the pauses are longer than it.
        """
        chance = random.Random(seed)
        shapes, weights = list(SHAPES), [shape.weight for shape in SHAPES.values()]
        # Each shape occurs once, if there are tasks enough.
        drawn = shapes[:tasks] + chance.choices(shapes, weights, k=max(0, tasks - len(shapes)))
        chance.shuffle(drawn)
        planned = [
            TaskPlan(
                id=f"chaos-{number}",
                shape=shape,
                at_s=chance.uniform(0, over_s),
                deadline_s=chance.uniform(0.2, 3) if shape == "expiring" else None,
                cancel_after_s=chance.uniform(0, 3) if shape == "cancelled" else None,
            )
            for number, shape in enumerate(drawn)
        ]
        faults = [
            _fault(chance, number * every_s + chance.uniform(0, every_s), ack_wait_s)
            for number in range(int(over_s / every_s))
        ]
        return cls(tuple(sorted(planned, key=lambda task: task.at_s)), tuple(faults))


def _fault(chance: random.Random, at_s: float, ack_wait_s: float) -> FaultPlan:
    part = chance.choices(PARTS, [3] * len(KILLABLE) + [1])[0]
    match part:
        case "nats":
            kinds: list[Fault] = ["kill", "pause"]
        case "client":
            kinds = ["cut", "slow"]
        case _:
            kinds = ["kill", "kill", "pause", "cut", "slow"]
    fault = chance.choice(kinds)
    lasts_s = chance.uniform(0.05, ack_wait_s / 2)
    if fault == "pause" and chance.random() < 0.5:
        lasts_s = ack_wait_s * chance.uniform(1.0, 1.5)
    return FaultPlan(part, fault, at_s, lasts_s, chance.uniform(0.01, 0.1))
