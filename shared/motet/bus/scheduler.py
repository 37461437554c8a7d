"""The scheduler: submits the tasks of schedules when their time has come.

Invariants:

- What happens at a planned time is decided once: the decision is written into the schedule by
  compare-and-set before it is carried out. Whoever finds a decision that is pending carries it out.
- A run's task has an id made from the schedule's id and the planned time. So it is one task,
  whoever submits it and however often.
- Any number of processes may sweep at once, and each may be killed at any moment.
- A schedule that cannot be read, or a task that is refused, holds up no other schedule.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from datetime import UTC, datetime, timedelta

from opentelemetry.context import Context
from opentelemetry.trace import SpanKind

from motet.bus.book import TaskBook
from motet.bus.connection import Bus
from motet.bus.kv import Bucket, Item
from motet.bus.schedules import changed, read
from motet.bus.stopping import end
from motet.bus.timetable import due, next_time
from motet.bus.topology import Header
from motet.errors import FaultError
from motet.messages import Schedule, ScheduledRun, Task
from motet.telemetry import names, traceparent_of

__all__ = ["Scheduler"]

log = logging.getLogger(__name__)

SWEEP_S = 1.0
"""Seconds between two looks at what is due."""

KEPT_RUNS = 10
"""How many of its last runs a schedule remembers."""

TAKEN_IN_S = 3600.0
"""Seconds for which a submitted task that is not on record counts as one that has not ended."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Scheduler:
    """Sweeps the bucket `schedules`."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._book = TaskBook(bus)
        self._bucket = Bucket(bus, "schedules")
        self._known: dict[str, tuple[Item, datetime | None]] = {}
        """Each schedule, and when there is something to do for it."""
        self._loops: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begins to sweep."""
        self._loops = [
            asyncio.create_task(self._keep_watching(), name="watch schedules"),
            asyncio.create_task(self._keep_sweeping(), name="sweep schedules"),
        ]

    async def stop(self) -> None:
        """Sweeps no more."""
        await end(*self._loops)

    async def sweep(self, now: datetime) -> None:
        """Does all that is due at a moment.

        Raises:
            FaultError: `unavailable` when the bucket cannot be read or a task is not taken.
        """
        for item in await self._bucket.items():
            await self._tend(item, now)

    async def _keep_watching(self) -> None:
        while True:
            try:
                async for item in self._bucket.watch():
                    if item is not None:
                        self._note(item)
            except FaultError as error:
                log.warning("%s", error)
                await asyncio.sleep(SWEEP_S)

    def _note(self, item: Item) -> None:
        """Remembers a schedule as it is now, and when there is something to do for it."""
        known = self._known.get(item.key)
        if known is not None and known[0].revision > item.revision:
            return
        if not item.value:
            self._known.pop(item.key, None)
            return
        try:
            self._known[item.key] = item, _when(read(item))
        except FaultError as error:
            log.warning("%s", error.fault.message)
            self._known[item.key] = item, None

    async def _keep_sweeping(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            now = datetime.now(UTC)
            for item, when in list(self._known.values()):
                if when is None or when > now:
                    continue
                try:
                    standing = await self._tend(item, now)
                except FaultError as error:
                    log.warning("schedule %s: %s", item.key, error)
                except Exception:
                    # One schedule must not end the sweep of the others.
                    log.exception("schedule %s cannot be swept", item.key)
                else:
                    if standing is not None:
                        self._note(standing)

    # One schedule

    async def _tend(self, item: Item, now: datetime) -> Item | None:
        """Does what is due for a schedule; returns it as it is then, None when it is gone."""
        standing: Item | None = item
        while standing is not None:
            item = standing
            try:
                schedule = read(item)
                values = await self._next_values(schedule, now)
            except FaultError as error:
                if error.fault.retryable:
                    raise
                log.warning("%s", error.fault.message)
                return item
            if values is None:
                return item
            body = changed(item, _plain(values))
            revision = await self._bucket.put(item.key, body, item.revision)
            standing = (
                await self._bucket.get(item.key)
                if revision is None
                else Item(item.key, body, revision)
            )
        return None

    async def _next_values(self, schedule: Schedule, now: datetime) -> Schedule | None:
        """The schedule after its next change; None when there is nothing to do now."""
        if any(run.state == "pending" for run in schedule.runs):
            runs = [
                await self._submit(schedule, run) if run.state == "pending" else run
                for run in schedule.runs
            ]
            return schedule.model_copy(update={"runs": tuple(runs)})
        if not schedule.enabled:
            # It begins anew when it is enabled, whoever does that.
            since = schedule.since
            return None if since is None else schedule.model_copy(update={"since": None})
        if schedule.since is None:
            return schedule.model_copy(update={"since": _beginning(schedule, now)})
        coming = due(schedule, now)
        if coming is None:
            return None
        run = await self._decide(schedule, coming.planned, missed=coming.missed)
        runs = (*schedule.runs, run)[-KEPT_RUNS:]
        return schedule.model_copy(update={"since": coming.planned, "runs": runs})

    async def _decide(self, schedule: Schedule, planned: datetime, *, missed: bool) -> ScheduledRun:
        """What shall become of a planned time."""
        reason = ""
        if missed and not schedule.catch_up:
            reason = "It was missed: nothing of the mesh ran."
        elif schedule.overlap == "skip" and await self._goes_on(schedule):
            reason = "The run before it had not ended."
        if reason:
            return ScheduledRun(planned=planned, state="skipped", reason=reason)
        task = f"{schedule.id}-{planned:%Y%m%dT%H%M%SZ}"
        return ScheduledRun(planned=planned, state="pending", task=task)

    async def _goes_on(self, schedule: Schedule) -> bool:
        """Whether the task of the run before has not ended."""
        before = next((run for run in reversed(schedule.runs) if run.task is not None), None)
        if before is None or before.task is None:
            return False
        record = await self._book.get(before.task)
        if record is None:
            return datetime.now(UTC) - before.planned < timedelta(seconds=TAKEN_IN_S)
        return not record.state.terminal

    async def _submit(self, schedule: Schedule, run: ScheduledRun) -> ScheduledRun:
        """Submits the task of a run; doing it again changes nothing.

        Raises:
            FaultError: `unavailable`.
        """
        task_id, planned = run.task or "", run.planned.isoformat()
        labels = {**schedule.task.labels, "schedule": schedule.id, "scheduled_for": planned}
        task = schedule.task.model_copy(update={"id": task_id, "labels": labels})
        headers = {
            Header.MESSAGE_ID: f"submit.{task_id}",
            Header.TRACEPARENT: self._root(schedule, task_id),
            Header.CE_ID: task_id,
            Header.CE_TYPE: "motet.task.submit.v1",
            Header.CE_SOURCE: "motet/schedules",
            Header.CE_SPECVERSION: "1.0",
        }
        try:
            await self._bus.store(
                self._bus.topology.task_submit_by(task.priority), _body(task), headers
            )
        except FaultError as error:
            if error.fault.retryable:
                raise
            return run.model_copy(update={"state": "skipped", "reason": error.fault.message})
        return run.model_copy(update={"state": "submitted"})

    def _root(self, schedule: Schedule, task: str) -> str:
        """Writes the root span of a run's trace; returns its `traceparent`.

        Its ids are made from the task's, so that it is the same span whoever writes it.
        """
        topology = self._bus.topology
        digest = hashlib.blake2b(f"{topology.namespace}.{task}".encode(), digest_size=24).digest()
        span = self._bus.tracer.start_span(
            names.send(topology.task_submit),
            Context(),
            SpanKind.PRODUCER,
            {
                names.TASK: task,
                names.SCHEDULE: schedule.id,
                names.MESSAGING_DESTINATION_NAME: topology.task_submit,
            },
            trace_id=int.from_bytes(digest[:16]) or 1,
            span_id=int.from_bytes(digest[16:]) or 1,
        )
        span.end()
        return traceparent_of(span)


def _when(schedule: Schedule) -> datetime | None:
    """When there is something to do for a schedule; None for never."""
    if any(run.state == "pending" for run in schedule.runs):
        return _LONG_AGO
    if not schedule.enabled:
        return None if schedule.since is None else _LONG_AGO
    return _LONG_AGO if schedule.since is None else next_time(schedule, schedule.since)


def _beginning(schedule: Schedule, now: datetime) -> datetime:
    """From when on a schedule runs that the mesh sees first."""
    return now if schedule.at is None else min(now, schedule.at - timedelta(seconds=1))


def _plain(schedule: Schedule) -> dict[str, object]:
    """What the scheduler writes into a schedule."""
    return schedule.model_dump(mode="json", include={"since", "runs"})


def _body(task: Task) -> bytes:
    return task.model_dump_json().encode()
