"""Deep: a task done by a deepagents agent whose tools are the mesh's skills.

Beside what `react` does, the agent keeps notes in files on the bus, and gives parts of the work to
sub-agents. Its conversation is checkpointed likewise.

Invariants:

- A task asks the model at most `turns` times itself, and half as often in each part that it gives
  away; so it ends, whatever its budget.
"""

from __future__ import annotations

from typing import Any, cast

from deepagents import create_deep_agent
from deepagents.middleware.subagents import SubAgent
from langchain.agents.middleware import ModelCallLimitMiddleware
from langgraph.checkpoint.base import BaseCheckpointSaver

from motet.messages import Answer
from motet_planner.agents.chat import MeshChat
from motet_planner.agents.react import invoke
from motet_planner.agents.state import Conclude, MeshState
from motet_planner.agents.tools import tools_of
from motet_planner.deep.backend import FilesBackend
from motet_planner.deep.files import MEMORIES, Files
from motet_planner.run import Run

__all__ = ["deep", "written"]

_OWN = ("/conversation_history/", "/large_tool_results/", f"{MEMORIES}/")
"""Where deepagents puts files of its own, and what is not this task's alone."""


async def written(files: Files) -> dict[str, Any]:
    """The files that a task wrote, for its answer's `data`."""
    found = {
        each.path: each.blob.model_dump(mode="json")
        for each in await files.list()
        if each.blob is not None and not each.path.startswith(_OWN)
    }
    return {"files": found} if found else {}


async def deep(
    run: Run,
    start: dict[str, Any],
    conclude: Conclude,
    saver: BaseCheckpointSaver[Any],
    files: Files,
) -> Answer:
    """Does a task, from its checkpoint where there is one; see `react`.

    Raises:
        FaultError: Why there is no answer.
    """
    turns = run.settings.turns
    system, *asked = start["messages"]
    part = cast(
        "SubAgent",
        {
            "name": "general-purpose",
            "description": "Does one part of the work by itself, with the same tools and files.",
            "system_prompt": system.content,
            "middleware": [ModelCallLimitMiddleware(run_limit=max(1, turns // 2))],
        },
    )
    graph: Any = create_deep_agent(
        MeshChat.of(run),
        tools_of(run),
        system_prompt=system.content,
        middleware=[
            ModelCallLimitMiddleware(thread_limit=turns, exit_behavior="error"),
            conclude,
        ],
        subagents=[part],
        backend=FilesBackend(files),
        state_schema=MeshState,
        checkpointer=saver,
        name="planner",
    )
    return await invoke(graph, run, {**start, "messages": asked}, turns)
