"""The runtime: an agent as a FastStream application.

FastStream gives the lifecycle, signals, dependency injection and health; calls and tasks are
delivered by `motet.bus`, whose measured reasons are in docs/decisions/0001-delivery-on-nats-py.md.

Order of a start: connect, wait until the mesh is provisioned, open what the agent needs (its
lifespan), take calls, announce the card. What is not there yet is waited for. A stop goes the other
way: the card is taken back first, so that no planner plans with an agent that is leaving.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import logging
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

from faststream import ContextRepo, FastStream, apply_types
from pydantic import TypeAdapter
from pydantic_core import to_json

from motet.agent import Agent, Call, Skill
from motet.blocking import Threads
from motet.bus import (
    Announcement,
    Approvals,
    Blobs,
    Budgets,
    Bus,
    Caller,
    Cancellations,
    Events,
    FinishedQueue,
    FinishedServer,
    Registry,
    SkillQueue,
    SkillServer,
    TaskBook,
    TaskServer,
    TaskWork,
    Work,
    ensure_consumer,
    wait_until_provisioned,
)
from motet.bus.bodies import read_body
from motet.bus.broker import connect_broker, make_broker
from motet.bus.connection import answers
from motet.bus.intake import SUBMISSIONS
from motet.delegation import Mesh
from motet.errors import MotetError
from motet.messages import Answer, Question, TaskRecord, new_id
from motet.models.metering import meter
from motet.probes import probes
from motet.settings import Settings, load_settings
from motet.starting import waiting
from motet.telemetry import Telemetry, setup
from motet.telemetry.logs import configure

__all__ = ["RunningAgent", "application", "main", "running"]

log = logging.getLogger(__name__)

GRACE_S = 10.0
"""Seconds that running calls have to finish when the agent stops."""


class RunningAgent:
    """One process' worth of an agent, connected."""

    def __init__(self, agent: Agent, bus: Bus, context: ContextRepo) -> None:
        self.agent = agent
        self.bus = bus
        self.instance = new_id()[:12]
        self._context = context
        self._cancellations = Cancellations(bus)
        self._registry = Registry(bus)
        self._mesh = Mesh(
            bus=bus,
            caller=Caller(bus, f"motet/{agent.name}/{self.instance}"),
            events=Events(bus),
            registry=self._registry,
            cancellations=self._cancellations,
            blobs=Blobs(bus),
            book=TaskBook(bus),
            approvals=Approvals(bus),
            budgets=Budgets(bus),
            threads=Threads(bus.settings.concurrency),
        )
        self._servers = [
            SkillServer(
                bus,
                SkillQueue(
                    agent.name,
                    name,
                    skill.request,
                    skill.max_attempts,
                    skill.concurrency,
                    skill.timeout_s,
                    skill.recursive,
                ),
                self._skill_handler(skill),
                self._cancellations,
                instance=self.instance,
            )
            for name, skill in agent.skills.items()
        ]
        self._tasks = self._task_server()
        self._finished = self._finished_server()
        self._announcement = Announcement(bus, agent.card(self.instance))
        self._started = False
        self._stopped = False

    async def ready(self) -> bool:
        """Whether it takes calls, and NATS answers."""
        return self._started and not self._stopped and await answers(self.bus.client)

    async def start(self) -> None:
        """Takes calls and announces the agent."""
        topology, name = self.bus.topology, self.agent.name
        queues = [("CALLS", topology.consumer(name, skill)) for skill in self.agent.skills]
        if self._tasks is not None:
            kinds = (*SUBMISSIONS, "cancel", "resume")
            queues += [("TASKS", topology.task_consumer(kind)) for kind in kinds]
        if self._finished is not None:
            queues.append(("EVENTS", topology.finished_consumer(name)))
        for stream, queue in queues:
            await self.bus.patiently(
                partial(ensure_consumer, self.bus.js, topology.stream(stream), queue),
                f"The queue {queue.durable_name!r} cannot be made",
            )
        await self._cancellations.start()
        await self._registry.start()
        for server in self._servers:
            await server.start()
        if self._tasks is not None:
            await self._tasks.start()
        if self._finished is not None:
            await self._finished.start()
        await self.bus.client.flush()
        await self._announcement.start()
        self._started = True
        log.info("%s is ready: %s", self.agent.name, ", ".join(self.agent.skills) or "tasks")

    async def stop(self, grace_s: float = GRACE_S) -> None:
        """Leaves the mesh; what runs finishes within `grace_s` seconds or is handed back.

        Stopping it again does nothing.
        """
        if self._stopped:
            return
        self._stopped = True
        await self._announcement.stop()
        servers = (*self._servers, self._tasks, self._finished)
        await asyncio.gather(*(server.stop(grace_s) for server in servers if server is not None))
        await self._registry.stop()
        await self._cancellations.stop()

    def _skill_handler(self, skill: Skill) -> Callable[[Any, Work], Any]:
        function = _injected(skill.function, 2, self._context)
        with_call = len(inspect.signature(skill.function).parameters) > 1

        async def handle(request: Any, work: Work) -> Any:
            call = Call(self._mesh, work, self.agent.name, skill.card.name)
            meter.set(call)
            try:
                with _suspendable(work):
                    if skill.approval is not None:
                        request = await _approved(request, call, skill, skill.approval)
                    return await (function(request, call) if with_call else function(request))
            finally:
                await call.close()

        return handle

    def _task_server(self) -> TaskServer | None:
        if self.agent.task_function is None:
            return None
        function = _injected(self.agent.task_function.function, 2, self._context)

        async def handle(work: TaskWork) -> Answer:
            call = Call(self._mesh, work.work, self.agent.name, "submit")
            meter.set(call)
            try:
                with _suspendable(work.work):
                    answer: Answer = await function(work.task, call)
                    return answer
            finally:
                await call.close()

        return TaskServer(self.bus, self.agent.name, handle, self._cancellations)

    def _finished_server(self) -> FinishedServer | None:
        declared = self.agent.finished_function
        if declared is None:
            return None
        function = _injected(declared.function, 2, self._context)
        # That the task has ended does not stop what is done because it has.
        mesh = replace(self._mesh, cancellations=Cancellations(self.bus))

        async def handle(record: TaskRecord, work: Work) -> None:
            call = Call(mesh, work, self.agent.name, "finished")
            meter.set(call)
            try:
                await function(record, call)
            finally:
                await call.close()

        queue = FinishedQueue(
            self.agent.name, declared.max_attempts, declared.concurrency, declared.timeout_s
        )
        return FinishedServer(self.bus, queue, handle)


