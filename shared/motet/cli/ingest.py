"""`motet ingest`: makes documents findable, and keeps them as they are in their folders."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from motet.cli.principals import Access, Tenant, principal
from motet.cli.terminal import (
    AsJson,
    Status,
    client_settings,
    err,
    fail,
    out,
    run,
    told,
    write_json,
)

if TYPE_CHECKING:
    from motet.cli.runs import Ingesting, Run
    from motet.cli.sending import Item, Wanted
    from motet.client import Motet
    from motet.messages import CustomFields

__all__ = ["ingest", "ingest_shown"]


def ingest(  # noqa: PLR0917 - Typer passes options by name
    paths: Annotated[
        list[Path],
        typer.Argument(help="Files, and folders that are searched for documents and recordings."),
    ],
    sync: Annotated[
        bool, typer.Option("--sync", help="Also remove documents whose files are gone.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on as --sync until Ctrl-C, as files change.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Remove documents also where most of a folder is gone.")
    ] = False,
    label: Annotated[
        list[str] | None,
        typer.Option(help="An access label: only who has one of them sees it; may be repeated."),
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A field to filter by; may be repeated."),
    ] = None,
    tenant: Tenant = "default",
    access: Access = None,
    mtime: Annotated[
        bool, typer.Option("--mtime", help="Take a file's time of change as its document's time.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Send what is unchanged too, to be looked at anew.")
    ] = False,
    parallel: Annotated[int, typer.Option(help="Calls at once.", min=1, max=64)] = 4,
    max_mib: Annotated[
        int | None, typer.Option(help="MiB that a file may have.", min=1, show_default=False)
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Name what is skipped, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make documents findable.

    A document is known by its path as given: one that was ingested before is replaced, and one that
    has not changed is not sent again, so that a run which was interrupted goes on where it was.
    """
    from motet.cli.folders import roots_of
    from motet.cli.runs import Ingesting
    from motet.cli.sending import Wanted
    from motet.cli.watching import watch_shown

    labels = tuple(label or ())
    who = principal(tenant, access or labels)
    if labels and not set(labels) & set(who.access):
        fail(
            "With these labels nobody with that access would see it: give --access one of the "
            "labels.",
            Status.USAGE,
        )
    wanted = Wanted(
        principal=who,
        labels=labels,
        fields=_fields(field or ()),
        modified=mtime,
        again=again,
        parallel=parallel,
    )
    _check(wanted)
    roots = roots_of(paths)
    if sync or watch:
        for root in roots:
            if not root.is_folder:
                fail(f"{root.name!r} is a file: --sync and --watch follow folders.", Status.USAGE)
            if not root.name:
                fail(
                    "Documents of '.' have no name of their folder in theirs, so it cannot be told "
                    f"which of those that are known are from here: name it {str(Path.cwd())!r}.",
                    Status.USAGE,
                )
    ingesting = Ingesting(roots, wanted, max_mib and max_mib << 20, sync=sync or watch, sure=yes)
    if watch:
        run(watch_shown(ingesting, as_json=as_json, verbose=verbose))
        return
    done = run(_once(ingesting, as_json=as_json, verbose=verbose))
    if done.fault is not None:
        with told():
            raise done.fault
    if done.failed or done.kept:
        raise typer.Exit(Status.FAILED)


async def _once(ingesting: Ingesting, *, as_json: bool, verbose: bool) -> Run:
    """One run, and what came of it, also when it was interrupted."""
    import asyncio

    from motet.cli.runs import Bar, Run
    from motet.client import Motet

    done = Run()
    async with Motet.open(client_settings()) as motet:
        listing = await asyncio.to_thread(ingesting.listed)
        if not listing.files and not listing.failed and not ingesting.sync:
            _nothing(ingesting, listing.skipped)
        try:
            await ingesting.once(motet, done, listing, digests={}, bar=Bar(err()))
        finally:
            if as_json:
                write_json(done.plain())
            else:
                done.show(out(), verbose=verbose)
    return done


async def ingest_shown(motet: Motet, folder: Path) -> list[Item]:
    """Ingests a folder with a progress bar; documents are named from it.

    Raises:
        FaultError: Nobody takes them.
    """
    from motet.cli.folders import roots_of
    from motet.cli.runs import Bar, Ingesting, Run
    from motet.cli.sending import Wanted

    done = Run()
    ingesting = Ingesting(roots_of([folder], relative_to=folder), Wanted())
    await ingesting.once(motet, done, ingesting.listed(), digests={}, bar=Bar(err()))
    if done.fault is not None:
        raise done.fault
    return done.items


def _nothing(ingesting: Ingesting, skipped: Sequence[tuple[str, str]]) -> NoReturn:
    from motet.cli.layout import plural
    from motet.media import MEDIA_TYPES

    where = ", ".join(repr(str(root.path)) for root in ingesting.roots)
    endings = ", ".join(sorted(MEDIA_TYPES))
    beside = f"; {plural(len(skipped), 'file')} of other kinds" if skipped else ""
    fail(
        f"Nothing to ingest: no file under {where} ends in one of {endings}{beside}.",
        Status.FAILED,
    )


def _check(wanted: Wanted) -> None:
    """Ends the command when no document can be as it is wanted."""
    from pydantic import ValidationError

    from motet.messages import Document

    try:
        Document(source="x", text="x", labels=wanted.labels, fields=wanted.fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        fail(f"A document cannot have this: {where}: {first['msg']}.", Status.USAGE)


def _fields(pairs: Iterable[str]) -> CustomFields:
    """Fields from `name=value`; one that is given several times has several values."""
    found: dict[str, list[Any]] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            fail(f"--field {pair!r} is not of the form name=value.", Status.USAGE)
        found.setdefault(name, []).append(_value(text))
    return {
        name: values[0] if len(values) == 1 else tuple(values) for name, values in found.items()
    }


def _value(text: str) -> str | float | bool:
    """A number, true, false or a quoted text as JSON has them; anything else is text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if isinstance(value, float) and not math.isfinite(value):
        return text
    return value if isinstance(value, str | int | float) else text
