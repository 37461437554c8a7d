"""`motet submit`, `watch`, `result` and `cancel`: tasks, from the goal to the answer."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from motet.cli.principals import Access
from motet.cli.terminal import AsJson, Status, client_settings, fail, out, run, write_json

if TYPE_CHECKING:
    from motet.client import Motet, TaskHandle
    from motet.messages import Task, TaskRecord

__all__ = ["cancel", "follow", "result", "submit", "watch"]

TaskId = Annotated[str, typer.Argument(metavar="TASK", help="The task's id.", show_default=False)]


def submit(  # noqa: PLR0917 - Typer passes options by name
    goal: Annotated[str, typer.Argument(help="What is wanted, in plain words.")],
    follow_it: Annotated[
        bool, typer.Option("--follow", "-f", help="Show what happens, and the answer.")
    ] = False,
    task_id: Annotated[
        str | None, typer.Option("--id", help="An id of your own; equal ids are one task.")
    ] = None,
    deadline: Annotated[
        float | None, typer.Option(help="Seconds after which it expires.", min=0.1)
    ] = None,
    priority: Annotated[
        str, typer.Option(help="How urgent it is: interactive, normal or batch.")
    ] = "normal",
    tenant: Annotated[
        str, typer.Option(help="On whose behalf: tenants share the mesh evenly.")
    ] = "default",
    access: Access = None,
    budget_tokens: Annotated[
        int | None, typer.Option(help="Tokens that it may spend.", min=0)
    ] = None,
    budget_cost: Annotated[
        float | None, typer.Option(help="US dollars that it may spend.", min=0)
    ] = None,
    budget_calls: Annotated[
        int | None, typer.Option(help="Calls that it may delegate.", min=0)
    ] = None,
    strategy: Annotated[
        str, typer.Option(help="How to go about it: auto, plan, react or deep.")
    ] = "auto",
    retrieval: Annotated[
        str | None,
        typer.Option(
            help="How its searches look for passages, such as hybrid or multi_hop; the planner "
            "chooses where this is left out."
        ),
    ] = None,
    inputs: Annotated[
        list[Path] | None,
        typer.Option(
            "--input",
            "-i",
            help="A file that belongs to it: a document, a table, a picture or a recording; may be "
            "repeated. Documents are searchable for it alone.",
        ),
    ] = None,
    session: Annotated[
        str | None,
        typer.Option(help="The conversation that it goes on with, or begins: a name of yours."),
    ] = None,
    answer_schema: Annotated[
        Path | None,
        typer.Option(
            help="A file with the JSON Schema of an object, which the answer's data fulfils."
        ),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(help="The answer's language, such as de or pt-BR; else that of the goal."),
    ] = None,
    length: Annotated[
        str | None, typer.Option(help="How long the answer is: short or report.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Submit a task and print its id.

    The id is printed once the mesh has stored the task for good. With --follow, what happens is
    shown as it happens, and then the answer.
    """
    from motet.client import Motet
    from motet.messages import Budget

    task = _task(
        goal=goal,
        id=task_id,
        deadline_s=deadline,
        priority=priority,
        tenant=tenant,
        access=tuple(access or ()),
        strategy=strategy,
        retrieval=retrieval,
        session=session,
        answer_schema=None if answer_schema is None else _schema(answer_schema),
        language=language,
        length=length,
        budget=Budget(tokens=budget_tokens, cost_usd=budget_cost, calls=budget_calls),
    )

    async def main() -> TaskRecord | None:
        async with Motet.open(client_settings()) as motet:
            handle = await _submitted(motet, task, inputs or ())
            if follow_it:
                return await follow(motet, handle.id, as_json=as_json)
            if as_json:
                write_json({"id": handle.id})
            else:
                print(handle.id)
            return None

    _end_with(run(main()))


