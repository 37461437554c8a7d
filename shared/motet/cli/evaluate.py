"""`motet eval`: puts the questions of a dataset to the mesh, and scores its answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from motet.cli.terminal import (
    AsJson,
    Status,
    client_settings,
    err,
    fail,
    out,
    run,
    write_json,
)

if TYPE_CHECKING:
    from motet.cli.eval_dataset import EvalItem
    from motet.cli.eval_report import EvalOutcome, Gate
    from motet.client import Motet

__all__ = ["evaluate", "evaluate_all", "gates_of"]

SKILL = "evaluator.score_task"

_SHOWN_FAILURES = 20


def evaluate(  # noqa: PLR0917 - Typer passes options by name
    file: Annotated[Path, typer.Argument(help="A .jsonl, .json or .csv file of questions.")],
    minimum: Annotated[
        list[str] | None,
        typer.Option("--min", metavar="METRIC=VALUE", help="Fail when the mean is below."),
    ] = None,
    maximum: Annotated[
        list[str] | None,
        typer.Option("--max", metavar="METRIC=VALUE", help="Fail when the mean is above."),
    ] = None,
    concurrency: Annotated[int, typer.Option(help="Tasks at once.", min=1, max=256)] = 2,
    timeout: Annotated[
        float, typer.Option(help="Seconds that one question may take.", min=0.1)
    ] = 600,
    limit: Annotated[
        int | None, typer.Option(help="Only the first so many questions.", min=1)
    ] = None,
    judge: Annotated[
        bool | None,
        typer.Option("--judge/--no-judge", help="Have a language model judge too, or not."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Put the questions of a file to the mesh, and score its answers.

    Each question is an object with "goal" and, if known, "reference" (a right answer) and
    "relevant" (passages or documents that hold it). A question that fails does not stop the rest.
    The status is 1 when one failed, or when a mean misses a --min or --max.
    """
    from motet.cli.eval_dataset import DatasetError, read_dataset
    from motet.cli.eval_report import report, summaries

    gates = [*gates_of(minimum, at_most=False), *gates_of(maximum, at_most=True)]
    try:
        items = read_dataset(file, limit)
    except DatasetError as error:
        fail(str(error), Status.USAGE)
    outcomes = run(_evaluated(items, concurrency=concurrency, timeout_s=timeout, judge=judge))
    found = summaries(outcomes)
    missed = [gate for gate in gates if not gate.met(found.get(gate.name))]
    failed = [outcome for outcome in outcomes if outcome.failed]
    if as_json:
        write_json(
            {
                "items": [outcome.json() for outcome in outcomes],
                "metrics": {name: summary.json() for name, summary in found.items()},
                "missed": [gate.said(found.get(gate.name)) for gate in missed],
                "failed": len(failed),
            }
        )
    else:
        out().print(report(out(), outcomes))
        _tell(outcomes, [gate.said(found.get(gate.name)) for gate in missed])
    if failed or missed:
        raise typer.Exit(Status.FAILED)


async def _evaluated(
    items: list[EvalItem], *, concurrency: int, timeout_s: float, judge: bool | None
) -> list[EvalOutcome]:
    from rich.progress import Progress

    from motet.client import Motet

    async with Motet.open(client_settings()) as motet:
        if await motet.wait_for_agents({"evaluator"}, 5):
            fail("No evaluator lives in this mesh: `motet agents` lists who does.", Status.FAULT)
        with Progress(console=err(), transient=True, disable=not err().is_terminal) as bar:
            task = bar.add_task("evaluating", total=len(items))
            return await evaluate_all(
                motet,
                items,
                concurrency=concurrency,
                timeout_s=timeout_s,
                judge=judge,
                done=lambda _: bar.advance(task),
            )


