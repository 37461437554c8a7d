"""What happens in a run, all of it made from the seed alone: tasks, replies, and faults.

The same seed gives the same tasks at the same moments, and the same faults on the same parts at
the same moments. What the machine makes of it is not repeated to the microsecond; what went wrong
under a seed is sought under that seed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any, Literal

from motet.messages import Decision, Priority, TaskState

__all__ = [
    "AGENT_PARTS",
    "KILLABLE",
    "LED",
    "PARTS",
    "REPLY",
    "SHAPES",
    "FaultPlan",
    "Plan",
    "ReplyPlan",
    "Shape",
    "TaskPlan",
]

AGENT_PARTS = tuple(f"{agent}-{n}" for agent in ("conductor", "branch", "hand") for n in (1, 2))
"""Two replicas of each agent."""
KILLABLE = (*AGENT_PARTS, "nats")
PARTS = (*KILLABLE, "client")
"""Everything that can fail; the client's line only, since its process is the benchmark's."""

LEADERLESS_S = 12.0
"""The longest that a server of a cluster is away. Another leads 4 to 9 seconds after it died."""

Fault = Literal["kill", "stop", "pause", "cut", "slow"]
"""`stop` ends an agent in order, as an upgrade does; `kill` ends it at once."""

LED = (
    ("TASKS", None),
    ("TASKS", "task-submit"),
    ("CALLS", None),
    ("CALLS", "hand-act"),
    ("EVENTS", None),
    ("KV_tasks", None),
    ("KV_results", None),
    ("KV_budgets", None),
    ("KV_approvals", None),
    ("", None),
)
"""Of a cluster, the leader of one of these suffers: a stream, a consumer, or the cluster itself."""

REPLY = "reply-"
"""How the names of effects begin that a person must have allowed."""


@dataclass(frozen=True)
class Shape:
    """A kind of task, and what must become of it."""

    weight: int
    ends: frozenset[TaskState]
    """The states that it may end in."""
    effects: tuple[str, ...] = ()
    """What the outside must have seen when it succeeded."""
    asks: bool = False
    """Whether it cannot succeed without a reply."""


_SUCCEEDS = frozenset({TaskState.SUCCEEDED})
_FAILS = frozenset({TaskState.FAILED})
_EXPIRES = frozenset({TaskState.EXPIRED})
_IS_CANCELLED = frozenset({TaskState.CANCELLED})
_SPREAD = ("a-left", "a-right", "b-left", "b-right")

SHAPES: dict[str, Shape] = {
    "parallel": Shape(4, _SUCCEEDS, ("a", "b", "c")),
    "sequence": Shape(4, _SUCCEEDS, ("a", "b", "c")),
    "nested": Shape(4, _SUCCEEDS, _SPREAD),
    "retried": Shape(2, _SUCCEEDS, ("a",)),
    "slow": Shape(1, _SUCCEEDS, ("a",)),
    "reissued": Shape(2, _SUCCEEDS, ("a",)),
    "refused": Shape(1, _FAILS),
    # Somebody replies: two who differ, yes, no, at about the time-out, and nobody.
    "asked": Shape(2, _SUCCEEDS, ("a",), asks=True),
    "approved": Shape(1, _SUCCEEDS, asks=True),
    "rejected": Shape(1, _FAILS),
    "hesitant": Shape(1, _SUCCEEDS, asks=True),
    "unanswered": Shape(1, _SUCCEEDS, asks=True),
    # They work for ever, or wait for ever.
    "expiring": Shape(1, _EXPIRES),
    "expiring_waiting": Shape(1, _EXPIRES),
    "cancelled": Shape(1, _IS_CANCELLED),
    "cancelled_waiting": Shape(1, _IS_CANCELLED),
    "cancelled_queued": Shape(1, _IS_CANCELLED),
    # They want more calls than they have: one after another, and all at once.
    "runaway": Shape(1, _FAILS),
    "runaway_branches": Shape(1, _FAILS),
}


@dataclass(frozen=True)
class ReplyPlan:
    """What a person says to the question of a task."""

    after_s: float
    """Seconds after the question was seen."""
    decision: Decision
    value: Any = None
    by: str = "ada"


@dataclass(frozen=True)
class TaskPlan:
    """A task that is submitted."""

    id: str
    shape: str
    at_s: float = 0
    """Seconds after the beginning."""
    deadline_s: float | None = None
    cancel_after_s: float | None = None
    """Seconds from its submission to its cancellation."""
    calls: int | None = None
    """How many calls it may make."""
    timeout_s: float | None = None
    """Seconds that its question waits for a reply."""
    replies: tuple[ReplyPlan, ...] = ()
    priority: Priority = "normal"
    tenant: str = "one"


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
    led: tuple[str, str | None] = ("", None)
    """What the server leads that suffers, in a cluster."""


@dataclass(frozen=True)
class Plan:
    """A whole run."""

    tasks: tuple[TaskPlan, ...]
    faults: tuple[FaultPlan, ...]

    @classmethod
    def of(
        cls,
        tasks: int,
        seed: int,
        *,
        over_s: float,
        every_s: float,
        ack_wait_s: float,
        servers: int = 1,
    ) -> Plan:
        """The plan of a seed.

        Args:
            tasks: How many tasks.
            seed: From which everything is made.
            over_s: Seconds in which tasks are submitted and faults happen.
            every_s: Seconds between two faults, on average.
            ack_wait_s: The mesh's ack wait: half the pauses are longer than it.
            servers: Of how many NATS servers the mesh's is.
        """
        chance = random.Random(seed)
        shapes, weights = list(SHAPES), [shape.weight for shape in SHAPES.values()]
        # Each shape occurs once, if there are tasks enough.
        drawn = shapes[:tasks] + chance.choices(shapes, weights, k=max(0, tasks - len(shapes)))
        chance.shuffle(drawn)
        planned = [
            _task(chance, TaskPlan(f"chaos-{number}", shape, chance.uniform(0, over_s)))
            for number, shape in enumerate(drawn)
        ]
        faults = [
            _fault(chance, number * every_s + chance.uniform(0, every_s), ack_wait_s, servers)
            for number in range(int(over_s / every_s))
        ]
        return cls(tuple(sorted(planned, key=lambda task: task.at_s)), tuple(faults))


def _task(chance: random.Random, task: TaskPlan) -> TaskPlan:
    """A task with what its shape needs, of any priority and tenant."""
    after_s, timeout_s = chance.uniform(0, 6), chance.uniform(0.5, 3)
    needs: dict[str, Any] = {
        "priority": chance.choice(("interactive", "normal", "batch")),
        "tenant": chance.choice(("one", "two", "three")),
    }
    match task.shape:
        case "expiring" | "expiring_waiting":
            needs["deadline_s"] = timeout_s
        case "cancelled" | "cancelled_waiting":
            needs["cancel_after_s"] = after_s / 2
        case "cancelled_queued":
            needs["cancel_after_s"] = 0.0
        case "runaway" | "runaway_branches":
            needs["calls"] = chance.randint(1, 8)
        case "asked":
            at_once_s = after_s + chance.uniform(0, 0.05)
            one = ReplyPlan(after_s, "respond", f"{REPLY}ada")
            needs["replies"] = (one, ReplyPlan(at_once_s, "respond", f"{REPLY}bob", "bob"))
        case "approved":
            yes = ReplyPlan(after_s, "approve")
            changed = ReplyPlan(after_s, "edit", {"name": f"{REPLY}edited"})
            needs["replies"] = (chance.choice((yes, changed)),)
        case "rejected":
            needs["replies"] = (ReplyPlan(after_s, "reject"),)
        case "unanswered":
            needs["timeout_s"] = timeout_s
        case "hesitant":
            needs["timeout_s"] = timeout_s
            late_s = timeout_s + chance.uniform(-0.3, 0.3)
            needs["replies"] = (ReplyPlan(late_s, "respond", f"{REPLY}ada"),)
        case _:
            pass
    return replace(task, **needs)


def _fault(chance: random.Random, at_s: float, ack_wait_s: float, servers: int) -> FaultPlan:
    part = chance.choices(PARTS, [3] * len(KILLABLE) + [1])[0]
    match part:
        case "nats":
            kinds: list[Fault] = ["kill", "pause"]
        case "client":
            kinds = ["cut", "slow"]
        case _:
            kinds = ["kill", "kill", "stop", "pause", "cut", "slow"]
    fault = chance.choice(kinds)
    lasts_s = chance.uniform(0.05, ack_wait_s / 2)
    if fault == "pause" and chance.random() < 0.5:
        lasts_s = ack_wait_s * chance.uniform(1.0, 1.5)
    if part == "nats" and servers > 1:
        # As long as an election takes, or longer, or too short for one.
        lasts_s = chance.uniform(0.2, LEADERLESS_S)
        return FaultPlan(part, fault, at_s, lasts_s, led=chance.choice(LED))
    return FaultPlan(part, fault, at_s, lasts_s, chance.uniform(0.01, 0.1))
