"""The audit: what became of each task, from streams, buckets, the outside and the span store.

Nothing here trusts what an agent or a client said during the run. The buckets of tasks, results
and approvals keep every revision in a run, so that an outcome or a reply that was replaced is seen.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from benchmarks.chaos.agents import effects_in
from benchmarks.chaos.plan import REPLY, SHAPES, TaskPlan
from motet.bus import TASK_CALL, Bus
from motet.messages import (
    EVENT,
    ApprovalRecord,
    CallResult,
    Question,
    Reply,
    StateChanged,
    TaskRecord,
)
from motet.telemetry.record import SpanRecord
from motet.telemetry.span_store import SpanStore

__all__ = ["Audit", "keep_revisions"]

REVISIONS = 64
"""Revisions of a key that are kept: the most that NATS allows in a bucket."""

FETCH = 500


async def keep_revisions(bus: Bus) -> None:
    """Makes the buckets of tasks, results and approvals keep what is written over."""
    kept = [f"KV_{bus.topology.bucket(name)}" for name in ("tasks", "results", "approvals")]
    for config in bus.topology.streams():
        if config.name in kept:
            config.max_msgs_per_subject = REVISIONS
            await bus.js.update_stream(config)


@dataclass
class Audit:
    """What was found; `problems` says it in words."""

    succeeded: int = 0
    failed_as_expected: int = 0
    lost: int = 0
    duplicated_outcomes: int = 0
    duplicated_effects: int = 0
    stuck: int = 0
    broken_traces: int = 0
    problems: list[str] = field(default_factory=list)

    @classmethod
    async def of(cls, bus: Bus, accepted: Sequence[TaskPlan], effects: Path, spans: Path) -> Audit:
        """Audits the tasks that the mesh has accepted."""
        audit = cls()
        records = await _records(bus)
        outcomes = await _outcomes(bus)
        told = await _terminal_events(bus)
        acted = _effects(effects)
        questions = await _questions(bus)
        calls = Counter(key.partition(".")[0] for key in outcomes)
        for task in accepted:
            allowed = audit._replies(task, questions[task.id])
            made = calls[task.id] - 1
            seen = _Seen(records.get(task.id, []), told[task.id], acted[task.id], allowed, made)
            audit._task(task, seen, outcomes)
        for key, results in outcomes.items():
            if len(results) > 1:
                audit._problem("duplicated_outcomes", f"{key} has {len(results)} outcomes")
        for task_id, names in acted.items():
            for name, times in names.items():
                if times > 1:
                    audit._problem("duplicated_effects", f"{task_id} {name}: {times} times")
        for stream in ("TASKS", "CALLS"):
            info = await bus.js.stream_info(bus.topology.stream(stream))
            if info.state.messages:
                audit._problem("stuck", f"{info.state.messages} messages are left in {stream}")
        await asyncio.to_thread(audit._traces, accepted, records, spans)
        return audit

    def figures(self, submitted: int, kills: dict[str, int]) -> dict[str, Any]:
        """The counts, as the benchmark's last line has them."""
        counts = {each.name: getattr(self, each.name) for each in fields(self)}
        del counts["problems"]
        return {"submitted": submitted, **counts, "kills": kills}

    def _problem(self, kind: str, words: str) -> None:
        setattr(self, kind, getattr(self, kind) + 1)
        self.problems.append(f"{kind}: {words}")

    def _replies(self, task: TaskPlan, questions: dict[str, list[ApprovalRecord]]) -> set[str]:
        """What persons have allowed a task to do outside, each question having one reply."""
        allowed: set[str] = set()
        for revisions in questions.values():
            replies = [record.reply for record in revisions]
            first = next((reply for reply in replies if reply is not None), None)
            if first is None:
                continue
            if any(reply != first for reply in replies[replies.index(first) :]):
                said = [reply.by if reply else None for reply in replies]
                self._problem("duplicated_outcomes", f"{task.id}: a question has replies {said}")
            allowed |= _allowed(revisions[0].question, first)
        return allowed

    def _task(self, task: TaskPlan, seen: _Seen, outcomes: dict[str, list[CallResult]]) -> None:
        """Counts a task as exactly one of succeeded, failed as expected, lost and stuck."""
        shape, name, revisions = SHAPES[task.shape], f"{task.id} ({task.shape})", seen.revisions
        if not revisions:
            self._problem("lost", f"{name} was accepted and has no record")
            return
        terminal = [record for record in revisions if record.state.terminal]
        if not terminal:
            self._problem("stuck", f"{name} is {revisions[-1].state}")
            return
        if len(terminal) > 1 or revisions[-1] is not terminal[0]:
            states = [str(record.state) for record in revisions]
            self._problem("duplicated_outcomes", f"{name} went {', '.join(states)}")
        record, told = terminal[0], seen.told
        if told.total() > 1:
            self._problem("duplicated_outcomes", f"{name}: its events tell {dict(told)}")
        stored = outcomes.get(f"{task.id}.{TASK_CALL}", [])
        if not told or not stored:
            self._problem("lost", f"{name} is {record.state}, and nobody was told")
        elif record.state not in shape.ends:
            fault = record.fault.message if record.fault else "no fault"
            self._problem("lost", f"{name} is {record.state}: {fault}")
        elif wrong := seen.wrong(task, succeeded=record.answer is not None):
            self._problem("lost", f"{name} is {record.state}, and {wrong}")
        elif record.answer is None:
            self.failed_as_expected += 1
        else:
            self.succeeded += 1

    def _traces(
        self, accepted: Sequence[TaskPlan], records: dict[str, list[TaskRecord]], spans: Path
    ) -> None:
        traces = _outlines(SpanStore(spans).every())
        for task in accepted:
            parent = next(
                (record.traceparent for record in records.get(task.id, []) if record.traceparent),
                "--",
            )
            outline = traces.get(parent.split("-")[1])
            broken = "it has no span" if outline is None else outline.broken()
            if broken:
                self._problem("broken_traces", f"{task.id} ({task.shape}): {broken}")