async def evaluate_all(
    motet: Motet,
    items: list[EvalItem],
    *,
    concurrency: int = 2,
    timeout_s: float = 600,
    judge: bool | None = None,
    done: Callable[[EvalOutcome], object] = lambda _: None,
) -> list[EvalOutcome]:
    """Puts questions to a mesh, and has its answers scored.

    Args:
        motet: The mesh.
        items: The questions.
        concurrency: Tasks at once.
        timeout_s: Seconds that one question may take; its task is then cancelled.
        judge: Whether a language model judges too; None takes the evaluator's setting.
        done: Told of each outcome as it comes.

    Returns:
        An outcome an item, in order, whatever became of it.
    """
    import asyncio

    room = asyncio.Semaphore(concurrency)

    async def one(item: EvalItem) -> EvalOutcome:
        async with room:
            outcome = await _evaluate_one(motet, item, timeout_s, judge)
        done(outcome)
        return outcome

    async with asyncio.TaskGroup() as group:
        running = [group.create_task(one(item)) for item in items]
    return [each.result() for each in running]


async def _evaluate_one(
    motet: Motet, item: EvalItem, timeout_s: float, judge: bool | None
) -> EvalOutcome:
    import asyncio
    from dataclasses import replace

    from motet.cli.eval_report import EvalOutcome
    from motet.errors import FaultError
    from motet.messages import Evaluation, Fault, FaultType, ScoreTaskRequest, Task, new_id

    outcome = EvalOutcome(item, new_id())
    handle = motet.task(outcome.task)
    try:
        await motet.submit(Task(id=outcome.task, goal=item.goal, deadline_s=timeout_s))
        # The mesh itself ends a task at its deadline; the rest is for hearing of it.
        record = await handle.result(timeout_s + 10)
        outcome = replace(outcome, record=record)
        if record.answer is None:
            ended = Fault(type=FaultType.CANCELLED, message=f"The task is {record.state}.")
            outcome = replace(outcome, fault=record.fault or ended)
        request = ScoreTaskRequest(
            task=handle.id, reference=item.reference, relevant=item.relevant, judge=judge
        )
        evaluation = await motet.call(SKILL, request, Evaluation, timeout_s=timeout_s)
        return replace(outcome, evaluation=evaluation)
    except FaultError as error:
        if outcome.record is None:
            await _cancel(motet, outcome.task)
        return replace(outcome, fault=outcome.fault or error.fault)
    except asyncio.CancelledError:
        if outcome.record is None:
            await asyncio.shield(_cancel(motet, outcome.task))
        raise


async def _cancel(motet: Motet, task: str) -> None:
    """Asks that a task end for whose answer nobody waits any more."""
    from motet.errors import FaultError

    try:
        await motet.task(task).cancel("the evaluation was stopped")
    except FaultError as error:
        err().print(f"Task {task} goes on: {error.fault.message}", markup=False)


def gates_of(said: list[str] | None, *, at_most: bool) -> list[Gate]:
    """The gates of the command line, or its end when one does not fit."""
    from motet.cli.eval_report import JUDGED, MEASURED, Gate
    from motet.messages import METRICS

    option = "--max" if at_most else "--min"
    gates: list[Gate] = []
    for each in said or ():
        name, _, value = each.partition("=")
        if name.removeprefix(JUDGED) not in METRICS and name not in MEASURED:
            there = ", ".join((*METRICS, *MEASURED))
            fail(f"{option} {each}: there is no metric {name!r}; there are {there}.", Status.USAGE)
        try:
            bound = float(value)
        except ValueError:
            bound = float("nan")
        if bound != bound:  # noqa: PLR0124 - only NaN differs from itself
            fail(f"{option} {each}: {value!r} is no number.", Status.USAGE)
        gates.append(Gate(name, bound, at_most))
    return gates


def _tell(outcomes: list[EvalOutcome], missed: list[str]) -> None:
    """Why questions failed, and which gates were missed."""
    shown = [(number, each) for number, each in enumerate(outcomes, start=1) if each.failed]
    for number, outcome in shown[:_SHOWN_FAILURES]:
        if outcome.fault is not None:
            said = f"{number}: {outcome.fault.message} ({outcome.fault.type})"
            out().print(said, style="red", markup=False, soft_wrap=True)
    for line in missed:
        out().print(f"missed: {line}", style="bold red", markup=False, soft_wrap=True)
