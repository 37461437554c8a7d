"""Nodes: the steps of the planner's state machine, one plain function each.

listen → plan → prepare → run (one a step, in parallel) → read → review → … → compose → check

A node takes the state and gives the part of it that changes. Nothing outside is touched but
through `Run`, and what a node has delegated is found again under the same step id when the node
runs again after a crash.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, TypedDict, cast

from langgraph.runtime import Runtime

from motet.errors import FaultError
from motet.messages import BlobRef, Fault, FaultType, PlanMade, PlannedStep, TaskState
from motet_planner import concluding
from motet_planner.arguments import arguments_of, known_of
from motet_planner.composing import compose as compose_text
from motet_planner.composing import findings_of, shown_output
from motet_planner.connecting import connection, tells_paths
from motet_planner.cues import speaks_of_several
from motet_planner.hearing import spoken_goal
from motet_planner.looking import choose, require, spending_of
from motet_planner.planning import make_plan, revise_plan
from motet_planner.reading import read as read_passages
from motet_planner.run import Run
from motet_planner.state import Change, Outcome, PassageData, PlanState, StepData

__all__ = [
    "StepRun",
    "check",
    "compose",
    "listen",
    "passages_of",
    "plan",
    "prepare",
    "raise_if_ending",
    "read",
    "ready",
    "review",
    "run_step",
]

_ENDING = {FaultType.CANCELLED, FaultType.BUDGET_EXCEEDED, FaultType.DEPTH_EXCEEDED}
"""Faults of the task itself: no other plan helps."""


class StepRun(TypedDict):
    """What one parallel run of a step is given."""

    step: StepData
    input: dict[str, Any]


async def listen(state: PlanState, runtime: Runtime[Run]) -> Change:
    """Puts what the task's recordings say into its goal."""
    run = runtime.context
    inputs = [BlobRef.model_validate(each) for each in state.get("inputs", [])]
    return Change(goal=await spoken_goal(state["goal"], inputs, run))


async def plan(state: PlanState, runtime: Runtime[Run]) -> Change:
    """Decides, or decides anew, which steps to take."""
    run, goal = runtime.context, state["goal"]
    run.call.check()
    await run.call.state(TaskState.PLANNING)
    require(run.retrieval, run.catalogue)
    revision = state["revision"] + 1
    earlier = state["steps"]
    if revision == 1:
        steps = await make_plan(goal, run)
    else:
        steps = await revise_plan(goal, earlier, state["outcomes"], run, revision)
    choose(steps, goal, run.catalogue, run.call.cards(), run.retrieval)
    if steps or revision == 1:
        await run.call.publish(
            PlanMade(
                task=run.call.task,
                revision=revision,
                steps=tuple(
                    PlannedStep(
                        id=step["id"],
                        skill=step["skill"],
                        purpose=step["what"],
                        needs=tuple(step["needs"]),
                        strategy=step.get("strategy"),
                    )
                    for step in steps
                ),
                reason=state.get("reason"),
            )
        )
    await run.call.state(TaskState.RUNNING)
    return Change(revision=revision, steps=[*earlier, *steps], reason=None)


def ready(state: PlanState) -> list[StepData]:
    """The steps that have no outcome yet and whose needs all have one."""
    outcomes = state["outcomes"]
    return [
        step
        for step in state["steps"]
        if step["id"] not in outcomes and all(need in outcomes for need in step["needs"])
    ]


async def prepare(state: PlanState, runtime: Runtime[Run]) -> Change:
    """Fills in the input of each step that is ready, before anything is delegated.

    So the input of a step is in a checkpoint before the step is: a resumed task delegates the same
    again, and the ledger's outcome belongs to it.
    """
    run = runtime.context
    prepared = await asyncio.gather(*(_prepared(step, state, run) for step in ready(state)))
    return Change(outcomes=dict(prepared))


async def _prepared(step: StepData, state: PlanState, run: Run) -> tuple[str, Outcome]:
    outcomes = state["outcomes"]
    lacking = [need for need in step["needs"] if outcomes[need].get("status") != "found"]
    if lacking:
        return step["id"], Outcome(status="skipped", reason=f"needs {', '.join(lacking)}")
    skill = run.catalogue.find(step["skill"])
    if skill is None:
        gone = Fault(type=FaultType.UNKNOWN_SKILL, message=f"No agent has {step['skill']} now.")
        return step["id"], _failed(gone)
    try:
        known = known_of(step, state["steps"], outcomes)
        request = await arguments_of(step, skill, state["goal"], known, run)
    except FaultError as error:
        raise_if_ending(error, run)
        return step["id"], _failed(error.fault)
    return step["id"], Outcome(status="prepared", input=request)


