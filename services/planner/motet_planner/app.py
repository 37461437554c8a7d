"""The planner as an agent: it has no skills; it does the mesh's tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib import import_module
from typing import Annotated, Any

from faststream import Context
from faststream.annotations import ContextRepo
from opentelemetry import trace

from motet.agent import Agent, Call
from motet.bus import Bucket, Bus
from motet.errors import FaultError
from motet.messages import Answer, Task, TaskState
from motet.models import ChatModel, chat_model
from motet.settings import Settings, load_settings
from motet.telemetry import names
from motet_planner.brief import Brief, brief_of, leave
from motet_planner.checkpoints import KeyValueCheckpointer
from motet_planner.choosing import Choice, choose
from motet_planner.plan.graph import Graph, build, carry_out
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
                await stack.enter_async_context(_warming(model))
        yield


@asynccontextmanager
async def _warming(model: ChatModel) -> AsyncGenerator[None]:
    """Warms the model up beside whatever comes; ended with the service."""
    warming = asyncio.create_task(warm(model))
    try:
        yield
    finally:
        warming.cancel()
        await asyncio.gather(warming, return_exceptions=True)


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
    capability = await model.capability()
    choice = choose(task, capability, model.name or model.provider)
    await _tell(choice, capability.profile, capability.why, call)
    run = Run(
        call=call,
        model=model,
        settings=planner_settings,
        capability=capability,
        retrieval=task.retrieval,
        may_ask=True,
    )
    try:
        brief = await brief_of(task, run, call)
        if choice.strategy == "plan":
            answer = await carry_out(brief, graph)
        else:
            answer = await _act(choice.strategy, brief, call, settings)
        await leave(brief)
    except FaultError as error:
        if not error.fault.retryable:
            await checkpointer.adelete_thread(call.task)
        raise
    # The newest checkpoint stays for a while, with the answer: should this process die before the
    # answer is stored, the next attempt gives the same one.
    await checkpointer.finish(call.task)
    return answer


async def _tell(choice: Choice, profile: str, why: str, call: Call) -> None:
    """Leaves the strategy and the profile, with their reasons, in the trace and the events."""
    trace.get_current_span().set_attributes(
        {
            names.STRATEGY: choice.strategy,
            names.STRATEGY_REASON: choice.why,
            names.PROFILE: profile,
            names.PROFILE_REASON: why,
        }
    )
    await call.event(
        f"The strategy is {choice.strategy}: {choice.why}.",
        strategy=choice.strategy,
        reason=choice.why,
        profile=profile,
        profile_reason=why,
    )


async def _act(strategy: str, brief: Brief, call: Call, settings: Settings) -> Answer:
    """Does a task by an agent, whose libraries are loaded when they are first needed."""
    # Loading takes seconds, which others of this process should not wait.
    module = "motet_planner.deep.agent" if strategy == "deep" else "motet_planner.agents.react"
    await asyncio.to_thread(import_module, module)
    from motet_planner.agents.opening import opening
    from motet_planner.agents.state import Conclude, checkpointer_of

    run = brief.run
    run.call.check()
    await run.call.state(TaskState.RUNNING)
    start = await opening(strategy, brief, call.blobs)
    saver = checkpointer_of(call.bucket("checkpoints"))
    if strategy == "react":
        from motet_planner.agents.react import react

        return await react(run, start, Conclude(brief.goal, finish=run.finish), saver)
    from motet_planner.deep.agent import deep, written
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
    conclude = Conclude(brief.goal, extra=partial(written, files), finish=run.finish)
    return await deep(run, start, conclude, saver, files)
