"""Chaos: tasks of all shapes while parts are killed, paused, slowed and cut off; then an audit.

Two replicas of three agents run as processes (see `agents`), each on a TCP line of its own, beside
a NATS server with a store of its own. Tasks and faults are made from the seed (see `plan`). When
all faults are over, what is still under way gets `--drain-s` seconds to end. The audit then reads
streams, buckets, the file of effects and the span store (see `audit`).

The last line is one JSON object. `submitted` is the sum of `succeeded`, `failed_as_expected`,
`lost` and tasks that are `stuck`. Zero is wanted of `lost`, `duplicated_outcomes`,
`duplicated_effects`, `stuck` and `broken_traces`:

- lost: accepted, and without a record, an event of its end, an outcome or its effects; or ended
  otherwise than a task of its shape may.
- duplicated_outcomes: a call or a task with more than one outcome, or a changed terminal state.
- duplicated_effects: one effect that was applied twice outside, where keys are honoured.
- stuck: a task without a terminal state after the drain, or a work queue that is not empty.
- broken_traces: a task whose spans do not hang from one root.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from benchmarks.chaos.agents import OUTSIDE, SLOW
from benchmarks.chaos.audit import Audit, keep_revisions
from benchmarks.chaos.parts import Parts
from benchmarks.chaos.plan import PARTS, FaultPlan, Plan, TaskPlan
from motet.bus import Bus, TaskBook, provision
from motet.client import Motet
from motet.errors import FaultError
from motet.messages import Task
from motet.settings import Settings
from motet.telemetry import setup

ACK_WAIT_S = 3.0
READY_WITHIN_S = 30.0
TOLD_EVERY_S = 5.0


class Run:
    """One run of a plan."""

    def __init__(self, plan: Plan, parts: Parts, bus: Bus, direct: Bus) -> None:
        self._plan = plan
        self._parts = parts
        self._bus = bus
        self._direct = direct
        self._motet = Motet(bus)
        self._began = time.monotonic()
        self.accepted: list[TaskPlan] = []
        """Tasks that the mesh has acknowledged."""

    async def suffer(self) -> None:
        """Submits all tasks while all faults happen; returns when the last fault is over."""
        self._began = time.monotonic()
        async with asyncio.timeout(None), asyncio.TaskGroup() as group:
            for fault in self._plan.faults:
                group.create_task(self._fault(fault))
            for task in self._plan.tasks:
                group.create_task(self._submit(task))
            teller = group.create_task(self._tell())
            await self._all_accepted(group, teller)

    async def _all_accepted(
        self, group: asyncio.TaskGroup, teller: asyncio.Task[None]
    ) -> None:
        raise NotImplementedError
