"""Graph: the planner's state machine.

    listen ─▶ plan ─▶ prepare ─▶ run × n ─▶ read ─▶ review ─▶ compose ─▶ check
               ▲         ▲                              │
               └─────────┴──────────────────────────────┘

What always holds: a task goes through `plan` at most `max_revisions` + 1 times, and each round of
`prepare` gives an outcome to at least one step, so every task ends.
"""

from __future__ import annotations

from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Send

from motet.errors import FaultError
from motet.messages import Answer, FaultType, Task
from motet_planner import nodes
from motet_planner.run import Run
from motet_planner.state import PlanState

__all__ = ["Graph", "build", "carry_out"]

Graph = CompiledStateGraph[PlanState, Run, PlanState, PlanState]


def build(checkpointer: BaseCheckpointSaver[Any]) -> Graph:
    """The graph, with its state kept by `checkpointer`."""
    graph = StateGraph(PlanState, context_schema=Run)
    graph.add_node("listen", nodes.listen)
    graph.add_node("plan", nodes.plan)
    graph.add_node("prepare", nodes.prepare)
    graph.add_node("run", nodes.run_step)
    graph.add_node("read", nodes.read)
    graph.add_node("review", nodes.review)
    graph.add_node("compose", nodes.compose)
    graph.add_node("check", nodes.check)
    graph.add_edge(START, "listen")
    graph.add_edge("listen", "plan")
    graph.add_conditional_edges("plan", _after_plan, ["prepare", "compose"])
    graph.add_conditional_edges("prepare", _after_prepare, ["run", "read"])
    graph.add_edge("run", "read")
    graph.add_edge("read", "review")
    graph.add_conditional_edges("review", _after_review, ["plan", "prepare", "compose"])
    graph.add_edge("compose", "check")
    graph.add_edge("check", END)
    return graph.compile(checkpointer=checkpointer)


def _after_plan(state: PlanState) -> str:
    return "prepare" if nodes.ready(state) else "compose"


def _after_prepare(state: PlanState) -> list[Send] | str:
    outcomes = state["outcomes"]
    sends = [
        Send("run", nodes.StepRun(step=step, input=outcomes[step["id"]].get("input", {})))
        for step in state["steps"]
        if outcomes.get(step["id"], {}).get("status") == "prepared"
    ]
    return sends or "read"


def _after_review(state: PlanState) -> str:
    if state.get("reason"):
        return "plan"
    return "prepare" if nodes.ready(state) and not state.get("standing") else "compose"


def _start(task: Task) -> PlanState:
    inputs = [each.model_dump(mode="json") for each in task.inputs]
    return PlanState(goal=task.goal, inputs=inputs, revision=0, steps=[], outcomes={}, passages={})


async def carry_out(task: Task, run: Run, graph: Graph) -> Answer:
    """Does a task, from its checkpoint where there is one.

    Raises:
        FaultError: Why there is no answer.
    """
    config: Any = {"configurable": {"thread_id": run.call.task}, "recursion_limit": 200}
    saved = await graph.aget_state(config)
    begun = bool(saved.values)
    if begun and not saved.next and "answer" in saved.values:
        return Answer.model_validate(saved.values["answer"])
    start = None if begun else _start(task)
    state = await graph.ainvoke(start, config, context=run, durability="sync")
    if "answer" not in state:
        raise FaultError.of(FaultType.INTERNAL, "The plan ended without an answer.")
    return Answer.model_validate(state["answer"])
