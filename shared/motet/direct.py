"""Direct calls: what a client asks of skills outside of any task.

Invariants:

- Calls that belong together have one id in the place of a task's, and one trace with one root.
- When whoever waits for them is cancelled, or ends with an error, so are they: those that run,
  those that are queued, and all that they delegated.
- No events are written for them but the one that cancels.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar, overload

from opentelemetry.trace import SpanKind
from pydantic import BaseModel

from motet.bus import TASK_CALL, Bus, CallContext, Caller, Events, call_id
from motet.delegation import read_output
from motet.errors import FaultError
from motet.messages import (
    ANYBODY,
    Budget,
    Fault,
    FaultType,
    Principal,
    StateChanged,
    TaskState,
)
from motet.telemetry import names

__all__ = ["DirectCalls"]

log = logging.getLogger(__name__)

CANCEL_WITHIN_S = 3.0
"""Seconds that telling everybody of a cancellation may take; what goes on ends at its deadline."""

T = TypeVar("T")


class DirectCalls:
    """Calls that belong together."""

    def __init__(self, bus: Bus, caller: Caller, task: str, principal: Principal = ANYBODY) -> None:
        self._bus = bus
        self._caller = caller
        self._principal = principal
        self._running = 0
        self.id = task
        """Stands in the place of a task's id: `motet trace` finds them by it."""

    @classmethod
    @asynccontextmanager
    async def together(
        cls, bus: Bus, caller: Caller, task: str, *, name: str, principal: Principal
    ) -> AsyncGenerator[DirectCalls]:
        """A root span, and the calls below it; those that still run at its end are cancelled."""
        calls = cls(bus, caller, task, principal)
        with bus.tracer.span(names.run(name), SpanKind.INTERNAL, {names.TASK: task}):
            try:
                yield calls
            finally:
                await calls.cancel()

    @overload
    async def call(
        self,
        skill: str,
        request: BaseModel | Mapping[str, Any],
        *,
        step: str | None = None,
        timeout_s: float | None = 60,
        budget: Budget | None = None,
    ) -> dict[str, Any]: ...

    @overload
    async def call(
        self,
        skill: str,
        request: BaseModel | Mapping[str, Any],
        output: type[T],
        *,
        step: str | None = None,
        timeout_s: float | None = 60,
        budget: Budget | None = None,
    ) -> T: ...

    async def call(
        self,
        skill: str,
        request: BaseModel | Mapping[str, Any],
        output: type[Any] = dict,
        *,
        step: str | None = None,
        timeout_s: float | None = 60,
        budget: Budget | None = None,
    ) -> Any:
        """Calls a skill.

        Args:
            skill: `agent.skill`.
            request: The skill's input.
            output: The type to read the output as.
            step: Its name among those that belong together; None for a call that is alone.
            timeout_s: Seconds that it may take.
            budget: What it and everything below it may spend; None sets no limit.

        Raises:
            FaultError: The fault with which the call ended.
        """
        context = CallContext(
            task=self.id,
            call=TASK_CALL if step is None else call_id(self.id, TASK_CALL, step),
            deadline=None if timeout_s is None else time.time() + timeout_s,
            budget=budget or Budget(),
            principal=self._principal,
            watched=False,
            fresh=True,
        )
        # Not ended in a `finally`: what was interrupted counts as running until it is cancelled.
        self._running += 1
        try:
            result = await self._caller.call(skill, request, context, step=step or skill)
        except FaultError:
            self._running -= 1
            raise
        self._running -= 1
        if result.fault is not None:
            raise FaultError(result.fault)
        return read_output(result.output, output, skill)

    async def cancel(self) -> None:
        """Cancels those that run, with all that they delegated; does nothing where none does."""
        if not self._running:
            return
        self._running = 0
        fault = Fault(type=FaultType.CANCELLED, message="Whoever called was interrupted.")
        told = StateChanged(task=self.id, state=TaskState.CANCELLED, fault=fault)
        try:
            async with asyncio.timeout(CANCEL_WITHIN_S):
                await Events(self._bus).publish(told)
        except (FaultError, TimeoutError) as error:
            log.warning("calls of %s go on until their deadline: %s", self.id, error)
