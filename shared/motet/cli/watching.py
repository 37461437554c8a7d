"""`motet ingest --watch`: documents follow their folders until somebody ends it.

The system says that something changed, and then, as now and then in any case, the folders are read
and compared with what was seen before. So a change that nobody told of (on a network file system,
or in a folder that was mounted over) is only late.

Invariants:

- A file is taken, or its document removed, when two looks `SETTLE_S` apart see the same: not while
  it is written, and not between the two steps in which an editor replaces it.
- What could not be done because the mesh went away is done when it is back: then everything is
  compared again with what the retriever has.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Container, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path

from watchfiles import awatch

from motet.cli.folders import File, Listing, Root, Version, is_removed
from motet.cli.runs import Bar, Ingesting, Run
from motet.cli.sending import Digests
from motet.cli.terminal import client_settings, err, out, write_json
from motet.client import Motet
from motet.errors import FaultError, SetupError

__all__ = ["watch_shown"]

log = logging.getLogger(__name__)

SETTLE_S = 1.0
"""Seconds for which a file must stay as it is."""

LOOK_S = 10.0
"""Seconds after which the folders are read in any case."""

AGAIN_S = 2.0
"""Seconds between two attempts to reach a mesh that went away."""

_DEBOUNCE_MS = 200


class Seen:
    """What the folders held when it was last taken over, and what has changed since."""

    def __init__(self, listing: Listing) -> None:
        self.files = dict(listing.files)
        self._failed = set(listing.failed)
        self._kept: set[str] = set()
        self._pending: dict[str, tuple[Version | None, float]] = {}

    @property
    def unsettled(self) -> bool:
        """Whether there is something to look at again."""
        return bool(self._pending)

    def settled(self, listing: Listing, now: float) -> tuple[list[File], list[str]]:
        """The files that are new or changed, and the documents that are gone, for long enough.

        Args:
            listing: What the folders hold now.
            now: A moment, in seconds.
        """
        looked: dict[str, Version | None] = {
            source: file.version
            for source, file in listing.files.items()
            if source not in self.files or self.files[source].version != file.version
        }
        self._kept.difference_update(listing.files)
        for source, file in self.files.items():
            if source in listing.files or source in self._kept:
                continue
            if is_removed(file.path):
                looked[source] = None
        before, self._pending = self._pending, {}
        ready: list[str] = []
        for source, version in looked.items():
            known, since = before.get(source, (version, now))
            since = since if known == version else now
            self._pending[source] = (version, since)
            if now - since >= SETTLE_S:
                ready.append(source)
        changed = [listing.files[each] for each in ready if each in listing.files]
        return changed, [each for each in ready if each not in listing.files]

    def failures(self, listing: Listing) -> list[tuple[str, str]]:
        """What cannot be a document, and was not so before."""
        fresh = [each for each in listing.failed if each not in self._failed]
        self._failed = set(listing.failed)
        return fresh

    def below(
        self, root: Root, files: Sequence[File], gone: Sequence[str]
    ) -> tuple[list[str], int]:
        """The documents in a folder that are gone, and how many are left, new ones included."""
        known = {*self.files, *(file.source for file in files)}
        inside = [source for source in known if root.inside(source) is not None]
        lost = [source for source in gone if root.inside(source) is not None]
        return lost, len(inside) - len(lost)

    def taken(self, files: Sequence[File], gone: Sequence[str], deleted: Container[str]) -> None:
        """Notes what was done, or is to be left as it is."""
        for file in files:
            self.files[file.source] = file
            self._pending.pop(file.source, None)
        for source in gone:
            self._pending.pop(source, None)
            if source in deleted:
                self.files.pop(source, None)
            else:
                self._kept.add(source)


async def watch_shown(ingesting: Ingesting, *, as_json: bool, verbose: bool) -> None:
    """Follows the folders, and shows what is done, until it is cancelled.

    Raises:
        FaultError, SetupError: Nobody took the documents in the first place.
    """
    watching = _Watching(ingesting, as_json=as_json, verbose=verbose)
    while True:
        try:
            async with Motet.open(client_settings()) as motet:
                await watching.follow(motet)
        except (FaultError, SetupError) as error:
            if not watching.began:
                raise
            if watching.took_over:
                err().print(f"waiting for the mesh: {error}", markup=False, soft_wrap=True)
            watching.took_over = False
            await asyncio.sleep(AGAIN_S)


class _Watching:
    """One `motet ingest --watch`."""

    def __init__(self, ingesting: Ingesting, *, as_json: bool, verbose: bool) -> None:
        self._ingesting = ingesting
        self._as_json = as_json
        self._verbose = verbose
        self._digests: Digests = {}
        self.began = False
        """Whether everything was taken over once."""
        self.took_over = False
        """Whether everything was taken over since the mesh was last lost."""

    async def follow(self, motet: Motet) -> None:
        """Takes everything over, then what changes.

        Raises:
            FaultError: The mesh went away.
        """
        async with _changes([root.path for root in self._ingesting.roots]) as changed:
            listing = await asyncio.to_thread(self._ingesting.listed)
            run = Run()
            await self._ingesting.once(motet, run, listing, digests=self._digests, bar=Bar(err()))
            self._show(run)
            self.began = self.took_over = True
            seen = Seen(listing)
            while True:
                await _heard(changed, SETTLE_S if seen.unsettled else None)
                listing = await asyncio.to_thread(self._ingesting.listed)
                files, gone = seen.settled(listing, time.monotonic())
                failed = seen.failures(listing)
                if files or gone or failed:
                    await self._take(motet, seen, files, gone, failed)

    async def _take(
        self,
        motet: Motet,
        seen: Seen,
        files: Sequence[File],
        gone: Sequence[str],
        failed: Sequence[tuple[str, str]],
    ) -> None:
        run = Run()
        run.fail(failed)
        found = {root: seen.below(root, files, gone) for root in self._ingesting.roots}
        await self._ingesting.take(motet, run, files, found, digests=self._digests, bar=Bar(err()))
        self._show(run)
        seen.taken(files, gone, {item.source for item in run.deleted})

    def _show(self, run: Run) -> None:
        """Says what came of a run, or raises what ended it."""
        if self._as_json:
            write_json(run.plain(), line=True)
        else:
            out().print(f"[dim]{datetime.now():%H:%M:%S}[/] ", end="")  # noqa: DTZ005 - a clock's
            run.show(out(), verbose=self._verbose)
        if run.fault is not None:
            raise run.fault


async def _heard(changed: asyncio.Event, within_s: float | None) -> None:
    """Waits for news, for so long at most."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await changed.wait()
    changed.clear()


@asynccontextmanager
async def _changes(paths: Sequence[Path]) -> AsyncGenerator[asyncio.Event]:
    """An event that is set when something changed below the paths, and each `LOOK_S`."""
    changed = asyncio.Event()

    async def listen() -> None:
        while True:
            folders = _folders(paths)
            # Told before the system is asked to tell: what happens until then is looked for.
            changed.set()
            try:
                async for _ in awatch(
                    *folders,
                    watch_filter=None,
                    debounce=_DEBOUNCE_MS,
                    rust_timeout=round(LOOK_S * 1000),
                    yield_on_timeout=True,
                    ignore_permission_denied=True,
                ):
                    changed.set()
                    if _folders(paths) != folders:
                        break  # one was mounted, or made anew: what is watched is the former one
            except OSError as error:
                log.warning("changes are looked for each %g s only: %s", LOOK_S, error)
                await asyncio.sleep(LOOK_S)

    listening = asyncio.create_task(listen(), name="watch folders")
    try:
        yield changed
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


def _folders(paths: Sequence[Path]) -> dict[Path, int]:
    """The paths that are there, with what tells one that is there anew."""
    found: dict[Path, int] = {}
    for path in paths:
        with suppress(OSError):
            found[path] = path.stat().st_ino
    return found
