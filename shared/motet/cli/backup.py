"""`motet backup` and `motet restore`: a mesh's streams in a folder, and back again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from motet.cli.terminal import AsJson, client_settings, err, out, run, write_json

if TYPE_CHECKING:
    from motet.bus import Bus
    from motet.bus.backups import Progress, Told
    from motet.bus.manifest import Manifest

__all__ = ["backup", "restore"]


def backup(
    folder: Annotated[
        Path, typer.Argument(help="Where to: a folder that is not there, or is empty.")
    ],
    as_json: AsJson = False,
) -> None:
    """Copy everything that NATS keeps of the mesh into a folder.

    Streams, buckets and the object store, while the mesh works.
    Documents and graph are in stores of their own: docs/how-to/back-up-and-restore.md. Where NATS
    knows users, sign on as `backup`.
    """
    from motet.bus.backups import back_up

    manifest = _done(lambda bus, told: back_up(bus, folder, told))
    if as_json:
        write_json(manifest)
    else:
        out().print(f"{_summary(manifest)} are in {folder}.", markup=False, soft_wrap=True)


def restore(
    folder: Annotated[Path, typer.Argument(help="What `motet backup` has made.")],
    replicas: Annotated[
        int | None,
        typer.Option(
            help="Copies of each stream: 1, or 3 for a cluster of three; as many as there were, "
            "unless said.",
            min=1,
            max=5,
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring a backup back, to a server without this mesh.

    It is checked first, against the SHA-256 of each file. Nothing that is on the server is changed:
    where a stream is there already, nothing is brought back.
    """
    from motet.bus.restores import restore as bring_back

    manifest = _done(lambda bus, told: bring_back(bus, folder, told, replicas=replicas))
    if as_json:
        write_json(manifest)
    else:
        out().print(f"{_summary(manifest)} are back from {folder}.", markup=False, soft_wrap=True)


def _done(what: Callable[[Bus, Told], Awaitable[Manifest]]) -> Manifest:
    """Does something as the user `backup`, and shows how far it is."""
    from motet.bus import Bus
    from motet.telemetry import setup

    async def main() -> Manifest:
        settings = client_settings()
        telemetry = setup("backup", settings)
        try:
            async with Bus.open(settings, telemetry, client="backup") as bus:
                with _shown() as told:
                    return await what(bus, told)
        finally:
            await telemetry.shutdown()

    return run(main())


@contextmanager
def _shown() -> Generator[Told]:
    """Shows each stream as a bar on a terminal, and as a line elsewhere."""
    from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    bars = Bars(*columns, console=err(), transient=True, disable=not err().is_terminal)
    shown: dict[tuple[str, str], TaskID] = {}

    def told(progress: Progress) -> None:
        key = (progress.step, progress.stream)
        text = f"{progress.step} {progress.stream}"
        if key not in shown:
            # What is done is out of the way.
            for task in bars.task_ids:
                bars.update(task, visible=False)
            shown[key] = bars.add_task(text, total=progress.total)
            if bars.disable:
                err().print(text, markup=False, soft_wrap=True)
        bars.update(shown[key], completed=progress.done)

    with bars:
        yield told


def _summary(manifest: Manifest) -> str:
    from motet.cli.layout import plural

    messages = sum(stream.messages + stream.changes for stream in manifest.streams)
    size = f"{manifest.size / 1e6:,.1f} MB"
    return f"{plural(len(manifest.streams), 'stream')}, {plural(messages, 'message')}, {size}"
