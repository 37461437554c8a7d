"""`Call`: what a handler is given beside its request.

Invariants:

- What a handler delegates inherits its task, its deadline and its budget, which all that the task
  does shares.
- A delegated step has one call id, made from the task, this call and the step's name: doing the
  step again gives the outcome that stands. A step that shall run anew needs a new name.
- What is spent below counts here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, overload

from pydantic import BaseModel

from motet.blocking import ProcessResult, run_process
from motet.bus import (
    Blobs,
    Bucket,
    Streaming,
    Work,
)
from motet.delegation import Delegations, Mesh
from motet.errors import FaultError
from motet.messages import (
    AgentCard,
    Budget,
    Evaluation,
    Event,
    FaultType,
    Principal,
    Progress,
    Question,
    Reply,
    Streamed,
    TaskRecord,
    TaskState,
    Usage,
)
from motet.models.metering import Room, free

__all__ = ["Call"]

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class Call:
    """One attempt at a call, seen from its handler."""

    def __init__(self, mesh: Mesh, work: Work, agent: str, skill: str) -> None:
        self._mesh = mesh
        self._work = work
        self._streaming: Streaming | None = None
        self._purse = mesh.budgets.purse(work.context)
        self._delegations = Delegations(mesh, work, self._purse, f"{agent}.{skill}")
        self._over = False
        self.agent = agent
        """The agent that handles it."""
        self.skill = skill
        """The skill that was called."""

    @property
    def task(self) -> str:
        """Id of the task that it serves."""
        return self._work.context.task

    @property
    def id(self) -> str:
        """Id of the call; `task` for the task itself."""
        return self._work.context.call

    @property
    def parent(self) -> str | None:
        """Id of the call that delegated it."""
        return self._work.context.parent

    @property
    def depth(self) -> int:
        """Levels of delegation above it."""
        return self._work.context.depth

    @property
    def attempt(self) -> int:
        """Which delivery this is, from 1."""
        return self._work.attempt

    @property
    def idempotency_key(self) -> str:
        """For effects outside: the same on every attempt at this call, and on no other."""
        return f"{self.task}.{self.id}"

    @property
    def principal(self) -> Principal:
        """On whose behalf the call is made: its tenant, and what it may see."""
        return self._work.context.principal

    @property
    def deadline(self) -> datetime | None:
        """When it must be over."""
        deadline = self._work.context.deadline
        return None if deadline is None else datetime.fromtimestamp(deadline, UTC)

    def time_left_s(self) -> float | None:
        """Seconds until the deadline; None without one."""
        return self._work.context.time_left_s()

    @property
    def usage(self) -> Usage:
        """What was spent so far, here and below."""
        return self._work.usage

    @property
    def budget(self) -> Budget:
        """What may still be spent, at most: what others spend meanwhile may not be known here."""
        budget = self._work.context.budget
        return budget if self._purse is None else self._purse.left(budget.minus(self.usage))

    @property
    def records_content(self) -> bool:
        """Whether spans may hold prompts, answers and arguments: `MOTET_RECORD_CONTENT`."""
        return self._mesh.bus.settings.record_content

    @property
    def cancelled(self) -> bool:
        """Whether the task, or this attempt at the call, has ended. May be asked in a thread."""
        return self._over or self._mesh.cancellations.ended(self.task) is not None

    def check(self) -> None:
        """Stops work that has no right to go on. May be called in a thread.

        Raises:
            FaultError: `cancelled`, `deadline_exceeded` or `budget_exceeded`.
        """
        ended = self._mesh.cancellations.ended(self.task)
        if ended is not None:
            raise ended
        if self._over:
            raise FaultError.of(FaultType.CANCELLED, f"Attempt {self.attempt} is over.")
        deadline = self._work.context.deadline
        if deadline is not None and time.time() >= deadline:
            raise FaultError.of(FaultType.DEADLINE_EXCEEDED, "The deadline has passed.")
        if self._purse is not None:
            self._purse.check()

    async def spend(self, usage: Usage) -> None:
        """Notes what was spent. Models do so themselves.

        Raises:
            FaultError: `budget_exceeded` when that was more than was left, `unavailable`.
        """
        self._work.usage = self._work.usage + usage
        if self._purse is not None:
            await self._purse.charge(usage)

    @asynccontextmanager
    async def reserve(self, least: Usage, most: Usage) -> AsyncGenerator[Room]:
        """Reserves what a request to a model may cost. Models do so themselves: see `Meter`.

        Raises:
            FaultError: `cancelled`, `deadline_exceeded`, `budget_exceeded`, `unavailable`.
        """
        self.check()
        paying = free(most) if self._purse is None else self._purse.reserve(least, most)
        async with paying as room:
            try:
                yield room
            finally:
                self._work.usage = self._work.usage + room.spent

    async def event(self, message: str, **data: Any) -> None:
        """Makes something known to whoever follows the task."""
        await self.publish(
            Progress(
                task=self.task,
                call=self.id,
                skill=f"{self.agent}.{self.skill}",
                message=message,
                data=data,
            )
        )

    async def stream(self, text: str) -> None:
        """Gives away a piece of a text while it is written, for whoever follows the task.

        Pieces may be as small as a model's tokens: they are put together before they are published.
        The outcome is what counts; a text that is streamed is not kept beside it for callers.
        """
        if not self._work.context.watched:
            return
        if self._streaming is None:
            self._streaming = Streaming(self._streamed)
        await self._streaming.write(text)

    async def in_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What a blocking function returns, run in a thread.

        When the call is cancelled, or its time is over, nobody waits for it any more, and what it
        gives is dropped. Python cannot stop a thread: a function that takes long should ask
        `call.check()` now and then, which raises when it is to stop. Until it ends it keeps its
        place among the threads of this process.
        """
        return await self._mesh.threads.run(partial(function, *args, **kwargs))

    async def run_process(
        self,
        *command: str | Path,
        data: bytes | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> ProcessResult:
        """Runs a program to its end. A cancellation ends it, and whatever it started.

        That does not reach what leaves the program's process group on purpose.

        Args:
            command: The program and its arguments; no shell reads them.
            data: For its standard input; None gives it none.
            env: Its environment; None gives it this process'.
            cwd: Where it runs; None is here.

        Raises:
            OSError: It cannot be started.
        """
        return await run_process(*command, data=data, env=env, cwd=cwd)

    async def close(self) -> None:
        """Ends the attempt: the mesh does this after the handler.

        What was streamed and is not out yet is published, and threads that go on are told to stop.
        """
        self._over = True
        if self._streaming is not None:
            await self._streaming.close()

    async def _streamed(self, offset: int, text: str) -> None:
        await self.publish(
            Streamed(
                task=self.task,
                call=self.id,
                skill=f"{self.agent}.{self.skill}",
                attempt=self.attempt,
                offset=offset,
                text=text,
            )
        )

    async def publish(self, event: Event) -> None:
        """Writes an event of the task; without effect when nobody can follow it."""
        if self._work.context.watched:
            await self._mesh.events.publish(event)

    async def state(self, state: TaskState) -> None:
        """Moves the task on. For the agent that handles tasks.

        Raises:
            FaultError: `cancelled` when the task has ended meanwhile.
        """
        record = await self._mesh.book.change(self.task, state=state, usage=self.usage)
        if record.state != state:
            raise FaultError.of(
                FaultType.CANCELLED, f"Task {self.task!r} has ended: {record.state}."
            )
        await self._mesh.events.publish_state(record, self.attempt)

    async def evaluate(self, evaluation: Evaluation) -> TaskRecord:
        """Adds an evaluation to the task, which has ended, unless it has one; tells who follows.

        Raises:
            FaultError: `not_found`, `invalid_input` when the task has not ended.
        """
        record = await self._mesh.book.evaluate(self.task, evaluation)
        await self._mesh.events.publish_evaluation(record)
        return record

    @overload
    async def delegate(
        self,
        skill: str,
        request: BaseModel | Mapping[str, Any],
        *,
        step: str,
        timeout_s: float | None = None,
        budget: Budget | None = None,
    ) -> dict[str, Any]: ...

    @overload
    async def delegate(
        self,
        skill: str,
        request: BaseModel | Mapping[str, Any],
        output: type[T],
        *,
        step: str,
        timeout_s: float | None = None,
        budget: Budget | None = None,
    ) -> T: ...

    async def delegate(
        self,
        skill: str,
        request: BaseModel | Mapping[str, Any],
        output: type[Any] = dict,
        *,
        step: str,
        timeout_s: float | None = None,
        budget: Budget | None = None,
    ) -> Any:
        """Has another agent do something, and waits for it.

        Args:
            skill: `agent.skill`.
            request: The skill's input.
            output: The type to read the output as.
            step: A name for this piece of work, unique within this call.
            timeout_s: Seconds that it may take; the deadline holds in any case.
            budget: A share of what is left, for it and everything below: set aside before, and what
                it does not spend comes back. Limits that it does not set, it shares with all.

        Raises:
            FaultError: The fault with which the call ended.
            Suspended: It has no outcome before a person has replied.
        """
        self.check()
        return await self._delegations.delegate(skill, request, output, step, timeout_s, budget)

    async def ask(self, question: Question) -> Reply:
        """Asks a person, and ends the attempt until there is a reply.

        The task goes to the state `waiting`, in which it holds no message and no process, and the
        handler runs again, from its beginning, once there is a reply: then `ask` returns it. So
        what a handler does before it asks must bear repetition; what it delegates does.

        Args:
            question: Its `name` tells it from the other questions of this call.

        Raises:
            FaultError: `rejected` when the person said no, or nobody replied in time and the
                question's default is to reject; `invalid_input` for a call outside of a task.
            Suspended: There is no reply yet. Let it pass.
        """
        self.check()
        work, name = self._work, f"{self.agent}.{self.skill}"
        if work.suspension is None:
            raise FaultError.of(
                FaultType.INVALID_INPUT,
                f"{name} asks a person, for which only a task can wait: submit a task that calls "
                "it.",
            )
        record = await self._mesh.approvals.ask(question, work.context, name)
        reply = record.reply
        if reply is None:
            raise await work.suspension.suspend(frozenset({record.id}))
        if reply.decision == "reject":
            raise FaultError.of(
                FaultType.REJECTED,
                f"{reply.by or 'Somebody'} said no to {name}: {reply.reason or 'no reason given'}",
                by=reply.by,
                reason=reply.reason,
                question=record.id,
            )
        return reply

    def cards(self) -> list[AgentCard]:
        """The agents that live now."""
        return self._mesh.registry.cards()

    @property
    def blobs(self) -> Blobs:
        """The object store."""
        return self._mesh.blobs

    def bucket(self, name: str) -> Bucket:
        """One of the mesh's buckets."""
        return Bucket(self._mesh.bus, name)
