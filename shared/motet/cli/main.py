"""The `motet` command: its sub-commands and what they have in common."""

from __future__ import annotations

import typer

from motet.cli import (
    agents,
    approvals,
    backup,
    dead,
    demo,
    doctor,
    documents,
    evaluate,
    ingest,
    models,
    nats,
    schedules,
    search,
    tasks,
    trace,
    up,
)

__all__ = ["app"]

app = typer.Typer(
    name="motet",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Independent agents, one task, one trace.",
    epilog=(
        "Settings are MOTET_... variables. Exit status: 0 done; 1 it was tried and failed; "
        "2 wrong usage; 3 wrong set-up; 4 the mesh answered with a fault."
    ),
)

app.command()(up.up)
app.command()(tasks.submit)
app.command()(tasks.watch)
app.command()(tasks.result)
app.command()(tasks.cancel)
app.command()(ingest.ingest)
app.add_typer(documents.app, name="documents")
app.command()(search.search)
app.command("agents")(agents.agents)
app.command()(trace.trace)
app.command("eval")(evaluate.evaluate)
app.command()(backup.backup)
app.command()(backup.restore)
app.add_typer(approvals.app, name="approvals")
app.add_typer(dead.app, name="dead")
app.add_typer(schedules.app, name="schedules")
app.add_typer(models.app, name="models")
app.add_typer(nats.app, name="nats")
app.command("doctor")(doctor.doctor)
app.command("demo")(demo.demo)