def watch(
    task: TaskId,
    after: Annotated[
        int, typer.Option(help="Go on after this event's sequence number.", min=0)
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Follow a task to its end, and show the answer."""
    from motet.client import Motet

    async def main() -> TaskRecord:
        async with Motet.open(client_settings()) as motet:
            await _known(motet, task)
            return await follow(motet, task, after=after, as_json=as_json)

    _end_with(run(main()))


def result(
    task: TaskId,
    wait: Annotated[bool, typer.Option(help="Wait for the end of a task that still runs.")] = True,
    as_json: AsJson = False,
) -> None:
    """Show a task's answer, with citations and cost."""
    from motet.cli.report import record
    from motet.client import Motet

    async def main() -> TaskRecord:
        async with Motet.open(client_settings()) as motet:
            known = await _known(motet, task)
            if known.state.terminal or not wait:
                return known
            with out().status(f"{task} is {known.state.value}"):
                return await motet.task(task).result()

    found = run(main())
    if as_json:
        write_json(found)
    else:
        out().print(record(out(), found))
    _end_with(found)


def cancel(
    task: TaskId,
    reason: Annotated[str, typer.Option(help="Why; it is kept with the task.")] = "",
    as_json: AsJson = False,
) -> None:
    """Cancel a task and everything that it delegated."""
    from motet.client import Motet

    async def main() -> TaskRecord:
        async with Motet.open(client_settings()) as motet:
            known = await _known(motet, task)
            await motet.task(task).cancel(reason)
            return known

    known = run(main())
    if as_json:
        write_json({"task": known.id, "cancelled": not known.state.terminal})


async def follow(motet: Motet, task: str, *, after: int = 0, as_json: bool) -> TaskRecord:
    """Shows a task's events until its end, then its outcome, and returns that."""
    from motet.cli.live import LiveView
    from motet.cli.report import record

    handle = motet.task(task)
    if as_json:
        async for sequence, event in handle.events(after):
            write_json({"sequence": sequence, **event.model_dump(mode="json")}, line=True)
        return await handle.result()
    out().print(f"[bold]{task}[/]")
    with LiveView(out()) as view:
        async for _, event in handle.events(after):
            view.show(event)
        found = await handle.result()
    out().print()
    out().print(record(out(), found))
    return found


def _task(**values: object) -> Task:
    """The task, or the end of the command when it is not a valid one."""
    from pydantic import ValidationError

    from motet.messages import Task

    try:
        return Task.model_validate(values)
    except ValidationError as error:
        wrong = "; ".join(f"{problem['loc'][0]}: {problem['msg']}" for problem in error.errors())
        fail(f"This is not a task that a mesh would take: {wrong}.", Status.USAGE)


def _schema(path: Path) -> object:
    """What a file of JSON holds, or the end of the command when it is none."""
    import json

    try:
        return json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        fail(f"--answer-schema: {path} cannot be read: {error.strerror}.", Status.USAGE)
    except (ValueError, RecursionError) as error:
        fail(f"--answer-schema: {path} is not JSON: {error}.", Status.USAGE)


async def _submitted(motet: Motet, task: Task, paths: Iterable[Path]) -> TaskHandle:
    """The task, submitted with its files, or the end of the command when it is refused."""
    from motet.errors import FaultError
    from motet.messages import FaultType

    try:
        return await motet.submit(task, files=paths)
    except OSError as error:
        if error.filename is None:
            raise
        fail(f"--input: {error.filename} cannot be read: {error.strerror}.", Status.USAGE)
    except FaultError as error:
        if error.fault.type not in (FaultType.INVALID_INPUT, FaultType.TOO_LARGE):
            raise
        fail(error.fault.message, Status.USAGE)


async def _known(motet: Motet, task: str) -> TaskRecord:
    """The task's record, or the end of the command when there is none."""
    record = await motet.task(task).record()
    if record is None:
        fail(
            f"There is no task {task!r} on this mesh. `motet submit` prints the id of each; one "
            "that no planner has taken up yet is not known either.",
            Status.FAILED,
        )
    return record


def _end_with(record: TaskRecord | None) -> None:
    """Ends the command with a status that says how the task ended."""
    from motet.messages import TaskState

    if record is not None and record.state.terminal and record.state != TaskState.SUCCEEDED:
        raise typer.Exit(Status.FAILED)
