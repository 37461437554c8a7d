"""`Motet`: tasks from Python.

async with Motet.open() as motet:
    task = await motet.submit("Which of our sites grew fastest last year?")
    record = await task.result()
    print(record.answer.text)
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar, cast, overload

from opentelemetry.trace import SpanKind
from pydantic import BaseModel

from motet.bus import (
    TASK_CALL,
    Approvals,
    Blobs,
    Bus,
    Caller,
    DeadLetters,
    Events,
    Header,
    Registry,
    Schedules,
    StoredDeadLetter,
    TaskBook,
    check_inputs_size,
    check_task,
)
from motet.direct import DirectCalls
from motet.errors import FaultError
from motet.local_mesh import client_settings
from motet.media import input_media_type
from motet.messages import (
    ANYBODY,
    MAX_INPUTS,
    AgentCard,
    ApprovalRecord,
    BlobRef,
    Budget,
    CancelRequest,
    DeadLetter,
    Evaluation,
    Event,
    FaultType,
    Principal,
    Reply,
    StateChanged,
    Task,
    TaskRecord,
    new_id,
)
from motet.settings import Settings
from motet.telemetry import Telemetry, inject, names, setup

__all__ = ["Motet", "TaskHandle"]

T = TypeVar("T")


class Motet:
    """A client of the mesh."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._caller = Caller(bus, "motet/client")
        self._dead = DeadLetters(bus)
        self.blobs = Blobs(bus)
        """The object store, for large inputs."""
        self.schedules = Schedules(bus)
        """Tasks that are submitted by the clock."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: Settings | None = None, *, telemetry: Telemetry | None = None
    ) -> AsyncGenerator[Motet]:
        """Connects, and disconnects at the end.

        Args:
            settings: None reads them from the environment; without `MOTET_NATS_URL` there, they
                lead to the mesh that runs on this machine, as for the command.
            telemetry: Where the spans of submissions go; None makes one from the environment.

        Raises:
            SetupError: A setting is wrong, or no NATS server answers.
        """
        settings = settings or client_settings()
        own = None if telemetry else setup("client", settings)
        try:
            async with Bus.open(settings, telemetry or own) as bus:  # type: ignore[arg-type]
                yield cls(bus)
        finally:
            if own is not None:
                await own.shutdown()

    async def submit(self, task: Task | str, *, files: Iterable[Path] = ()) -> TaskHandle:
        """Submits a task; when this returns, the mesh has it for good.

        Submitting a task with the same id again gives the same task.

        Args:
            task: The task, or its goal.
            files: Become inputs of the task, after those that it has.

        Raises:
            OSError: A file cannot be read.
            FaultError: `unavailable` when the mesh does not take it; `too_large`; `invalid_input`
                for an `answer_schema` that cannot be used.
        """
        if isinstance(task, str):
            task = Task(goal=task)
        if files := tuple(files):
            task = await self._with_files(task, files)
        check_task(task, self._bus.settings)
        task_id = task.id or new_id()
        task = task.model_copy(update={"id": task_id})
        subject = self._bus.topology.task_submit_by(task.priority)
        headers = {
            Header.MESSAGE_ID: f"submit.{task_id}",
            Header.CE_ID: task_id,
            Header.CE_TYPE: "motet.task.submit.v1",
            Header.CE_SOURCE: "motet/client",
            Header.CE_SPECVERSION: "1.0",
        }
        attributes = {names.TASK: task_id, names.MESSAGING_DESTINATION_NAME: subject}
        with self._bus.tracer.span(names.send(subject), SpanKind.PRODUCER, attributes):
            inject(headers)
            await self._bus.store(subject, task.model_dump_json().encode(), headers)
        return TaskHandle(self._bus, task_id)

    async def _with_files(self, task: Task, files: Sequence[Path]) -> Task:
        """The task with files as inputs; none is sent where they are too many or too large."""
        most = MAX_INPUTS - len(task.inputs)
        if len(files) > most:
            raise FaultError.of(
                FaultType.TOO_LARGE,
                f"A task has at most {MAX_INPUTS} inputs, and this one would have "
                f"{len(task.inputs) + len(files)}: leave some out, or ingest them as documents.",
                limit=MAX_INPUTS,
            )
        sizes = [(await asyncio.to_thread(path.stat)).st_size for path in files]
        given = [each.size for each in task.inputs]
        check_inputs_size([*given, *sizes], self._bus.settings)
        attached = [await self.attach(path) for path in files]
        return task.model_copy(update={"inputs": (*task.inputs, *attached)})

    async def attach(self, path: Path) -> BlobRef:
        """Puts a file into the object store, to be a task's input or a document.

        Equal files are one object, so doing it again changes nothing.

        Raises:
            OSError: The file cannot be read.
            FaultError: `unavailable` when the store does not take it.
        """
        data = await asyncio.to_thread(path.read_bytes)
        digest = hashlib.sha256(data).hexdigest()
        return await self.blobs.put(
            f"files/{digest}", data, media_type=input_media_type(path), filename=path.name
        )

    def task(self, task_id: str) -> TaskHandle:
        """A task that was submitted before."""
        return TaskHandle(self._bus, task_id)

    async def tasks(self) -> list[TaskRecord]:
        """Every task that is on record, newest first."""
        return await TaskBook(self._bus).list()

    async def agents(self) -> list[AgentCard]:
        """The agents that live now, by name."""
        registry = Registry(self._bus)
        await registry.start()
        try:
            return registry.cards()
        finally:
            await registry.stop()

    async def wait_for_agents(self, names: set[str], timeout_s: float) -> set[str]:
        """Waits until all the named agents live; returns those that are missing by then."""
        registry = Registry(self._bus)
        await registry.start()
        try:
            return await registry.wait_for(names, timeout_s)
        finally:
            await registry.stop()

    @overload
    async def call(
        self,
        skill: str,
        request: BaseModel | Mapping[str, Any],
        *,
        timeout_s: float | None = 60,
        budget: Budget | None = None,
        principal: Principal = ANYBODY,
    ) -> dict[str, Any]: ...

    @overload
    async def call(
        self,
        skill: str,
        request: BaseModel | Mapping[str, Any],
        output: type[T],
        *,
        timeout_s: float | None = 60,
        budget: Budget | None = None,
        principal: Principal = ANYBODY,
    ) -> T: ...

    async def call(
        self,
        skill: str,
        request: BaseModel | Mapping[str, Any],
        output: type[Any] = dict,
        *,
        timeout_s: float | None = 60,
        budget: Budget | None = None,
        principal: Principal = ANYBODY,
    ) -> Any:
        """Calls a skill outside of any task; no events are written for it.

        Whoever is cancelled while waiting cancels the call.

        Args:
            skill: `agent.skill`.
            request: The skill's input.
            output: The type to read the output as.
            timeout_s: Seconds that it may take.
            budget: What it and everything below it may spend; None sets no limit.
            principal: On whose behalf.

        Raises:
            FaultError: The fault with which the call ended.
        """
        calls = DirectCalls(self._bus, self._caller, f"direct-{new_id()}", principal)
        try:
            return await calls.call(skill, request, output, timeout_s=timeout_s, budget=budget)
        finally:
            await calls.cancel()

    def together(
        self, name: str, *, principal: Principal = ANYBODY
    ) -> AbstractAsyncContextManager[DirectCalls]:
        """Calls outside of any task that belong together: one trace, cancelled with the block.

            async with motet.together("import") as calls:
                await calls.call("retriever.ingest", request, IngestResult, step="1")

        Args:
            name: What they are for; the root span is called so.
            principal: On whose behalf.
        """
        task = f"{name}-{new_id()}"
        return DirectCalls.together(self._bus, self._caller, task, name=name, principal=principal)

    async def approvals(self, *, closed: bool = False) -> list[ApprovalRecord]:
        """The questions that wait for a person, the oldest first.

        Args:
            closed: Also those that have a reply, or whose task has ended.
        """
        return await Approvals(self._bus).list(closed=closed)

    async def approval(self, task: str, question: str) -> ApprovalRecord:
        """One question, with its reply.

        Raises:
            FaultError: `not_found`.
        """
        record = await Approvals(self._bus).get(task, question)
        if record is None:
            raise FaultError.of(FaultType.NOT_FOUND, f"Task {task!r} has no question {question!r}.")
        return record

    async def reply(self, reply: Reply) -> ApprovalRecord:
        """Replies to a question, so that its task goes on.

        When this returns, the reply is stored for good, also where no planner runs now.

        Raises:
            FaultError: `not_found`; `already_replied` when another reply stands; `cancelled` when
                the task has ended; `invalid_input` when the reply does not fit the question.
        """
        approvals = Approvals(self._bus)
        record = await approvals.reply(reply)
        if record.reply is not None:
            await approvals.resume(record.reply)
        return record

    async def dead(self, limit: int = 100) -> list[StoredDeadLetter]:
        """The newest dead letters, newest first."""
        return await self._dead.list(limit)

    async def dead_letter(self, sequence: int) -> DeadLetter:
        """One dead letter.

        Raises:
            FaultError: `not_found`.
        """
        return await self._dead.get(sequence)

    async def replay(self, sequence: int) -> str | None:
        """Publishes a dead letter's message again; returns the new call's id, if it was a call."""
        return await self._dead.replay(sequence)

    async def drop(self, sequence: int) -> None:
        """Removes a dead letter for good."""
        await self._dead.drop(sequence)


class TaskHandle:
    """One task."""

    def __init__(self, bus: Bus, task_id: str) -> None:
        self._bus = bus
        self.id = task_id
        """The task's id."""

    async def record(self) -> TaskRecord | None:
        """The task's state of record; None before the mesh took it up."""
        return await TaskBook(self._bus).get(self.id)

    async def events(self, after: int = 0) -> AsyncIterator[tuple[int, Event]]:
        """What happened and happens, with stream sequences, until the task has ended.

        Args:
            after: The sequence of the last event that was seen; 0 for all.
        """
        async with aclosing(Events(self._bus).follow(self.id, after)) as following:
            async for sequence, event in following:
                yield sequence, event
                if isinstance(event, StateChanged) and event.state.terminal:
                    return

    async def result(self, timeout_s: float | None = None) -> TaskRecord:
        """Waits until the task has ended.

        Raises:
            FaultError: `deadline_exceeded` when it has not within `timeout_s` seconds.
        """
        late = f"Task {self.id!r} has not ended after {timeout_s or 0:g} s; it goes on."
        announced = self._bus.topology.result(self.id, TASK_CALL)
        return await self._until(lambda record: record.state.terminal, announced, timeout_s, late)

    async def evaluation(self, timeout_s: float | None = None) -> Evaluation:
        """Waits until the task, once ended, has been evaluated.

        Raises:
            FaultError: `deadline_exceeded` when it has not within `timeout_s` seconds, such as in
                a mesh without an evaluator.
        """
        late = f"Task {self.id!r} has no scores after {timeout_s or 0:g} s."
        announced = self._bus.topology.event(self.id, "scored")
        record = await self._until(
            lambda record: record.evaluation is not None, announced, timeout_s, late
        )
        return cast("Evaluation", record.evaluation)

    async def _until(
        self,
        reached: Callable[[TaskRecord], bool],
        announced: str,
        timeout_s: float | None,
        late: str,
    ) -> TaskRecord:
        """The record, once it is as wanted; a message on `announced` says when to look."""
        heard = asyncio.Event()

        async def told(_: object) -> None:
            heard.set()

        subscription = await self._bus.subscribe(announced, told)
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    record = await self.record()
                    if record is not None and reached(record):
                        return record
                    # The announcement is a core message: a lost one is made good by looking.
                    try:
                        async with asyncio.timeout(RESULT_POLL_S):
                            await heard.wait()
                    except TimeoutError:
                        continue
                    heard.clear()
        except TimeoutError:
            raise FaultError.of(FaultType.DEADLINE_EXCEEDED, late) from None
        finally:
            if self._bus.client.is_connected:
                await subscription.unsubscribe()

    async def approvals(self, *, closed: bool = False) -> list[ApprovalRecord]:
        """What the task asks a person now; with `closed` all that it ever asked."""
        return await Approvals(self._bus).list(self.id, closed=closed)

    async def cancel(self, reason: str = "") -> None:
        """Asks that the task and all that it delegated stop."""
        body = CancelRequest(task=self.id, reason=reason).model_dump_json().encode()
        await self._bus.store(self._bus.topology.task_cancel, body)


RESULT_POLL_S = 3.0
"""Seconds after which somebody who waits for a task looks at its record."""
