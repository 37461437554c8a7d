"""Cancellation: stopping everything that runs for a task that has ended.

Invariants:

- Each process hears every task's change of state. When a task ends in any way, its handlers in
  this process are cancelled, and its calls that are still queued are not begun.
- What may have been missed, before the process started or while its connection was down, is looked
  up in the task's record.
- Only the newest `REMEMBERED` ended tasks are known by heart; for older ones the deadline and the
  ledger hold.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict, defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from typing import cast

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from pydantic import ValidationError

from motet.bus.connection import Bus
from motet.bus.kv import Bucket
from motet.bus.topology import Header
from motet.errors import FaultError
from motet.messages import FaultType, StateChanged, TaskRecord, TaskState

__all__ = ["Cancellations"]

log = logging.getLogger(__name__)

REMEMBERED = 10_000
"""How many ended tasks a process remembers."""

CONNECTION_CHECK_S = 1.0
"""Seconds between two looks at whether the connection was lost and is back."""


class Cancellations:
    """Knows which tasks have ended, and stops their handlers."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._ended: OrderedDict[str, TaskState] = OrderedDict()
        self._running: defaultdict[str, set[asyncio.Task[None]]] = defaultdict(set)
        self._tasks = Bucket(bus, "tasks")
        self._subscription: Subscription | None = None
        self._since = time.time()
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begins to listen."""
        self._subscription = await self._bus.subscribe(
            self._bus.topology.event("*", "state"), self._heard
        )
        self._since = time.time()
        self._keeper = asyncio.create_task(self._keep(), name="keep cancellations")

    async def stop(self) -> None:
        """Stops listening."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._subscription is not None and self._bus.client.is_connected:
            await self._subscription.unsubscribe()

    def ended(self, task: str) -> FaultError | None:
        """The fault with which work for `task` stops; None while the task lives."""
        state = self._ended.get(task)
        if state is None:
            return None
        return FaultError.of(FaultType.CANCELLED, f"Task {task!r} has ended: {state}.")

    async def ended_by_now(self, task: str, stored_at: float) -> FaultError | None:
        """The same for a message stored at `stored_at`, Unix time in seconds.

        Raises:
            FaultError: `unavailable` when what may have been missed cannot be looked up.
        """
        if stored_at < self._since and task not in self._ended:
            await self._look_up(task)
        return self.ended(task)

    @contextmanager
    def running(self, task: str) -> Generator[None]:
        """Marks the current asyncio task as working for `task`."""
        current = cast("asyncio.Task[None]", asyncio.current_task())
        running = self._running[task]
        running.add(current)
        try:
            yield
        finally:
            running.discard(current)
            if not running:
                self._running.pop(task, None)

    async def _heard(self, message: Msg) -> None:
        if message.headers and Header.STREAM in message.headers:
            log.error("%s was copied there: nothing is cancelled", message.subject)
            return
        try:
            event = StateChanged.model_validate_json(message.data)
        except ValidationError:
            return
        if event.state.terminal:
            self._end(event.task, event.state)

    def _end(self, task: str, state: TaskState) -> None:
        # The end of a task may be told twice; a handler that cleans up is not disturbed again.
        if task in self._ended:
            return
        self._ended[task] = state
        if len(self._ended) > REMEMBERED:
            self._ended.popitem(last=False)
        for running in list(self._running.get(task, ())):
            running.cancel()

    async def _look_up(self, task: str) -> None:
        item = await self._tasks.get(task)
        if item is None:
            return
        state = TaskRecord.model_validate_json(item.value).state
        if state.terminal:
            self._end(task, state)

    async def _keep(self) -> None:
        """Looks up, after the connection was down, how the tasks fare that are worked for."""
        client = self._bus.client
        connections = self._bus.connections
        while True:
            await asyncio.sleep(CONNECTION_CHECK_S)
            if self._bus.connections == connections or not client.is_connected:
                continue
            now = time.time()
            try:
                for task in list(self._running):
                    await self._look_up(task)
            except FaultError as error:
                log.warning("whether tasks have ended is not known: %s", error)
                continue
            connections = self._bus.connections
            self._since = now