async def run_step(state: StepRun, runtime: Runtime[Run]) -> Change:
    """Delegates one step. Its id names it, so that doing it again gives the outcome that stands."""
    run, step = runtime.context, state["step"]
    skill = run.catalogue.find(step["skill"])
    try:
        share = spending_of(state["input"], run.call.budget)
        output = await run.call.delegate(
            step["skill"], state["input"], step=step["id"], budget=share
        )
    except FaultError as error:
        raise_if_ending(error, run)
        return Change(outcomes={step["id"]: {**_failed(error.fault), "input": state["input"]}})
    passages = passages_of(output)
    outcome = Outcome(status="ran", input=state["input"])
    if passages is None:
        computed = skill is not None and skill.computes
        outcome.update(
            status="found", output=output, answer=shown_output(output, computed=computed)
        )
        return Change(outcomes={step["id"]: outcome})
    outcome["passages"] = [passage["id"] for passage in passages]
    if tells_paths(output):
        outcome.update(connection(output, passages))
    return Change(outcomes={step["id"]: outcome}, passages={each["id"]: each for each in passages})


def passages_of(output: Any) -> list[PassageData] | None:
    """The passages of an output; None when it is something else."""
    passages = output.get("passages") if isinstance(output, Mapping) else None
    if not isinstance(passages, list):
        return None
    kept = PassageData.__annotations__
    return [
        cast("PassageData", {key: each[key] for key in kept if key in each})
        for each in cast("list[dict[str, Any]]", passages)
        if {"id", "source", "title", "text"} <= each.keys()
    ]


async def read(state: PlanState, runtime: Runtime[Run]) -> Change:
    """Reads what the searches of this round gave."""
    run, outcomes = runtime.context, state["outcomes"]
    fresh = [step for step in state["steps"] if outcomes.get(step["id"], {}).get("status") == "ran"]
    results = await asyncio.gather(*(_read_one(step, state, run) for step in fresh))
    return Change(
        outcomes={
            step["id"]: {**outcomes[step["id"]], **result}
            for step, result in zip(fresh, results, strict=True)
        }
    )


async def _read_one(step: StepData, state: PlanState, run: Run) -> Outcome:
    outcome = state["outcomes"][step["id"]]
    passages = [state["passages"][each] for each in outcome.get("passages", [])]
    computing = {name for name, skill in run.catalogue.items() if skill.computes}
    feeding = [
        other["needs"]
        for other in state["steps"]
        if step["id"] in other["needs"] and other["skill"] in computing
    ]
    several = feeding == [[step["id"]]] and speaks_of_several(state["goal"])
    question, hint = str(outcome.get("input", {}).get("query", step["what"])), ""
    if len([each for each in state["steps"] if each["revision"] == step["revision"]]) == 1:
        # The only step asks the goal itself; its own words help to find the lines.
        question, hint = state["goal"][:500], question
    before = (other.get("shown", []) for other in state["outcomes"].values())
    read_before = frozenset(line for lines in before for line in lines)
    return await read_passages(
        question,
        passages,
        run,
        hint=hint,
        figure=bool(feeding),
        several=several,
        read_before=read_before,
    )


async def review(state: PlanState, runtime: Runtime[Run]) -> Change:
    """Decides whether the plan must be made anew; gives the reason when so."""
    run = runtime.context
    run.call.check()
    latest = [step for step in state["steps"] if step["revision"] == state["revision"]]
    wrong = [step for step in latest if _status(state, step) in {"missing", "failed"}]
    failed = [step for step in wrong if _status(state, step) == "failed"]
    if not wrong or state["revision"] > run.settings.max_revisions:
        return Change(reason=None)
    if not failed and state["revision"] > 1:
        return Change(reason=None)  # A second rewording finds what the first has found.
    if failed == wrong and await concluding.is_enough(state, run):
        return Change(reason=None, standing="full")
    reasons = "; ".join(
        f"{step['what']}: {state['outcomes'][step['id']].get('reason', '')}" for step in wrong
    )
    return Change(reason=reasons[:500])


async def compose(state: PlanState, runtime: Runtime[Run]) -> Change:
    """Decides how far the goal is answered, and writes the answer's text.

    Raises:
        FaultError: Nothing was found, and that because skills failed.
    """
    run = runtime.context
    if not state["steps"]:
        return Change(draft=await run.write("direct", max_tokens=120, goal=state["goal"]))
    standing = state.get("standing") or await concluding.standing_of(state, run)
    if standing == "none":
        concluding.raise_if_failed(state)
        return Change(standing=standing, draft="")
    findings = findings_of(state["steps"], state["outcomes"], state["passages"])
    return Change(standing=standing, draft=await compose_text(state["goal"], findings, run))


async def check(state: PlanState, runtime: Runtime[Run]) -> Change:
    """Checks the citations and makes the answer."""
    answer = await concluding.answer_of(state, runtime.context)
    return Change(answer=answer.model_dump(mode="json"))


def _status(state: PlanState, step: StepData) -> str:
    return state["outcomes"].get(step["id"], {}).get("status", "")


def _failed(fault: Fault) -> Outcome:
    return Outcome(
        status="failed",
        fault=fault.model_dump(mode="json"),
        reason=f"{fault.type}: {fault.message}",
    )


def raise_if_ending(error: FaultError, run: Run) -> None:
    """Ends the task on a fault of its own; the fault of a step is the plan's to deal with."""
    if error.fault.type in _ENDING:
        raise error
    run.call.check()
