"""React: a task done by LangChain's agent loop over the mesh's skills.

The model calls skills as tools, several at once where it likes, sees what they gave and why they
failed, and ends with a cited answer. Every call is delegated, so it is durable, traced, budgeted
and cancellable; the conversation is checkpointed before what it asks for is done, so another
replica goes on where this one died, and a task that waits for a person holds nothing.

Invariants:

- The state has only plain values and messages of the five types in `MESSAGES`.
- A task asks the model at most `turns` times, so it ends, whatever its budget.
"""

from __future__ import annotations

from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    ClearToolUsesEdit,
    ContextEditingMiddleware,
    ModelCallLimitMiddleware,
    SummarizationMiddleware,
)
from langchain.agents.middleware.model_call_limit import ModelCallLimitExceededError
from langchain_core.exceptions import ContextOverflowError
from langgraph.checkpoint.base import BaseCheckpointSaver

from motet.errors import FaultError
from motet.messages import Answer, FaultType
from motet_planner.agents.chat import MeshChat
from motet_planner.agents.state import Conclude, MeshState
from motet_planner.agents.tools import ASK, tools_of
from motet_planner.run import Run

__all__ = ["invoke", "react"]

_CLEARED_AT = 0.6
_SUMMARISED_AT = 0.85
_KEPT_AT = 0.2
"""Shares of the window: past the first, old results of tools are left out of what the model reads;
past the second, what came first is summarised, and so much is kept as it was."""
_KEPT_RESULTS = 4
_STEPS_A_TURN = 12
"""Steps of the graph that one turn of the model takes at most, with its middleware."""


async def react(
    run: Run, start: dict[str, Any], conclude: Conclude, saver: BaseCheckpointSaver[Any]
) -> Answer:
    """Does a task, from its checkpoint where there is one.

    Args:
        run: The attempt.
        start: The state to begin with: `messages`, of which the first has the instructions, and the
            `passages` that the task brings.
        conclude: Makes the answer.
        saver: Keeps the conversation.

    Raises:
        FaultError: Why there is no answer.
    """
    chat = MeshChat.of(run)
    window: int = (chat.profile or {})["max_input_tokens"]  # pyright: ignore[reportTypedDictNotRequiredAccess]
    system, *asked = start["messages"]
    middleware: list[AgentMiddleware[Any, Any, Any]] = [
        ModelCallLimitMiddleware(thread_limit=run.settings.turns, exit_behavior="error"),
        SummarizationMiddleware(
            chat,
            trigger=("tokens", int(window * _SUMMARISED_AT)),
            keep=("tokens", int(window * _KEPT_AT)),
        ),
        ContextEditingMiddleware(
            edits=[
                ClearToolUsesEdit(
                    trigger=int(window * _CLEARED_AT), keep=_KEPT_RESULTS, exclude_tools=(ASK,)
                )
            ]
        ),
        conclude,
    ]
    graph: Any = create_agent(
        chat,
        tools_of(run),
        system_prompt=system.content,
        middleware=middleware,
        state_schema=MeshState,
        checkpointer=saver,
        name="planner",
    )
    return await invoke(graph, run, {**start, "messages": asked}, run.settings.turns)


async def invoke(graph: Any, run: Run, start: dict[str, Any], turns: int) -> Answer:
    """Runs an agent to its answer, from its checkpoint where there is one.

    Raises:
        FaultError: Why there is no answer.
    """
    config: Any = {
        "configurable": {"thread_id": run.call.task},
        "recursion_limit": turns * _STEPS_A_TURN,
    }
    saved = await graph.aget_state(config)
    values: dict[str, Any] = saved.values
    if "answer" in values and not saved.next:
        return Answer.model_validate(values["answer"])
    begin = None if values.get("messages") else start
    try:
        state: dict[str, Any] = await graph.ainvoke(begin, config, durability="sync")
    except ModelCallLimitExceededError:
        raise FaultError.of(
            FaultType.BUDGET_EXCEEDED,
            f"The task asked its model {turns} times and is not done: make it smaller, or raise "
            "MOTET_PLANNER_TURNS.",
            limit="turns",
            turns=turns,
        ) from None
    except ContextOverflowError as error:
        raise FaultError.of(
            FaultType.TOO_LARGE,
            f"What one step gave does not fit into the model's window: {error} Ask for less at "
            "once, or raise MOTET_PLANNER_WINDOW_TOKENS where the model reads more.",
        ) from None
    return Answer.model_validate(state["answer"])
