"""`Run`: one run of a foreign agent within a call, so that it is paid, traced and stopped.

Invariants:

- Before each request to a model and each tool, the call is checked: one that was cancelled, whose
  deadline has passed or whose budget is used up goes no further.
- What stopped a run stays its reason. A framework that hands a fault to its model as a tool's
  result is stopped at its next request, and the run ends with the fault.
- Every request is a span `chat {model}`, every tool a span `execute_tool {tool}`. What is still
  open when the run ends has failed with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextvars import ContextVar
from typing import Any, TypeVar

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.context import Context

from motet.adapters.model_requests import ModelRequests
from motet.adapters.tool_calls import ToolCalls
from motet.call import Call
from motet.errors import FaultError
from motet.telemetry import current_instruments, current_tracer

__all__ = ["Run", "current_run"]

T = TypeVar("T")


class Run:
    """One run."""

    def __init__(self, call: Call) -> None:
        """Begins; within the call's own span."""
        self.call = call
        self.loop = asyncio.get_running_loop()
        self.tracer = current_tracer()
        self.instruments = current_instruments()
        self.requests = ModelRequests(self)
        self.tools = ToolCalls(self)
        self.stopped: BaseException | None = None
        """Why it must not go on."""
        self.model_error: BaseException | None = None
        """What the last request that failed raised."""
        self._context = context_api.get_current()
        self._task: asyncio.Future[Any] | None = None

    async def carry_out(self, work: Awaitable[T]) -> T:
        """What the framework gives, unless the run was stopped.

        Raises:
            FaultError: Why it was stopped.
            Suspended: It waits for a person.
            Exception: Whatever the framework raised.
        """
        token = current_run.set(self)
        self._task = asyncio.ensure_future(work)
        error: BaseException | None = None
        try:
            return await self._task
        except asyncio.CancelledError as cancelled:
            error = cancelled
            task = asyncio.current_task()
            if self.stopped is None or (task is not None and task.cancelling()):
                raise
            raise self.stopped from None
        except BaseException as raised:
            error = raised
            if self.requests.under_way and self.model_error is None:
                self.model_error = raised
            if self.stopped is not None and self.stopped is not raised:
                raise self.stopped from raised
            raise
        finally:
            current_run.reset(token)
            await self._close(error)

    def stop(self, reason: BaseException) -> None:
        """Ends the run, also where the framework goes on from what is raised."""
        if self.stopped is None:
            self.stopped = reason
            if self._task is not None:
                self.loop.call_soon_threadsafe(self._task.cancel)

    def check(self) -> None:
        """Raises why the run must not go on. May be called in a thread.

        Raises:
            FaultError: `cancelled`, `deadline_exceeded`, `budget_exceeded`.
            Suspended: It waits for a person.
        """
        if self.stopped is not None:
            raise self.stopped
        try:
            self.call.check()
        except FaultError as fault:
            self.stop(fault)
            raise

    async def _close(self, error: BaseException | None) -> None:
        """Ends what is open, and waits until everything is paid."""
        self.tools.close(error)
        await self.requests.close(error)
        if error is None and self.stopped is not None:
            raise self.stopped

    def parent(self) -> Context:
        """The current context, or the run's own where a thread has lost it."""
        current = context_api.get_current()
        return current if trace.get_current_span(current).is_recording() else self._context


current_run: ContextVar[Run | None] = ContextVar("motet_adapters_run", default=None)
"""The run that works now; None outside of one."""
