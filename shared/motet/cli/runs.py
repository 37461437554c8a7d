"""Runs of `motet ingest`: once over the files and folders that were named, and what came of it.

Invariants:

- Documents are removed after others were added, so that what was renamed is found at all times.
- Only documents whose names are below a folder that was named are removed, and only when the system
  says that their file is not there. Where a folder would be left without any, or without most of
  many, nothing of it is removed unless somebody said so: it may not be mounted.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from motet.cli.folders import File, Listing, Root, files_in
from motet.cli.layout import plural
from motet.cli.sending import Digests, Item, Sender, Wanted, missing
from motet.client import Motet
from motet.errors import FaultError
from motet.messages import DeleteResult

Gone = Mapping[Root, tuple[Sequence[str], int]]

__all__ = ["Bar", "Ingesting", "Run", "is_suspicious", "summary"]

MANY = 10
"""Documents of which more than half must not go at once."""

_SHOWN = 20


@dataclass(slots=True)
class Run:
    """What came of a run."""

    id: str = ""
    """`motet trace` finds it by this."""
    items: list[Item] = field(default_factory=list[Item])
    deleted: list[DeleteResult.Item] = field(default_factory=list[DeleteResult.Item])
    skipped: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Files that are no documents, and why."""
    kept: list[str] = field(default_factory=list[str])
    """Sentences that say what was not removed."""
    unsent: int = 0
    """Files that the run did not come to."""
    fault: FaultError | None = None
    """Why it ended early."""

    @property
    def failed(self) -> list[Item]:
        """The documents that failed."""
        return [item for item in self.items if item.status == "failed"]

    def fail(self, failures: Iterable[tuple[str, str]]) -> None:
        """Notes documents that cannot be sent, each with why."""
        self.items += [
            Item(source=source, status="failed", passages=0, reason=reason)
            for source, reason in failures
        ]

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "run": self.id,
            "items": [item.model_dump(mode="json") for item in self.items],
            "deleted": [item.model_dump(mode="json") for item in self.deleted],
            "skipped": [{"source": source, "reason": why} for source, why in self.skipped],
            "kept": self.kept,
            "unsent": self.unsent,
        }

    def show(self, console: Console, *, verbose: bool) -> None:
        """Says in lines what came of it."""
        if self.items or not self.deleted:
            console.print(summary(self.items))
        for item in self.failed[:_SHOWN]:
            line = f"  {item.source}: {item.reason or 'failed'}"
            console.print(line, style="red", markup=False, soft_wrap=True)
        if len(self.failed) > _SHOWN:
            console.print(f"  and {len(self.failed) - _SHOWN} more: motet documents --failed")
        if self.deleted:
            gone = [item for item in self.deleted if item.status == "deleted"]
            console.print(f"{plural(len(gone), 'document')} deleted")
        for sentence in self.kept:
            console.print(sentence, style="yellow", markup=False, soft_wrap=True)
        if self.skipped:
            hint = "" if verbose else " (--verbose names them)"
            console.print(f"{plural(len(self.skipped), 'file')} skipped{hint}")
        for source, why in self.skipped if verbose else ():
            console.print(f"  {source}: {why}", style="dim", markup=False, soft_wrap=True)
        if self.unsent:
            console.print(f"{plural(self.unsent, 'file')} not sent: the same command goes on there")


@dataclass(frozen=True, slots=True)
class Ingesting:
    """What is to be ingested."""

    roots: Sequence[Root]
    wanted: Wanted
    max_bytes: int | None = None
    sync: bool = False
    """Whether documents are removed whose files are gone."""
    sure: bool = False
    """Whether that holds where most of a folder is gone, too."""

    def listed(self) -> Listing:
        """The files that there are now. Takes as long as reading the folders does."""
        return files_in(self.roots, self.max_bytes)

    async def once(
        self, motet: Motet, run: Run, listing: Listing, *, digests: Digests, bar: Bar
    ) -> None:
        """Brings the retriever to what is in the folders, and notes in `run` what is done."""
        run.skipped = listing.skipped
        run.fail(listing.failed)
        await self.take(motet, run, list(listing.files.values()), None, digests=digests, bar=bar)

    async def take(
        self,
        motet: Motet,
        run: Run,
        files: Sequence[File],
        gone: Gone | None,
        *,
        digests: Digests,
        bar: Bar,
    ) -> None:
        """Brings the retriever to some files, and notes in `run` what is done.

        Args:
            motet: The mesh.
            run: What comes of it, also when it is interrupted.
            files: What is sent, unless the retriever has it.
            gone: Documents to be removed by folder, each with how many are left; None compares
                all that the retriever has, where documents are removed at all.
            digests: What is known of files, and will be.
            bar: Shows how far it is.
        """
        run.unsent = len(files)

        def done(item: Item) -> None:
            run.items.append(item)
            run.unsent -= 1
            bar.advance(item)

        try:
            async with motet.together("ingest", principal=self.wanted.principal) as calls:
                run.id = calls.id
                sender = Sender(motet, calls, self.wanted, digests)
                with bar.over(len(files)):
                    await sender.send(files, done)
                if gone is None and self.sync:
                    known = [info.source for info in await sender.known()]
                    gone = await asyncio.to_thread(missing, self.roots, known)
                run.deleted += await sender.delete(self._certain(run, gone or {}))
        except FaultError as error:
            run.fault = error

    def _certain(self, run: Run, gone: Gone) -> list[str]:
        """The documents to be removed; notes of which folders none is."""
        certain: dict[str, None] = {}
        for root, (sources, left) in gone.items():
            if sources and not self.sure and is_suspicious(len(sources), left):
                count = plural(len(sources), "document")
                run.kept.append(
                    f"{count} below {root.name!r} would be deleted, and {left} left: --yes deletes "
                    "them, if the folder is as it should be."
                )
            else:
                certain.update(dict.fromkeys(sources))
        return list(certain)


def is_suspicious(gone: int, left: int) -> bool:
    """Whether so much of a folder is gone that it may not be what it was."""
    return left == 0 or (gone + left >= MANY and gone > left)


class Bar:
    """Shows how far a run is, on a terminal."""

    def __init__(self, console: Console) -> None:
        self._failed = 0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[failed]}", style="red"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("ingesting", total=None, rate="", failed="")

    @contextmanager
    def over(self, files: int) -> Generator[None]:
        """Shows it during the block, in which that many files are worked on."""
        self._progress.update(self._task, total=files)
        with self._progress:
            yield

    def advance(self, item: Item) -> None:
        """One more is done."""
        if item.status == "failed":
            self._failed += 1
        speed = self._progress.tasks[0].speed
        self._progress.update(
            self._task,
            advance=1,
            rate=f"{speed:,.0f}/s" if speed else "",
            failed=f"{self._failed} failed" if self._failed else "",
        )


def summary(items: Iterable[Item]) -> str:
    """How many documents became what, and how many passages there are."""
    items = list(items)
    counts = Counter(item.status for item in items)
    kinds = ", ".join(
        f"{counts[status]} {status}"
        for status in ("added", "replaced", "unchanged", "failed")
        if counts[status]
    )
    passages = sum(item.passages for item in items)
    said = f"{plural(len(items), 'document')}: {kinds}" if kinds else "0 documents"
    return f"{said}; {plural(passages, 'passage')}"
