"""Delegation: one call that a call makes, from what it inherits to what it gives.

Invariants:

- It is paid for before it is issued, and counted under its id: issuing it again costs nothing.
- Whoever follows the task hears that it began and how it ended.
- What ended before the task was resumed is read from the ledger and not issued again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from motet.blocking import Threads
from motet.bus import (
    Approvals,
    Blobs,
    Budgets,
    Bus,
    CallContext,
    Caller,
    Cancellations,
    Events,
    Registry,
    TaskBook,
    Work,
)
from motet.bus.budgets import Purse
from motet.bus.context import narrowed
from motet.errors import FaultError, Suspended
from motet.messages import (
    Budget,
    CallFinished,
    CallResult,
    CallStarted,
    FaultType,
    Usage,
)

__all__ = ["Delegations", "Mesh", "read_output"]

_ONE_CALL = Usage(calls=1)


@dataclass(frozen=True, slots=True)
class Mesh:
    """What a running agent shares among its calls."""

    bus: Bus
    caller: Caller
    events: Events
    registry: Registry
    cancellations: Cancellations
    blobs: Blobs
    book: TaskBook
    approvals: Approvals
    budgets: Budgets
    threads: Threads = field(default_factory=Threads)


class Delegations:
    """The calls that one attempt at a call makes."""

    def __init__(self, mesh: Mesh, work: Work, purse: Purse | None, name: str) -> None:
        """Begins with none.

        Args:
            mesh: What the agent shares among its calls.
            work: The attempt.
            purse: Pays for them; None where nothing is limited.
            name: The `agent.skill` that makes them.
        """
        self._mesh = mesh
        self._work = work
        self._purse = purse
        self._name = name

    async def delegate(
        self,
        skill: str,
        request: BaseModel | Mapping[str, Any],
        output: type[Any],
        step: str,
        timeout_s: float | None,
        budget: Budget | None,
    ) -> Any:
        """See `Call.delegate`."""
        context = self._work.context
        if context.resumed:
            earlier = await self._mesh.caller.standing(self._child(step))
            if earlier is not None:
                return _read(earlier, output, skill)
        if context.budget.depth is not None and context.depth + 1 > context.budget.depth:
            raise FaultError.of(
                FaultType.DEPTH_EXCEEDED,
                f"{skill} would be delegation level {context.depth + 1}; "
                f"the limit is {context.budget.depth}.",
                limit=context.budget.depth,
            )
        child = await self._paid(self._child(step, timeout_s, budget), budget)
        started = time.monotonic()
        await self._tell_start(child, skill, step)
        result = await self._issue(skill, request, child, step)
        self._work.usage = self._work.usage + result.usage
        # Of a call that gave no outcome in time, all of its share counts as spent.
        if budget is not None and self._purse is not None and result.attempts:
            await self._purse.take_back(child.call)
        await self._tell_end(child, skill, result, time.monotonic() - started)
        return _read(result, output, skill)

    def _child(
        self, step: str, timeout_s: float | None = None, budget: Budget | None = None
    ) -> CallContext:
        context = self._work.context
        return context.child(
            step,
            deadline=None if timeout_s is None else time.time() + timeout_s,
            share=budget,
            caller=self._name,
            fresh=self._work.first and not context.resumed,
        )

    async def _paid(self, child: CallContext, share: Budget | None) -> CallContext:
        """Pays for a call before it is issued; gives it the share that was to be had.

        Raises:
            FaultError: `budget_exceeded`, `unavailable`.
        """
        if self._purse is not None:
            await self._purse.count(child.call)
            if share is not None:
                granted = await self._purse.set_aside(child.call, share)
                child = replace(child, budget=narrowed(child.budget, granted))
        self._work.usage = self._work.usage + _ONE_CALL
        return child

    async def _issue(
        self, skill: str, request: BaseModel | Mapping[str, Any], child: CallContext, step: str
    ) -> CallResult:
        suspension, caller = self._work.suspension, self._mesh.caller
        if suspension is None:
            return await caller.call(skill, request, child, step=step)
        try:
            with suspension.running():
                return await caller.call(skill, request, child, step=step)
        except Suspended as suspended:
            # It is counted as a call when it ends.
            usage = self._work.usage + suspended.usage
            self._work.usage = usage.model_copy(update={"calls": usage.calls - 1})
            raise await suspension.suspend(suspended.questions) from None

    async def _tell_start(self, child: CallContext, skill: str, step: str) -> None:
        if child.watched:
            await self._mesh.events.publish(
                CallStarted(
                    task=child.task,
                    call=child.call,
                    parent=self._work.context.call,
                    caller=self._name.partition(".")[0],
                    skill=skill,
                    step=step,
                )
            )

    async def _tell_end(
        self, child: CallContext, skill: str, result: CallResult, duration_s: float
    ) -> None:
        if child.watched:
            await self._mesh.events.publish(
                CallFinished(
                    task=child.task,
                    call=child.call,
                    skill=skill,
                    ok=result.ok,
                    fault=result.fault,
                    duration_s=duration_s,
                    usage=result.usage,
                )
            )


def _read(result: CallResult, output: type[Any], skill: str) -> Any:
    """The output of an outcome.

    Raises:
        FaultError: The fault with which the call ended.
    """
    if result.fault is not None:
        raise FaultError(result.fault)
    return read_output(result.output, output, skill)


def read_output(value: Any, output: type[Any], skill: str) -> Any:
    """The output of `skill` as the type `output`.

    Raises:
        FaultError: `invalid_input` when it does not fit.
    """
    if output is dict:
        return value
    try:
        if issubclass(output, BaseModel):
            return output.model_validate(value)
        return TypeAdapter(output).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise FaultError.of(
            FaultType.INVALID_INPUT,
            f"{skill} gave an output that does not fit {output.__name__}: {where}: {first['msg']}.",
        ) from None
