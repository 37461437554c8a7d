"""`motet models`: weights of the models that run on this machine."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from motet.cli.terminal import AsJson, err, out, told, write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from pathlib import Path

    from motet.settings import Settings

__all__ = ["app", "pull_weights"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Fetch the models that run on this machine.",
)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the models that can run on this machine, and which are there."""
    from motet.models import weights
    from motet.settings import load_settings

    with told():
        places = load_settings().weights_dirs
    rows = [
        {
            "name": name,
            "kind": model.kind,
            "bytes": model.size,
            "installed": weights.installed(name, *places),
            "license": model.license,
            "about": model.about,
        }
        for name, model in weights.manifest().items()
    ]
    if as_json:
        write_json(rows)
        return
    for name, model in weights.manifest().items():
        there = "[green]here[/]" if weights.installed(name, *places) else "[dim]not pulled[/]"
        out().print(f"[bold]{name}[/]  {model.kind}, {_size(model.size)}  {there}")
        out().print(f"  {model.about} {model.license}.", markup=False)


@app.command()
def pull(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Models; without any, those that the settings use."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch weights, checked by SHA-256; what is there already is kept."""
    from motet.embedded.needs import needed_weights
    from motet.settings import load_settings

    with told():
        settings = load_settings()
        paths = pull_weights(names or needed_weights(settings), settings)
    if as_json:
        write_json({name: str(path) for name, path in paths.items()})
        return
    for name, path in paths.items():
        out().print(f"[bold]{name}[/]  {path}", soft_wrap=True)


@app.command()
def path(
    name: Annotated[str, typer.Argument(help="A model, as `motet models list` shows it.")],
    as_json: AsJson = False,
) -> None:
    """Print where a model's file is."""
    from motet.models import weights
    from motet.settings import load_settings

    with told():
        found = weights.path(name, *load_settings().weights_dirs)
    if as_json:
        write_json({"path": str(found)})
    else:
        print(found)


def pull_weights(names: Iterable[str], settings: Settings) -> dict[str, Path]:
    """Fetches weights with a progress bar, and returns each model's file. Blocking.

    Raises:
        SetupError: A name is wrong, the disk is too full, or no source gave the file.
    """
    from motet.models import weights

    paths: dict[str, Path] = {}
    for name in names:
        if weights.installed(name, *settings.weights_dirs):
            paths[name] = weights.path(name, *settings.weights_dirs)
            continue
        with _bar(name) as progress:
            paths[name] = weights.pull(name, settings.cache_dir, progress, notice=_notice)
    return paths


@contextmanager
def _bar(name: str) -> Generator[Callable[[int, int], None]]:
    """A bar on a terminal; elsewhere a line at the beginning and for each quarter."""
    if err().is_terminal:
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=err(), transient=True) as bar:
            task = bar.add_task(name, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
        return

    told_quarters: set[int] = set()

    def tell(done: int, total: int) -> None:
        quarter = 4 * done // max(total, 1)
        if quarter not in told_quarters:
            told_quarters.add(quarter)
            err().print(f"{name}: {_size(done)} of {_size(total)}")

    yield tell


def _notice(text: str) -> None:
    err().print(text, style="yellow", markup=False, soft_wrap=True)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