def _allowed(question: Question, reply: Reply) -> set[str]:
    """The effect that a reply allows."""
    match reply.decision:
        case "approve":
            return {question.value["name"]}
        case "edit":
            return {reply.value["name"]}
        case "respond":
            return {reply.value}
        case "reject":
            return set()


@dataclass(frozen=True)
class _Seen:
    """What there is of one task."""

    revisions: list[TaskRecord]
    told: Counter[str]
    """How often each terminal state is in the events."""
    acted: Counter[str]
    """How often each effect was applied."""
    allowed: set[str]
    """Effects that a person has allowed."""
    calls: int
    """How many calls have an outcome, beside the task's own."""

    def wrong(self, task: TaskPlan, *, succeeded: bool) -> str:
        """What the outside should have seen and has not, or the reverse; empty when all is well."""
        shape = SHAPES[task.shape]
        done = {name for name in self.acted if name.startswith(REPLY)}
        if done - self.allowed:
            return f"did {sorted(done - self.allowed)}, which nobody allowed"
        made = max(len(self.acted), self.calls)
        exact = task.shape == "runaway"
        if task.calls is not None and (made > task.calls or (exact and made < task.calls)):
            return f"made {made} calls of the {task.calls} that it had"
        missing = [each for each in shape.effects if not self.acted[each]]
        if succeeded and (missing or self.allowed - done):
            return f"lacks the effects {[*missing, *self.allowed - done]}"
        if succeeded and shape.asks and not self.allowed:
            return "nobody has replied"
        return ""


@dataclass
class _Outline:
    """The ids of a trace's spans, each with its parent's."""

    parents: dict[str, str | None] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def broken(self) -> str:
        """Why the spans are not one tree; empty when they are."""
        roots = [self.names[span] for span, parent in self.parents.items() if parent is None]
        orphans = [
            f"{self.names[span]} below the unknown {parent}"
            for span, parent in self.parents.items()
            if parent is not None and parent not in self.parents
        ]
        if len(roots) == 1 and not orphans:
            return ""
        return f"{len(roots)} roots, {len(orphans)} orphans: {'; '.join(orphans[:3])}"


def _outlines(spans: Iterable[SpanRecord]) -> dict[str, _Outline]:
    found: defaultdict[str, _Outline] = defaultdict(_Outline)
    for span in spans:
        outline = found[span.trace_id]
        outline.parents[span.span_id] = span.parent_id
        outline.names[span.span_id] = span.name
    return found


async def _records(bus: Bus) -> dict[str, list[TaskRecord]]:
    """Each task's records, all revisions, oldest first."""
    found: defaultdict[str, list[TaskRecord]] = defaultdict(list)
    async for body in _bodies(bus, f"KV_{bus.topology.bucket('tasks')}", ">"):
        record = TaskRecord.model_validate_json(body)
        found[record.id].append(record)
    return found


async def _outcomes(bus: Bus) -> dict[str, list[CallResult]]:
    """Every outcome that was ever written, by `task.call`."""
    found: defaultdict[str, list[CallResult]] = defaultdict(list)
    async for body in _bodies(bus, f"KV_{bus.topology.bucket('results')}", ">"):
        if json.loads(body)["kind"] == "result":
            result = CallResult.model_validate_json(body)
            found[f"{result.task}.{result.call}"].append(result)
    return found


async def _questions(bus: Bus) -> defaultdict[str, dict[str, list[ApprovalRecord]]]:
    """Each task's questions, all revisions of each, oldest first."""
    found: defaultdict[str, dict[str, list[ApprovalRecord]]] = defaultdict(dict)
    async for body in _bodies(bus, f"KV_{bus.topology.bucket('approvals')}", ">"):
        record = ApprovalRecord.model_validate_json(body)
        found[record.task].setdefault(record.id, []).append(record)
    return found


async def _terminal_events(bus: Bus) -> defaultdict[str, Counter[str]]:
    """How often each terminal state of each task is in the stream of events."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    stream = bus.topology.stream("EVENTS")
    async for body in _bodies(bus, stream, bus.topology.event("*", "state")):
        event = EVENT.validate_json(body)
        if isinstance(event, StateChanged) and event.state.terminal:
            found[event.task][str(event.state)] += 1
    return found


def _effects(path: Path) -> defaultdict[str, Counter[str]]:
    """How often each effect of each task was applied, whatever its keys were."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for effect in effects_in(path.read_bytes() if path.exists() else b""):
        found[effect["task"]][effect["name"]] += 1
    return found


async def _bodies(bus: Bus, stream: str, subject: str) -> AsyncIterator[bytes]:
    """Everything in a stream on a subject, in order."""
    config = ConsumerConfig(
        filter_subject=subject,
        ack_policy=AckPolicy.NONE,
        deliver_policy=DeliverPolicy.ALL,
        inactive_threshold=60,
    )
    info = await bus.js.add_consumer(stream, config)
    left = info.num_pending or 0
    pull = await bus.js.pull_subscribe_bind(info.name, stream=stream)
    while left > 0:
        try:
            messages = await pull.fetch(min(FETCH, left), timeout=5)
        except NatsTimeoutError:
            return
        for message in messages:
            yield message.data
        left -= len(messages)
    await pull.unsubscribe()
