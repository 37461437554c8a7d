"""`motet demo`: a mesh, a few documents and a few tasks with known answers, from nothing.

It starts the mesh, has the examples played (`motet.cli.playing`), and ends with 0 only if every
answer was right.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from motet.cli.terminal import AsJson, Status, err, out, run, told, write_json

if TYPE_CHECKING:
    from motet.cli.examples import Example
    from motet.cli.playing import Verdict
    from motet.embedded import EmbeddedMesh
    from motet.settings import Settings

__all__ = ["demo"]

TASKS = "tasks.json"

STOP_WITHIN_S = 2.0
"""Seconds that processes get to stop: nothing of the demo is worth keeping."""

INTERRUPTED = 128
"""Exit statuses above this are of signals."""


def demo(
    examples: Annotated[
        Path, typer.Option(help=f"Folder with documents/, recordings/ and {TASKS}.")
    ] = Path("examples"),
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the mesh's folder, to look into it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show a mesh at work, from nothing.

    Fetches the models that are missing, starts a mesh in a folder of its own, ingests the
    examples' documents and recordings, runs their tasks, and ends with 0 only if every answer was
    right.
    """
    from motet.cli.examples import read_examples
    from motet.cli.models import pull_weights
    from motet.embedded.needs import needed_weights
    from motet.settings import load_settings

    began = time.monotonic()
    with told():
        settings = load_settings()
        tasks = read_examples(examples / TASKS)
        pull_weights(needed_weights(settings), settings)
    folder = Path(tempfile.mkdtemp(prefix="motet-demo-"))
    failed = True
    try:
        verdicts = run(_demo(_own(settings, folder), examples, tasks, as_json=as_json))
        took_s = time.monotonic() - began
        if as_json:
            write_json({"verdicts": [asdict(v) for v in verdicts], "took_s": took_s}, line=True)
        else:
            _show(verdicts, took_s)
        if any(verdict.wrong for verdict in verdicts):
            raise typer.Exit(Status.FAILED)
        failed = False
    except typer.Exit as ended:
        failed = ended.exit_code < INTERRUPTED
        raise
    finally:
        if keep or failed:
            err().print(f"The mesh's folder is kept: {folder}", style="dim", soft_wrap=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _own(settings: Settings, folder: Path) -> Settings:
    """The user's settings with a folder of the demo's own.

    Models answer anew, also what they were asked in an earlier demo.
    """
    own = {"data_dir": folder, "spans_dir": folder / "spans", "model_cache": False}
    return settings.model_copy(update=own)


async def _demo(
    settings: Settings, examples: Path, tasks: list[Example], *, as_json: bool
) -> list[Verdict]:
    from motet.cli.playing import play
    from motet.client import Motet
    from motet.embedded import EmbeddedMesh

    starting = err().status("starting the mesh")
    starting.start()
    try:
        async with EmbeddedMesh(settings, on_death="end", grace_s=STOP_WITHIN_S) as mesh:
            starting.stop()
            if not as_json:
                _describe(mesh)
            async with Motet.open(mesh.settings) as motet:
                return await mesh.run(play(motet, mesh.settings, examples, tasks, as_json=as_json))
    finally:
        starting.stop()


def _describe(mesh: EmbeddedMesh) -> None:
    from motet.cli.layout import seconds

    out().print(f"[bold]The mesh is up[/] after {seconds(mesh.timings['all'])}")
    for name, process in mesh.processes.items():
        out().print(f"  [dim]process[/]   {process.pid:<8} {name}")
    out().print(f"  [dim]nats[/]      {mesh.settings.nats_url}")
    out().print(f"  [dim]model[/]     {mesh.settings.model}", soft_wrap=True)


def _show(verdicts: list[Verdict], took_s: float) -> None:
    """Says for each task whether it was right."""
    from rich.text import Text

    from motet.cli.layout import glyph, hanging, plural, seconds
    from motet.cli.report import rule

    out().print()
    out().print(rule(out(), "Verdict"))
    for number, verdict in enumerate(verdicts, 1):
        sign, style = ("failed", "bold red") if verdict.wrong else ("done", "bold green")
        said = Text.assemble((verdict.wrong or "right", style), f"  {verdict.goal}")
        columns = (2, Text(glyph(out(), sign), style=style)), (2, Text(str(number)))
        out().print(hanging(out(), *columns, text=said))
    wrong = sum(verdict.wrong is not None for verdict in verdicts)
    right = f"{len(verdicts) - wrong} of {plural(len(verdicts), 'task')} right"
    style = "bold red" if wrong else "bold green"
    out().print(Text.assemble((right, style), f" in {seconds(took_s)}, set-up included"))
