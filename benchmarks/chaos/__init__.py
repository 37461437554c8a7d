"""Chaos: tasks of all shapes while parts are killed, stopped, paused, slowed, cut; then an audit.

Two replicas of three agents run as processes (see `agents`), each on a TCP line of its own, beside
a NATS server with a store of its own; or, with `--servers 3`, beside a cluster of three, whose
leaders are killed and paused. Tasks and faults are made from the seed (see `plan`). When
all faults are over, what is still under way gets `--drain-s` seconds to end. The audit then reads
streams, buckets, the file of effects and the span store (see `audit`).

The last line is one JSON object. `submitted` is the sum of `succeeded`, `failed_as_expected`,
`lost` and tasks that are `stuck`. Zero is wanted of `lost`, `duplicated_outcomes`,
`duplicated_effects`, `stuck` and `broken_traces`:

- lost: accepted, and without a record, an event of its end, an outcome or its effects; or ended
  otherwise than a task of its shape may, such as with an effect that its budget of calls has no
  room for, or that no person allowed.
- duplicated_outcomes: a call or a task with more than one outcome, a changed terminal state, or a
  question with more than one reply.
- duplicated_effects: one effect that was applied twice outside, where keys are honoured.
- stuck: a task without a terminal state after the drain, also one that waits for a person; or a
  work queue that is not empty.
- broken_traces: a task whose spans do not hang from one root. A span that its process did not live
  to end counts as it stands in the process' journal, without an end.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.chaos.agents import AGENTS, OUTSIDE, SLOW
from benchmarks.chaos.audit import Audit, keep_revisions
from benchmarks.chaos.parts import Parts
from benchmarks.chaos.person import Person
from benchmarks.chaos.plan import KILLABLE, FaultPlan, Plan, TaskPlan
from motet.bus import Bus, TaskBook, provision
from motet.client import Motet
from motet.errors import FaultError
from motet.messages import Budget, Task
from motet.settings import Settings
from motet.telemetry import setup

ACK_WAIT_S = 3.0
READY_WITHIN_S = 30.0
TOLD_EVERY_S = 5.0
TOLD_PROBLEMS = 50
MIN_S = 10.0
"""The shortest time in which tasks are submitted and faults happen."""

T = TypeVar("T")


class Run:
    """One run of a plan."""

    def __init__(self, plan: Plan, parts: Parts, bus: Bus, direct: Bus) -> None:
        """`bus` is the client's, and suffers; `direct` looks at the server past every line."""
        self._plan = plan
        self._parts = parts
        self._bus = bus
        self._direct = direct
        self._motet = Motet(bus)
        self._book = TaskBook(direct)
        self._began = time.monotonic()
        self.accepted: list[TaskPlan] = []
        """Tasks that the mesh has acknowledged."""

    async def suffer(self) -> None:
        """Submits all tasks while all faults happen."""
        self._began = time.monotonic()
        teller = asyncio.create_task(self._tell())
        try:
            async with asyncio.TaskGroup() as group:
                for fault in self._plan.faults:
                    group.create_task(self._fault(fault))
                for task in self._plan.tasks:
                    group.create_task(self._submit(task))
        finally:
            teller.cancel()
            await asyncio.gather(teller, return_exceptions=True)

    async def drain(self, within_s: float) -> float:
        """Waits until every task has ended, and the work queues are empty; gives the seconds.

        Args:
            within_s: The longest that it waits.
        """
        began = time.monotonic()
        left = {task.id for task in self.accepted}
        # A server tells nobody how many messages it holds, and a task that waits has none.
        while time.monotonic() < began + within_s:
            if not any(await self._waiting()):
                left = {task for task in left if not await self._ended(task)}
                if not left:
                    break
            await asyncio.sleep(0.5)
        return time.monotonic() - began

    async def _ended(self, task: str) -> bool:
        record = await self._book.get(task)
        return record is not None and record.state.terminal

    async def _fault(self, fault: FaultPlan) -> None:
        await self._moment(fault.at_s)
        await self._parts.suffer(fault)

    async def _submit(self, task: TaskPlan) -> None:
        await self._moment(task.at_s)
        timed = {} if task.timeout_s is None else {"timeout_s": str(task.timeout_s)}
        wanted = Task(
            id=task.id,
            goal=task.shape,
            labels={"shape": task.shape, **timed},
            deadline_s=task.deadline_s,
            budget=Budget(calls=task.calls),
            priority=task.priority,
            tenant=task.tenant,
        )
        # Submitting again under the same id is what a client does whose server was away.
        with self._bus.tracer.span("chaos task"):
            handle = await self._insistently(lambda: self._motet.submit(wanted))
        self.accepted.append(task)
        if task.cancel_after_s is not None:
            await asyncio.sleep(task.cancel_after_s)
            await self._insistently(handle.cancel)

    async def _insistently(self, action: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await action()
            except FaultError as error:
                if not error.fault.retryable:
                    raise

    async def _moment(self, at_s: float) -> None:
        await asyncio.sleep(max(0.0, self._began + at_s - time.monotonic()))

    async def _waiting(self) -> tuple[int, int]:
        topology = self._direct.topology
        tasks, calls = [
            await self._direct.patiently(
                partial(self._direct.js.stream_info, topology.stream(name)), "The queues"
            )
            for name in ("TASKS", "CALLS")
        ]
        return tasks.state.messages, calls.state.messages

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(TOLD_EVERY_S)
            with suppress(FaultError):
                tasks, calls = await self._waiting()
                _say(
                    f"{time.monotonic() - self._began:.0f} s: {len(self.accepted)} accepted, "
                    f"{tasks} tasks and {calls} calls under way, "
                    f"{self._parts.faults.total()} faults"
                )


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


async def _measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    plan = Plan.of(
        options.tasks,
        options.seed,
        over_s=max(MIN_S, options.tasks / options.rate),
        every_s=options.every_s,
        ack_wait_s=ACK_WAIT_S,
        servers=options.servers,
    )
    effects, spans = folder / "effects.jsonl", folder / "spans"
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(Parts(folder, options.servers))
        settings = Settings(
            nats_url=parts.url, data_dir=folder, spans_dir=spans, replicas=options.servers
        )
        far = settings.model_copy(update={"nats_url": parts.client_lines.url})
        telemetry = setup("client", settings)
        stack.push_async_callback(telemetry.shutdown)
        direct = await stack.enter_async_context(Bus.open(settings, telemetry, client="audit"))
        await provision(direct.js, direct.topology)
        await keep_revisions(direct)
        bus = await stack.enter_async_context(Bus.open(far, telemetry))
        async with parts.agents(_environment(folder, effects, options.servers)):
            missing = await Motet(direct).wait_for_agents(set(AGENTS), READY_WITHIN_S)
            if missing:
                raise SystemExit(f"agents did not start: {sorted(missing)}")
            run = Run(plan, parts, bus, direct)
            async with Person(bus, plan.tasks):
                await run.suffer()
                drained_s = await run.drain(options.drain_s + options.tasks / options.rate)
        telemetry.flush()
        audit = await Audit.of(direct, run.accepted, effects, spans)
        for problem in audit.problems[:TOLD_PROBLEMS]:
            _say(problem)
        _say(
            f"seed {options.seed}: {dict(parts.faults)}, drained in {drained_s:.1f} s, "
            f"{parts.unexpected_ends} agents ended by themselves; everything is in {folder}"
        )
        return audit.figures(len(run.accepted), {part: parts.kills[part] for part in KILLABLE})


def _environment(folder: Path, effects: Path, servers: int) -> dict[str, str]:
    return {
        "MOTET_REPLICAS": str(servers),
        "MOTET_DATA_DIR": str(folder),
        "MOTET_SPANS_DIR": str(folder / "spans"),
        "MOTET_ACK_WAIT_S": str(ACK_WAIT_S),
        # So few that tasks queue.
        "MOTET_CONCURRENCY": "8",
        "MOTET_TASK_DEADLINE_S": "86400",
        # Attempts that end by a kill count too, and here nearly all do.
        "MOTET_MAX_ATTEMPTS": "50",
        "MOTET_RETRY_DELAY_S": "0.2",
        "MOTET_RETRY_DELAY_MAX_S": "1",
        "MOTET_LOG_LEVEL": "warning",
        OUTSIDE: str(effects),
        SLOW: str(ACK_WAIT_S * 1.2),
    }


def run(arguments: list[str], data: Path | None) -> dict[str, Any]:
    """Runs the benchmark and returns its figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks chaos", description=__doc__)
    parser.add_argument("--tasks", type=int, default=500, help="how many tasks are submitted")
    parser.add_argument("--seed", type=int, default=1, help="what all tasks and faults come from")
    parser.add_argument("--rate", type=float, default=20, help="tasks submitted a second")
    parser.add_argument("--every-s", type=float, default=1, help="seconds between two faults")
    parser.add_argument("--drain-s", type=float, default=60, help="seconds after the last fault")
    parser.add_argument(
        "--servers", type=int, choices=(1, 3), default=1, help="three are a NATS cluster"
    )
    parser.add_argument("--keep", type=Path, help="keep logs, streams and spans in this folder")
    if data is not None:
        parser.error("this benchmark takes no --data")
    options = parser.parse_args(arguments)
    if options.keep is not None:
        options.keep.mkdir(parents=True)
        return asyncio.run(_measure(options, options.keep))
    with tempfile.TemporaryDirectory(prefix="motet-chaos-") as folder:
        return asyncio.run(_measure(options, Path(folder)))
