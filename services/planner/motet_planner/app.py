"""The planner as an agent: it has no skills; it does the mesh's tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from typing import Annotated, Any

from faststream import Context
from faststream.annotations import ContextRepo

from motet.agent import Agent, Call
from motet.bus import Bucket, Bus, Registry
from motet.errors import FaultError
from motet.messages import Answer, Task
from motet.models import ChatModel, chat_model
from motet.models.chat import cannot_act
from motet.settings import Settings, load_settings
from motet_planner.catalogue import catalogue_of
from motet_planner.checkpoints import KeyValueCheckpointer
from motet_planner.graph import Graph, build, carry_out
from motet_planner.run import Run
from motet_planner.settings import PlannerSettings
from motet_planner.warming import warm

__all__ = ["agent"]


@asynccontextmanager
async def resources(
    context: ContextRepo,
    settings: Annotated[Settings, Context()],
    bus: Annotated[Bus, Context()],
) -> AsyncGenerator[None]:
    """Makes the model, and the graph with its checkpoints on the bucket.

    A test may put a `model` into the context beforehand.
    """
    own = load_settings(PlannerSettings)
    scripted = context.get("model")
    model: ChatModel = scripted or chat_model(settings)
    checkpointer = KeyValueCheckpointer(Bucket(bus, "checkpoints"))
    context.set_global("model", model)
    context.set_global("planner_settings", own)
    context.set_global("checkpointer", checkpointer)
    context.set_global("graph", build(checkpointer))
    async with AsyncExitStack() as stack:
        if scripted is None:
            stack.push_async_callback(model.close)
            if own.warm_up and model.provider == "local":
                await stack.enter_async_context(_warming(model, bus))
        yield


@asynccontextmanager
async def _warming(model: ChatModel, bus: Bus) -> AsyncGenerator[None]:
    """Warms the model up beside whatever comes; ended with the service."""
    registry = Registry(bus)
    await registry.start()
    warming = asyncio.create_task(
        warm(model, lambda: catalogue_of(registry.cards(), own="planner"))
    )
    try:
        yield
    finally:
        warming.cancel()
        await asyncio.gather(warming, return_exceptions=True)
        await registry.stop()


agent = Agent("planner", "Plans tasks, delegates their steps, and answers.", lifespan=resources)


@agent.task
async def run_task(
    task: Task,
    call: Call,
    model: Annotated[Any, Context()],
    graph: Annotated[Graph, Context()],
    checkpointer: Annotated[KeyValueCheckpointer, Context()],
    planner_settings: Annotated[PlannerSettings, Context()],
    settings: Annotated[Settings, Context()],
) -> Answer:
    """Does a task, or goes on with it where another attempt stopped.

    Raises:
        FaultError: Why there is no answer; `model_failed` when the strategy `deep` is asked for and
            the model does not call tools.
    """
    if task.strategy == "deep" and not model.calls_tools:
        raise FaultError(cannot_act(model.name or model.provider))
    run = Run(call=call, model=model, settings=planner_settings, retrieval=task.retrieval)
    try:
        if task.strategy == "deep":
            answer = await _deep(task, run, call, settings)
        else:
            answer = await carry_out(task, run, graph)
    except FaultError as error:
        if not error.fault.retryable:
            await checkpointer.adelete_thread(call.task)
        raise
    # The newest checkpoint stays for a while, with the answer: should this process die before the
    # answer is stored, the next attempt gives the same one.
    await checkpointer.finish(call.task)
    return answer


async def _deep(task: Task, run: Run, call: Call, settings: Settings) -> Answer:
    """Does a task by the strategy `deep`, whose libraries are loaded when they are first needed."""
    # Loading takes seconds, which others of this process should not wait.
    await asyncio.to_thread(import_module, "motet_planner.deep.agent")
    from motet_planner.deep.agent import carry_out as carry_out_deep
    from motet_planner.deep.agent import checkpointer_of
    from motet_planner.deep.files import Files

    def kept_s() -> float:
        """Until the task's record is gone at the latest."""
        return max(0.0, call.time_left_s() or settings.task_deadline_s) + settings.tasks_max_age_s

    files = Files(
        call.bucket("files"),
        call.blobs,
        principal=call.principal,
        task=call.task,
        ttl_s=kept_s,
    )
    return await carry_out_deep(task, run, files, checkpointer_of(call.bucket("checkpoints")))
