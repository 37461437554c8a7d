"""Graph: the state machine of the strategy `plan`.

    plan ─▶ prepare ─▶ run × n ─▶ plan … ─▶ answer ─▶ conclude
     ▲                                         │
     └─────────────────────────────────────────┘

How steps are chosen and how an answer is written is the profile's (`small` or `capable`).

What always holds: a task goes through `plan` at most `max_revisions` + 2 times with steps, and each
round of `prepare` gives an outcome to at least one step, so every task ends.
"""

from __future__ import annotations

from typing import Any, Final

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Send

from motet.errors import FaultError
from motet.messages import Answer, FaultType
from motet_planner.brief import Brief
from motet_planner.plan import nodes
from motet_planner.run import Run
from motet_planner.state import PlanState

__all__ = ["Graph", "build", "carry_out"]

Graph = CompiledStateGraph[PlanState, Run, PlanState, PlanState]

VERSION: Final = 2
"""Of the state in checkpoints."""
_NODES_A_STEP = 4
"""Nodes that the graph goes through for one step at most, when all come one after another."""


def build(checkpointer: BaseCheckpointSaver[Any]) -> Graph:
    """The graph, with its state kept by `checkpointer`."""
    graph = StateGraph(PlanState, context_schema=Run)
    graph.add_node("plan", nodes.plan)
    graph.add_node("prepare", nodes.prepare)
    graph.add_node("run", nodes.run_step)
    graph.add_node("gather", nodes.gather)
    graph.add_node("answer", nodes.answer)
    graph.add_node("conclude", nodes.conclude)
    graph.add_edge(START, "plan")
    graph.add_conditional_edges("plan", _after_plan, ["prepare", "answer"])
    graph.add_conditional_edges("prepare", _after_prepare, ["run", "gather"])
    graph.add_edge("run", "gather")
    graph.add_conditional_edges("gather", _after_gather, ["prepare", "plan", "answer"])
    graph.add_conditional_edges("answer", _after_answer, ["plan", "conclude"])
    graph.add_edge("conclude", END)
    return graph.compile(checkpointer=checkpointer)


def _after_plan(state: PlanState) -> str:
    return "prepare" if nodes.ready(state) else "answer"


def _after_prepare(state: PlanState) -> list[Send] | str:
    outcomes = state["outcomes"]
    sends = [
        Send("run", nodes.StepRun(step=step, input=outcomes[step["id"]].get("input", {})))
        for step in state["steps"]
        if outcomes.get(step["id"], {}).get("status") == "prepared"
    ]
    return sends or "gather"


def _after_gather(state: PlanState) -> str:
    if nodes.ready(state):
        return "prepare"
    return "plan" if state.get("reason") else "answer"


def _after_answer(state: PlanState) -> str:
    return "plan" if state.get("reason") else "conclude"


async def carry_out(brief: Brief, graph: Graph) -> Answer:
    """Does a task, from its checkpoint where there is one.

    Args:
        brief: The task.
        graph: Of `build`.

    Raises:
        FaultError: Why there is no answer.
    """
    run = brief.run
    limit = 50 + _NODES_A_STEP * run.settings.max_steps * (run.settings.max_revisions + 2)
    config: Any = {"configurable": {"thread_id": run.call.task}, "recursion_limit": limit}
    saved = await graph.aget_state(config)
    begun = bool(saved.values)
    if begun and not saved.next and "answer" in saved.values:
        return Answer.model_validate(saved.values["answer"])
    if begun and saved.values.get("v") != VERSION:
        raise FaultError.of(
            FaultType.INTERNAL,
            "The task began under another version of the planner, which cannot be gone on with: "
            "submit it again.",
        )
    start = PlanState(
        v=VERSION,
        goal=brief.goal,
        context=brief.context,
        spoken=brief.spoken,
        revision=0,
        steps=[],
        outcomes={},
        passages={each["id"]: each for each in brief.passages},
        reason=None,
    )
    state = await graph.ainvoke(None if begun else start, config, context=run, durability="sync")
    if "answer" not in state:
        raise FaultError.of(FaultType.INTERNAL, "The plan ended without an answer.")
    return Answer.model_validate(state["answer"])
