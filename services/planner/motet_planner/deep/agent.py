"""Agent: a task done by a deepagents agent whose tools are the mesh's skills.

The model decides from step to step. Its conversation is checkpointed like a plan's state, each
message before what it asks for is done; its files are on the bus. So another replica goes on where
this one died, and a task that waits for a person holds nothing.

Invariants:

- The state has only plain values and messages of the five types in `MESSAGES`.
- A task asks the model at most `deep_turns` times itself, and half as often in each part that it
  gives away; so it ends, whatever its budget.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NotRequired, cast

from deepagents import create_deep_agent
from deepagents.graph import DeepAgentState
from deepagents.middleware.subagents import SubAgent
from langchain.agents.middleware import AgentMiddleware, ModelCallLimitMiddleware
from langchain.agents.middleware.model_call_limit import ModelCallLimitExceededError
from langchain_core.exceptions import ContextOverflowError
from langchain_core.messages import (
    AIMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import BaseCheckpointSaver

from motet.errors import FaultError
from motet.messages import Answer, FaultType, Task, TaskState
from motet_planner.checkpoints import KeyValueCheckpointer, KeyValues
from motet_planner.deep.backend import FilesBackend
from motet_planner.deep.chat import MeshChat
from motet_planner.deep.citing import cited
from motet_planner.deep.files import MEMORIES, Files
from motet_planner.deep.tools import StepResult, tools_of
from motet_planner.hearing import spoken_goal
from motet_planner.prompts import PROMPTS
from motet_planner.run import Run
from motet_planner.state import PassageData

__all__ = ["MESSAGES", "carry_out", "checkpointer_of"]

MESSAGES = (AIMessage, HumanMessage, RemoveMessage, SystemMessage, ToolMessage)
"""What a checkpoint may hold beside plain values."""
_NOT_ANSWERED = "Not answered:"
_OWN = ("/conversation_history/", "/large_tool_results/", f"{MEMORIES}/")
"""Where deepagents puts files of its own, and what is not this task's alone."""


def _merged(state: dict[str, Any] | None, new: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What there is with what is new, as a `DeltaChannel` has it."""
    merged = dict(state or {})
    for each in new:
        merged.update(each)
    return merged


_Found = DeltaChannel(_merged, snapshot_frequency=50)
"""Checkpointed by what is new: else each checkpoint had all passages that were found before it."""


class DeepState(DeepAgentState):
    """The state of the agent, and of those that it gives parts to."""

    passages: NotRequired[Annotated[dict[str, PassageData], _Found]]
    """What was found, by passage id."""
    steps: NotRequired[Annotated[dict[str, StepResult], _Found]]
    """What was delegated and done, by step."""
    answer: NotRequired[dict[str, Any]]
    """The `motet.messages.Answer`, once there is one."""


class _Concluding(AgentMiddleware[Any, Any, Any]):
    """Makes the answer, within the graph: so it is in the last checkpoint."""

    state_schema = DeepState

    def __init__(self, goal: str, files: Files) -> None:
        super().__init__()
        self._goal = goal
        self._files = files

    async def aafter_agent(self, state: Any, runtime: Any) -> dict[str, Any]:
        """Numbers the citations of the last message."""
        del runtime
        last = next(each for each in reversed(state["messages"]) if isinstance(each, AIMessage))
        steps: dict[str, StepResult] = state.get("steps") or {}
        computed = " ".join(each["answer"] for each in steps.values())
        text, citations = cited(last.text, state.get("passages") or {}, self._goal, computed)
        written = {
            each.path: each.blob.model_dump(mode="json")
            for each in await self._files.list()
            if each.blob is not None and not each.path.startswith(_OWN)
        }
        answer = Answer(
            text=text,
            answered=bool(text) and not text.startswith(_NOT_ANSWERED),
            citations=citations,
            data={"steps": steps, **({"files": written} if written else {})},
        )
        return {"answer": answer.model_dump(mode="json")}


def checkpointer_of(bucket: KeyValues) -> KeyValueCheckpointer:
    """A checkpointer for `carry_out`."""
    return KeyValueCheckpointer(bucket, MESSAGES)


async def carry_out(
    task: Task, run: Run, files: Files, checkpointer: BaseCheckpointSaver[Any]
) -> Answer:
    """Does a task, from its checkpoint where there is one.

    Raises:
        FaultError: Why there is no answer.
    """
    run.call.check()
    await run.call.state(TaskState.RUNNING)
    inputs = list(task.inputs)
    graph = _agent(task.goal, run, files, checkpointer)
    config: Any = {"configurable": {"thread_id": run.call.task}}
    saved = await graph.aget_state(config)
    values: dict[str, Any] = saved.values
    if "answer" in values and not saved.next:
        return Answer.model_validate(values["answer"])
    start: Any = None
    if not values:
        goal = await spoken_goal(task.goal, inputs, run)
        start = {"messages": [HumanMessage(PROMPTS.load("deep").messages(goal=goal)[1][1])]}
    try:
        state: dict[str, Any] = await graph.ainvoke(start, config, durability="sync")
    except ModelCallLimitExceededError:
        raise FaultError.of(
            FaultType.BUDGET_EXCEEDED,
            f"The task asked its model {run.settings.deep_turns} times and is not done: make it "
            "smaller, or raise MOTET_PLANNER_DEEP_TURNS.",
            limit="turns",
            turns=run.settings.deep_turns,
        ) from None
    except ContextOverflowError as error:
        raise FaultError.of(
            FaultType.TOO_LARGE,
            f"What one step gave does not fit into the model's window: {error} Ask for less at "
            "once, or raise MOTET_PLANNER_DEEP_WINDOW where the model reads more.",
        ) from None
    return Answer.model_validate(state["answer"])


def _agent(goal: str, run: Run, files: Files, checkpointer: BaseCheckpointSaver[Any]) -> Any:
    turns = run.settings.deep_turns
    prompt = PROMPTS.load("deep").messages(goal="")[0][1]
    part = cast(
        "SubAgent",
        {
            "name": "general-purpose",
            "description": "Does one part of the work by itself, with the same tools and files.",
            "system_prompt": prompt,
            "middleware": [ModelCallLimitMiddleware(run_limit=max(1, turns // 2))],
        },
    )
    agent: Any = create_deep_agent(
        MeshChat.of(run),
        tools_of(run),
        system_prompt=prompt,
        middleware=[
            ModelCallLimitMiddleware(thread_limit=turns, exit_behavior="error"),
            _Concluding(goal, files),
        ],
        subagents=[part],
        backend=FilesBackend(files),
        state_schema=DeepState,
        checkpointer=checkpointer,
        name="planner",
    )
    return agent
