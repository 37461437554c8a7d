"""Cancellation: stopping everything that runs for a task that has ended.

Invariants:

- Each process hears every task's change of state. When a task ends in any way, its handlers in
  this process are cancelled, and its calls that are still queued are not begun.
- Only the newest `REMEMBERED` ended tasks are known by heart; for older ones the deadline and the
  ledger hold.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from typing import cast

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from pydantic import ValidationError

from motet.bus.connection import Bus
from motet.errors import FaultError
from motet.messages import FaultType, StateChanged, TaskState

__all__ = ["Cancellations"]

REMEMBERED = 10_000
"""How many ended tasks a process remembers."""


class Cancellations:
    """Knows which tasks have ended, and stops their handlers."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._ended: OrderedDict[str, TaskState] = OrderedDict()
        self._running: defaultdict[str, set[asyncio.Task[None]]] = defaultdict(set)
        self._subscription: Subscription | None = None

    async def start(self) -> None:
        """Begins to listen."""
        self._subscription = await self._bus.subscribe(
            self._bus.topology.event("*", "state"), self._heard
        )

    async def stop(self) -> None:
        """Stops listening."""
        if self._subscription is not None and self._bus.client.is_connected:
            await self._subscription.unsubscribe()

    def ended(self, task: str) -> FaultError | None:
        """The fault with which work for `task` stops; None while the task lives."""
        state = self._ended.get(task)
        if state is None:
            return None
        return FaultError.of(FaultType.CANCELLED, f"Task {task!r} has ended: {state}.")

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
        try:
            event = StateChanged.model_validate_json(message.data)
        except ValidationError:
            return
        if not event.state.terminal:
            return
        self._ended[event.task] = event.state
        if len(self._ended) > REMEMBERED:
            self._ended.popitem(last=False)
        for running in list(self._running.get(event.task, ())):
            running.cancel()