def _suspendable(work: Work) -> AbstractContextManager[None]:
    """What stands around a handler that may ask a person."""
    return nullcontext() if work.suspension is None else work.suspension.around()


async def _approved(request: Any, call: Call, skill: Skill, question: Question) -> Any:
    """The input of a skill as a person lets it pass.

    Raises:
        FaultError: `rejected`.
    """
    shown = {
        "name": "approval",
        "value": request.model_dump(mode="json"),
        "value_schema": skill.card.input_schema,
    }
    reply = await call.ask(question.model_copy(update=shown))
    if reply.decision != "edit":
        return request
    return read_body(TypeAdapter(skill.request), to_json(reply.value), f"{call.agent}.{call.skill}")


def _injected(function: Callable[..., Any], given: int, context: ContextRepo) -> Callable[..., Any]:
    """`function` with the parameters after the first `given` filled from the context."""
    if len(inspect.signature(function).parameters) <= given:
        return function
    injected: Callable[..., Any] = apply_types(function, cast=False, context__=context)
    return injected


class Application(FastStream):
    """An application that can be told to stop while it starts: FastStream looks only after that."""

    starting: asyncio.Task[Any] | None = None
    """Where it is started, as long as it has not."""
    stopped_early = False
    """Whether it was told to stop before it had started."""

    def exit(self) -> None:
        """Stops it, as a signal does."""
        super().exit()
        if self.starting is not None:
            self.stopped_early = True
            self.starting.cancel()


def application(
    agent: Agent,
    settings: Settings,
    telemetry: Telemetry,
    context: Mapping[str, Any] | None = None,
) -> Application:
    """The FastStream application of an agent.

    Args:
        agent: What to run.
        settings: For the bus, and under `settings` in the context.
        telemetry: Its tracer and instruments.
        context: More for the context, such as a scripted `model` in a test.
    """
    broker = make_broker(settings, agent.name)

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        app.starting = asyncio.current_task()
        async with AsyncExitStack() as stack:
            client = await waiting(lambda: connect_broker(broker), settings.start_within_s)
            bus = Bus(client, settings, telemetry)
            stack.push_async_callback(broker.stop)
            repository.set_global("bus", bus)
            await wait_until_provisioned(bus.js, bus.topology, settings.start_within_s)
            if agent.lifespan is not None:
                opened: Any = apply_types(agent.lifespan, cast=False, context__=repository)
                await waiting(lambda: stack.enter_async_context(opened()), settings.start_within_s)
            runner = RunningAgent(agent, bus, repository)
            repository.set_global("runner", runner)
            app.starting = None
            yield

    app = Application(broker, logger=log, lifespan=lifespan)
    repository = app.context
    for key, value in {**(context or {}), "settings": settings}.items():
        repository.set_global(key, value)

    @app.after_startup
    async def start() -> None:
        await repository.get("runner").start()

    @app.on_shutdown
    async def stop() -> None:
        await repository.get("runner").stop()

    return app


@asynccontextmanager
async def running(
    agent: Agent,
    settings: Settings,
    telemetry: Telemetry,
    context: Mapping[str, Any] | None = None,
) -> AsyncGenerator[FastStream]:
    """Runs an agent within this event loop: for tests, and for several agents in a process."""
    app = application(agent, settings, telemetry, context)
    async with app.lifespan_context():
        await app.start()
        try:
            yield app
        finally:
            await app.stop()


async def _serve(agent: Agent, settings: Settings) -> None:
    telemetry = setup(agent.name, settings, version=agent.version, set_global=True)
    app = application(agent, settings, telemetry)
    try:
        async with AsyncExitStack() as stack:
            if settings.health_port is not None:
                await stack.enter_async_context(
                    probes(settings.health_port, partial(_ready, app.context))
                )
            await app.run(log_level=logging.DEBUG)
    except asyncio.CancelledError:
        if not app.stopped_early:
            raise
        log.info("%s was told to stop before it was ready", agent.name)
    finally:
        await telemetry.shutdown()


async def _ready(context: ContextRepo) -> bool:
    runner: RunningAgent | None = context.get("runner")
    return runner is not None and await runner.ready()


def main(agent: Agent) -> None:
    """A process' main: runs an agent until SIGINT or SIGTERM.

    A mistake of set-up is told in a sentence, and the process ends with code 2.
    """
    try:
        settings = load_settings()
        configure(settings, agent.name)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(agent, settings))
    except MotetError as error:
        print(f"{agent.name}: {error}", file=sys.stderr)  # noqa: T201 - the last word
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Uvloop's event loop where it is installed: a third less time a message."""
    if importlib.util.find_spec("uvloop") is None:
        return None
    import uvloop

    return uvloop.new_event_loop
