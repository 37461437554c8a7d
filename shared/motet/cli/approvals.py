"""`motet approvals`: what tasks wait for a person to say, and saying it."""

from __future__ import annotations

import getpass
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motet.cli.terminal import AsJson, Status, client_settings, fail, out, run, write_json

if TYPE_CHECKING:
    from motet.messages import ApprovalRecord, Decision

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="See and answer what tasks ask a person.",
)

Key = Annotated[str, typer.Argument(metavar="QUESTION", help="As `motet approvals list` shows it.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept with the question.")]
By = Annotated[
    str | None, typer.Option(help="Who says it; your login name by default.", show_default=False)
]


@app.command("list")
def list_(
    closed: Annotated[
        bool, typer.Option("--all", help="Also those that are answered, or whose task has ended.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the questions that wait, the oldest first."""
    from motet.client import Motet

    async def main() -> list[ApprovalRecord]:
        async with Motet.open(client_settings()) as motet:
            return await motet.approvals(closed=closed)

    records = run(main())
    if as_json:
        write_json([record.model_dump(mode="json") for record in records])
    elif not records:
        out().print("Nobody is asked anything.")
    from rich.markup import escape

    for record in records if not as_json else ():
        out().print(
            f"[bold]{record.key}[/]  {record.asked_at:%Y-%m-%d %H:%M:%S}  "
            f"[cyan]{escape(record.skill)}[/]  [dim]{escape(_standing(record))}[/]",
            soft_wrap=True,
        )
        out().print(f"    {record.question.prompt}", markup=False)


@app.command()
def show(question: Key, as_json: AsJson = False) -> None:
    """Show one question: what is asked, by whom, and its reply."""
    from motet.client import Motet

    task, identifier = _parts(question)

    async def main() -> ApprovalRecord:
        async with Motet.open(client_settings()) as motet:
            return await motet.approval(task, identifier)

    record = run(main())
    if as_json:
        write_json(record)
        return
    asked, reply = record.question, record.reply
    facts: dict[str, str] = {
        "question": record.key,
        "asked by": record.skill,
        "at": f"{record.asked_at:%Y-%m-%d %H:%M:%S %Z}",
        "kind": asked.kind,
        "options": ", ".join(asked.options),
        "until": f"{record.expires_at:%Y-%m-%d %H:%M:%S %Z}" if record.expires_at else "",
        "by default": asked.default.decision if record.expires_at else "",
        "reply": _standing(record),
        "because": reply.reason if reply is not None else "",
    }
    for name, value in facts.items():
        if value:
            out().print(f"{name:<12}  {value}", markup=False)
    out().print(f"\n{asked.prompt}", markup=False)
    shown = asked.value if reply is None or reply.value is None else reply.value
    if shown is not None:
        out().print(json.dumps(shown, indent=2, ensure_ascii=False), markup=False)


@app.command()
def approve(question: Key, reason: Reason = "", by: By = None, as_json: AsJson = False) -> None:
    """Let it be done as it is."""
    _reply(question, "approve", None, reason, by, as_json=as_json)


@app.command()
def reject(question: Key, reason: Reason = "", by: By = None, as_json: AsJson = False) -> None:
    """Say no: the call ends with the fault `rejected`."""
    _reply(question, "reject", None, reason, by, as_json=as_json)


@app.command()
def edit(
    question: Key,
    value: Annotated[str, typer.Argument(help="What it shall be instead, as JSON.")],
    reason: Reason = "",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Let it be done, but otherwise."""
    try:
        edited = json.loads(value)
    except ValueError as error:
        fail(f"The value is no JSON: {error}.", Status.USAGE)
    _reply(question, "edit", edited, reason, by, as_json=as_json)


@app.command()
def respond(
    question: Key,
    answer: Annotated[str, typer.Argument(help="JSON where it is some, else a text.")],
    reason: Reason = "",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Give the answer that a task asks for."""
    _reply(question, "respond", _answer(answer), reason, by, as_json=as_json)


def _reply(
    question: str, decision: Decision, value: Any, reason: str, by: str | None, *, as_json: bool
) -> None:
    from motet.client import Motet
    from motet.messages import Reply

    task, identifier = _parts(question)
    reply = Reply(
        task=task,
        question=identifier,
        decision=decision,
        value=value,
        by=getpass.getuser() if by is None else by,
        reason=reason,
    )

    async def main() -> ApprovalRecord:
        async with Motet.open(client_settings()) as motet:
            return await motet.reply(reply)

    record = run(main())
    if as_json:
        write_json(record)
    else:
        out().print(f"{task} goes on: {_standing(record)}.", markup=False)


def _parts(question: str) -> tuple[str, str]:
    """The task and the id of a question."""
    from pydantic import TypeAdapter, ValidationError

    from motet.messages import Token

    task, _, identifier = question.partition(".")
    try:
        for part in (task, identifier):
            TypeAdapter(Token).validate_python(part)
    except ValidationError:
        fail(
            f"{question!r} names no question: `motet approvals list` shows them as TASK.ID.",
            Status.USAGE,
        )
    return task, identifier


def _answer(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _standing(record: ApprovalRecord) -> str:
    reply = record.reply
    return "open" if reply is None else f"{reply.decision} by {reply.by or 'somebody'}"
