"""`Call`: what a handler is given beside its request.

Invariants:

- What a handler delegates inherits its task, its deadline and what is left of its budget.
- A delegated step has one call id, made from the task, this call and the step's name: doing the
  step again gives the outcome that stands. A step that shall run anew needs a new name.
- What is spent below counts here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar, overload

from pydantic import BaseModel, TypeAdapter, ValidationError

from motet.bus import (
    Approvals,
    Blobs,
    Bucket,
    Bus,
    CallContext,
    Caller,
    Cancellations,
    Events,
    Registry,
    TaskBook,
    Work,
)
from motet.errors import FaultError, Suspended
from motet.messages import (
    AgentCard,
    Budget,
    CallFinished,
    CallResult,
    CallStarted,
    Evaluation,
    Event,
    FaultType,
    Progress,
    Question,
    Reply,
    TaskRecord,
    TaskState,
    Usage,
)

__all__ = ["Call", "Mesh", "read_output"]

log = logging.getLogger(__name__)

T = TypeVar("T")

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


class Call:
    """One attempt at a call, seen from its handler."""

    def __init__(self, mesh: Mesh, work: Work, agent: str, skill: str) -> None:
        self._mesh = mesh
        self._work = work
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
        """What may still be spent."""
        return self._work.context.budget.minus(self._work.usage)

    @property
    def cancelled(self) -> bool:
        """Whether the task has ended; a thread that the handler started asks this."""
        return self._mesh.cancellations.ended(self.task) is not None

    def check(self) -> None:
        """Stops work that has no right to go on.

        Raises:
            FaultError: `cancelled`, `deadline_exceeded` or `budget_exceeded`.
        """
        ended = self._mesh.cancellations.ended(self.task)
        if ended is not None:
            raise ended
        deadline = self._work.context.deadline
        if deadline is not None and time.time() >= deadline:
            raise FaultError.of(FaultType.DEADLINE_EXCEEDED, "The deadline has passed.")
        self._check_budget(self._work.usage)

    def spend(self, usage: Usage) -> None:
        """Notes what was spent.

        Raises:
            FaultError: `budget_exceeded` when that was more than was left.
        """
        self._work.usage = self._work.usage + usage
        self._check_budget(self._work.usage)

    def reserve(self, tokens: int) -> None:
        """Asks whether `tokens` more may be spent, before a model is asked.

        Raises:
            FaultError: `cancelled`, `deadline_exceeded` or `budget_exceeded`.
        """
        self.check()
        self._check_budget(self._work.usage + Usage(output_tokens=max(tokens, 1)))

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
            budget: A share of what is left, for it and everything below; None gives all.

        Raises:
            FaultError: The fault with which the call ended.
            Suspended: It has no outcome before a person has replied.
        """
        self.check()
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
        # Counted before it runs, so that parallel calls cannot all take the last one.
        spent = self._work.usage + _ONE_CALL
        self._check_budget(spent)
        self._work.usage = spent
        child = self._child(step, timeout_s, budget)
        started = time.monotonic()
        if context.watched:
            await self._mesh.events.publish(
                CallStarted(
                    task=self.task,
                    call=child.call,
                    parent=context.call,
                    caller=self.agent,
                    skill=skill,
                    step=step,
                )
            )
        result = await self._issue(skill, request, child, step)
        self._work.usage = self._work.usage + result.usage
        if context.watched:
            await self._mesh.events.publish(
                CallFinished(
                    task=self.task,
                    call=child.call,
                    skill=skill,
                    ok=result.ok,
                    fault=result.fault,
                    duration_s=time.monotonic() - started,
                    usage=result.usage,
                )
            )
        return _read(result, output, skill)

    def _child(
        self, step: str, timeout_s: float | None = None, budget: Budget | None = None
    ) -> CallContext:
        context = self._work.context
        return context.child(
            step,
            deadline=None if timeout_s is None else time.time() + timeout_s,
            budget=_smaller(self.budget, budget),
            fresh=self.attempt == 1 and not context.resumed,
        )

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

    def _check_budget(self, usage: Usage) -> None:
        limit = self._work.context.budget.exceeded_by(usage)
        if limit is not None:
            raise _over_budget(limit, self._work.context.budget, usage)


def _over_budget(limit: str, budget: Budget, usage: Usage) -> FaultError:
    value = getattr(budget, limit)
    return FaultError.of(
        FaultType.BUDGET_EXCEEDED,
        f"The budget of {value} {limit} is used up.",
        limit=limit,
        allowed=value,
        spent=usage.model_dump(),
    )


def _smaller(left: Budget, share: Budget | None) -> Budget:
    if share is None:
        return left
    values = {
        name: min(
            (v for v in (getattr(left, name), getattr(share, name)) if v is not None), default=None
        )
        for name in Budget.model_fields
    }
    return Budget(**values)


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
