"""`motet ingest`: makes documents findable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
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
from motet.media import MEDIA_TYPES, is_recording, media_type

if TYPE_CHECKING:
    from motet.client import Motet
    from motet.messages import Document, IngestResult

__all__ = ["ingest", "ingest_shown", "summary"]

SKILL = "retriever.ingest"

_BATCH_BYTES = 64 * 1024
"""Text that one call carries, unless one document has more: small enough to show progress."""

_BATCH_TIMEOUT_S = 600.0

_SHOWN_FAILURES = 20


def ingest(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Files, or folders that are searched for .md and .txt files and recordings."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Make documents findable. One that was ingested before, from the same path, is replaced."""
    from motet.client import Motet

    async def main() -> list[IngestResult.Item]:
        async with Motet.open(client_settings()) as motet:
            return await ingest_shown(motet, paths)

    items = run(main())
    failed = [item for item in items if item.status == "failed"]
    if as_json:
        write_json({"items": [item.model_dump(mode="json") for item in items]})
    else:
        out().print(summary(items))
        for item in failed[:_SHOWN_FAILURES]:
            out().print(
                f"  {item.source}: {item.reason or 'failed'}",
                style="red",
                markup=False,
                soft_wrap=True,
            )
    if failed:
        raise typer.Exit(Status.FAILED)


async def ingest_shown(
    motet: Motet, paths: Iterable[Path], *, relative_to: Path | None = None
) -> list[IngestResult.Item]:
    """Ingests files and folders with a progress bar.

    Args:
        motet: The mesh.
        paths: Files, and folders to be searched.
        relative_to: The folder from which sources are named; None names them as they were given.
    """
    import asyncio

    from rich.progress import Progress

    files = await asyncio.to_thread(files_in, paths)
    if not files:
        where = ", ".join(repr(str(path)) for path in paths)
        endings = ", ".join(MEDIA_TYPES)
        fail(f"Nothing to ingest: no file under {where} ends in {endings}.", Status.FAILED)
    documents, unread = await asyncio.to_thread(documents_in, files, relative_to)
    items: list[IngestResult.Item] = list(unread)
    recordings = [file for file in files if is_recording(media_type(file))]
    with Progress(console=err(), transient=True, disable=not err().is_terminal) as bar:
        task = bar.add_task("ingesting", total=len(documents) + len(recordings))
        for batch in batches(documents):
            items += await _ingest_batch(motet, batch)
            bar.advance(task, len(batch))
        for file in recordings:
            items += await _ingest_recording(motet, file, _source(file, relative_to))
            bar.advance(task)
    return items


async def _ingest_recording(motet: Motet, file: Path, source: str) -> tuple[IngestResult.Item, ...]:
    from motet.messages import Document, IngestResult

    try:
        blob = await motet.attach(file)
    except OSError as error:
        reason = f"it cannot be read: {error.strerror}"
        return (IngestResult.Item(source=source, status="failed", passages=0, reason=reason),)
    return await _ingest_batch(
        motet, [Document(source=source, media_type=blob.media_type, blob=blob)]
    )


async def _ingest_batch(motet: Motet, batch: list[Document]) -> tuple[IngestResult.Item, ...]:
    from motet.messages import IngestRequest, IngestResult

    request = IngestRequest(documents=tuple(batch))
    result = await motet.call(SKILL, request, IngestResult, timeout_s=_BATCH_TIMEOUT_S)
    return result.items


def files_in(paths: Iterable[Path]) -> list[Path]:
    """The documents among files and under folders, in order, each once.

    A file that is named itself is taken whatever its ending; hidden folders are passed by, and so
    are links that lead out of the folder: it may be somebody else's.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            found.update(dict.fromkeys(_inside(path)))
        elif path.is_file():
            found[path] = None
        else:
            fail(f"There is no file or folder {str(path)!r}.", Status.USAGE)
    return list(found)


def _inside(folder: Path) -> Iterator[Path]:
    """The documents under a folder."""
    top = folder.resolve()
    for file in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        if hidden or file.suffix.lower() not in MEDIA_TYPES or not file.is_file():
            continue
        if file.resolve().is_relative_to(top):
            yield file
        else:
            err().print(f"{file} leads out of the folder, and is passed by.", markup=False)


def documents_in(
    files: Iterable[Path], relative_to: Path | None = None
) -> tuple[list[Document], list[IngestResult.Item]]:
    """The text files as documents, and an item of failure for each that cannot be read."""
    from motet.messages import Document, IngestResult

    documents: list[Document] = []
    unread: list[IngestResult.Item] = []
    for file in files:
        if is_recording(media_type(file)):
            continue
        source = _source(file, relative_to)
        try:
            text = file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            reason = (
                f"it cannot be read: {error.strerror}"
                if isinstance(error, OSError)
                else f"it is not UTF-8 text (byte {error.start})"
            )
            unread.append(
                IngestResult.Item(source=source, status="failed", passages=0, reason=reason)
            )
            continue
        documents.append(
            Document.model_validate(
                {
                    "source": source,
                    "media_type": MEDIA_TYPES.get(file.suffix.lower(), "text/plain"),
                    "text": text,
                }
            )
        )
    return documents, unread


def _source(file: Path, relative_to: Path | None) -> str:
    return str(file.relative_to(relative_to) if relative_to else file)


def summary(items: list[IngestResult.Item]) -> str:
    """How many documents became what, and how many passages there are."""
    from motet.cli.layout import plural

    counts = Counter(item.status for item in items)
    kinds = ", ".join(
        f"{counts[status]} {status}"
        for status in ("added", "replaced", "unchanged", "failed")
        if counts[status]
    )
    passages = sum(item.passages for item in items)
    return f"{plural(len(items), 'document')}: {kinds}; {plural(passages, 'passage')}"


def batches(documents: list[Document]) -> Iterator[list[Document]]:
    """The documents in parts that one call each carries, in order."""
    batch: list[Document] = []
    size = 0
    for document in documents:
        length = len((document.text or "").encode())
        if batch and size + length > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(document)
        size += length
    if batch:
        yield batch
