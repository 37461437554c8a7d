"""Nodes: the steps of the planner's state machine, one plain function each.

A node takes the state and gives the part of it that changes. Nothing outside is touched but
through `Run`, and what a node has delegated is found again under the same step id when the node
runs again after a crash.
"""

from __future__ import annotations

import asyncio
from typing import Any, TypedDict

from langgraph.runtime import Runtime

from motet.errors import FaultError
from motet.messages import Answer, Fault, FaultType, PlanMade, PlannedStep, TaskState
from motet.text.numbers import values
from motet_planner.citing import cite
from motet_planner.evidence import passages_of
from motet_planner.faults import raise_if_ending
from motet_planner.outputs import shown_output
from motet_planner.plan.profiles import profile_of
from motet_planner.plan.view import marked, results_of
from motet_planner.retrieval import require, spending_of
from motet_planner.run import Run
from motet_planner.state import Change, Outcome, PlanState, StepData

__all__ = ["StepRun", "answer", "conclude", "gather", "plan", "prepare", "ready", "run_step"]


class StepRun(TypedDict):
    """What one parallel run of a step is given."""

    step: StepData
    input: dict[str, Any]


async def plan(state: PlanState, runtime: Runtime[Run]) -> Change:
    """Decides, or decides anew, which steps to take."""
    run = runtime.context
    run.call.check()
    await run.call.state(TaskState.PLANNING)
    require(run.retrieval, run.catalogue)
    revision = state["revision"] + 1
    steps = await profile_of(run).plan(state, run, revision)
    for step in steps:
        if run.retrieval in run.catalogue[step["skill"]].strategies:
            step["strategy"] = run.retrieval
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
    return Change(revision=revision, steps=[*state["steps"], *steps], reason=None)


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
    lacking = [need for need in step["needs"] if outcomes[need].get("status") != "done"]
    if lacking:
        return step["id"], Outcome(status="skipped", reason=f"needs {', '.join(lacking)}")
    skill = run.catalogue.find(step["skill"])
    if skill is None:
        gone = Fault(type=FaultType.UNKNOWN_SKILL, message=f"No agent has {step['skill']} now.")
        return step["id"], _failed(gone)
    try:
        request = await profile_of(run).input_of(step, skill, state, run)
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
    outcome = Outcome(status="done", input=state["input"])
    if passages is not None:
        outcome["passages"] = [passage["id"] for passage in passages]
    if passages is None or "paths" in output:
        computed = skill is not None and skill.computes
        told = {key: value for key, value in output.items() if key != "passages"}
        outcome.update(output=told, answer=shown_output(told, computed=computed))
    found = {each["id"]: each for each in passages or ()}
    return Change(outcomes={step["id"]: outcome}, passages=found)


async def gather(state: PlanState, runtime: Runtime[Run]) -> Change:
    """Gives the reason for another plan, where the steps that were taken call for one."""
    run = runtime.context
    run.call.check()
    if ready(state):
        return Change(reason=None)
    return Change(reason=profile_of(run).unfinished(state, run))


async def answer(state: PlanState, runtime: Runtime[Run]) -> Change:
    """Writes the answer from what was found; what it leaves open may lead to another plan.

    Raises:
        FaultError: Nothing was found, and that because skills failed.
    """
    run = runtime.context
    _raise_if_failed(state)
    draft = await profile_of(run).answer(state, run)
    more = bool(draft["open"]) and state["revision"] <= run.settings.max_revisions
    return Change(draft=draft, reason="; ".join(draft["open"])[:500] if more else None)


async def conclude(state: PlanState, runtime: Runtime[Run]) -> Change:
    """Numbers the citations and makes the answer."""
    run, draft = runtime.context, state.get("draft")
    if draft is None:  # pragma: no cover - the graph leads here by `answer` only
        raise FaultError.of(FaultType.INTERNAL, "There is no draft of the answer.")
    results = results_of(state)
    known = " ".join(
        [state["goal"], state.get("context", ""), *(each["answer"] for each in results.values())]
    )
    quotes: dict[str, list[str]] = {}
    for mark, words in draft["quotes"]:
        quotes.setdefault(mark, []).append(words)
    passages = marked(state, run)
    cited = cite(draft["text"], passages, quotes=quotes, known=known, computed=_computed(state))
    made = Answer(
        text=cited.text,
        answered=draft["answered"],
        citations=cited.citations if draft["answered"] else (),
        data={"steps": results, "missing": draft["open"]},
    )
    finished = await run.finish(made, list(state["passages"].values()))
    return Change(answer=finished.model_dump(mode="json"))


def _computed(state: PlanState) -> dict[str, list[str]]:
    """Computed values, with the figures that they were computed from, as they are written."""
    made = (each for each in state["outcomes"].values() if each.get("status") == "done")
    return {
        outcome["answer"]: [
            *map(str, given.get("variables", {}).values()),
            *map(str, values(given["expression"])),
        ]
        for outcome in made
        if "answer" in outcome and "expression" in (given := outcome.get("input", {}))
    }


def _raise_if_failed(state: PlanState) -> None:
    """Ends a task none of whose steps was done because skills failed; the task may be tried again.

    Raises:
        FaultError: The first step's fault.
    """
    outcomes = [state["outcomes"].get(step["id"], {}) for step in state["steps"]]
    if any(each.get("status") == "done" for each in outcomes):
        return
    for each in outcomes:
        if "fault" in each:
            raise FaultError(Fault.model_validate(each["fault"]))


def _failed(fault: Fault) -> Outcome:
    return Outcome(
        status="failed",
        fault=fault.model_dump(mode="json"),
        reason=f"{fault.type}: {fault.message}",
    )
