"""The person: replies to what tasks ask, as the plan says, whatever fails meanwhile.

A reply that was not taken for sure is given again, the very same. One that comes too late (another
stands, or the task has ended) is what happens to people, and no mistake.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from benchmarks.chaos.plan import ReplyPlan, TaskPlan
from motet.bus import Approvals, Bus
from motet.client import Motet
from motet.errors import FaultError
from motet.messages import ApprovalRecord, FaultType, Reply

__all__ = ["Person"]

TOO_LATE = {FaultType.ALREADY_REPLIED, FaultType.CANCELLED}


class Person:
    """Watches for questions, and replies to each as the plan of its task says."""

    def __init__(self, bus: Bus, plans: Iterable[TaskPlan]) -> None:
        self._approvals = Approvals(bus)
        self._motet = Motet(bus)
        self._plans = {plan.id: plan.replies for plan in plans}
        self._seen: set[str] = set()
        self._watching: asyncio.Task[None] | None = None
        self._replying: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._watching = asyncio.create_task(self._watch(), name="person")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        ends = [each for each in (self._watching, *self._replying) if each is not None]
        for each in ends:
            each.cancel()
        for outcome in await asyncio.gather(*ends, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome

    async def _watch(self) -> None:
        while True:
            try:
                async for item in self._approvals.watch():
                    if item is not None and item.key not in self._seen:
                        self._seen.add(item.key)
                        self._begin(ApprovalRecord.model_validate_json(item.value))
            except FaultError as error:
                if not error.fault.retryable:
                    raise

    def _begin(self, asked: ApprovalRecord) -> None:
        for plan in self._plans.get(asked.task, ()):
            self._replying.add(asyncio.create_task(self._reply(asked, plan)))

    async def _reply(self, asked: ApprovalRecord, plan: ReplyPlan) -> None:
        await asyncio.sleep(plan.after_s)
        reply = Reply(
            task=asked.task,
            question=asked.id,
            decision=plan.decision,
            value=plan.value,
            by=plan.by,
            reason="As planned.",
            at=datetime.now(UTC),
        )
        while True:
            try:
                await self._motet.reply(reply)
            except FaultError as error:
                if error.fault.type in TOO_LATE:
                    return
                if not error.fault.retryable:
                    raise
            else:
                return
