"""Filling: brings one collection to what another has, with the vectors of another model.

Invariants: those of `motet_retriever.migration`.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

import numpy as np
from opentelemetry.trace import SpanKind

from motet.errors import FaultError, MotetError
from motet.messages import DocumentInfo, Principal
from motet.models import Embedder
from motet.telemetry import Tracer, names
from motet_retriever.hierarchy import embedded_anew
from motet_retriever.stores.collections import Collections, EmbeddingModel, Mark
from motet_retriever.stores.mirrored import LAPSES_S, Follower, Watch
from motet_retriever.stores.port import HiddenError, PassageStore, StoredDocument, Vector

__all__ = ["Filling", "Mandate", "Way"]

log = logging.getLogger(__name__)

BATCH = 16
"""Passages that are embedded before calls get their turn."""
PAGE = 64
"""Documents that are compared at once."""
SAID_EVERY_S = 10.0
RENEWED_EVERY_S = 5.0
"""Seconds after which a mark is renewed."""
FRESH_S = 15.0
"""Seconds since the last renewal within which the pointer may move: half of `LAPSES_S`."""
KEPT_S = 60.0
"""Seconds for which the mark is kept after the switch: a retriever with the former setting that is
just being started does not migrate back meanwhile."""
AGAIN_S = (1.0, 60.0)
"""Seconds after which what failed is tried again: first, and at most."""
POLL_S = 1.0

Key = tuple[str, str]
"""Tenant and source."""


@dataclass(frozen=True, slots=True)
class Way:
    """From where a migration comes, and whom it minds."""

    collections: Collections
    watch: Watch
    serving: EmbeddingModel
    """Whose collection serves until then."""
    follow: Callable[[], Awaitable[bool]]
    """Has calls go over once the other collection serves; whether it does."""
    give_way: Callable[[], Awaitable[None]]
    """Waits for calls that are under way."""


class Mandate:
    """The right to fill, which one retriever has at a time."""

    def __init__(self, collections: Collections, watch: Watch, to: EmbeddingModel) -> None:
        self._collections = collections
        self._watch = watch
        self._to = to
        self._marks: set[Mark] = set()
        """Those of its own that may be there."""
        self._renewed = 0.0

    @property
    def fresh(self) -> bool:
        """Whether nobody can have taken it over."""
        return time.monotonic() - self._renewed < FRESH_S

    async def claim(self) -> bool:
        """Whether this process has it now."""
        if (await self._watch.look()).marks:
            return False
        return await self._set(*self._watch.lapsed)

    async def renew(self) -> None:
        """Keeps it, until cancelled or lost."""
        while True:
            await asyncio.sleep(RENEWED_EVERY_S)
            before = self._renewed
            try:
                kept = await self._set(*self._marks)
                # If it counted no more for a moment, others may have stored what was compared.
                kept = kept and time.monotonic() - before < LAPSES_S
            except FaultError as error:
                log.warning("the mark of the migration was not renewed: %s", error)
                continue
            if not kept:
                return

    async def release(self) -> None:
        """Lets others have it."""
        if self._marks:
            await self._collections.mark(None, *self._marks)
            self._marks.clear()

    async def _set(self, *instead_of: Mark) -> bool:
        """Sets a new mark; takes it back where somebody else has set one."""
        began = time.monotonic()
        mark = Mark(self._to.key, uuid4().hex)
        self._marks.add(mark)
        await self._collections.mark(mark, *instead_of)
        if (await self._collections.state()).marks - {mark}:
            await self.release()
            return False
        self._marks, self._renewed = {mark}, began
        return True


class Filling:
    """Fills the collection that follows, and has it serve."""

    def __init__(
        self,
        way: Way,
        source: PassageStore,
        follower: Follower,
        embedder: Embedder,
        tracer: Tracer,
        what: str,
    ) -> None:
        """Makes what fills `follower` from `source`, by the vectors of `embedder`.

        `what` is in the collections, as spans and log lines call it.
        """
        self._way = way
        self._source = source
        self._follower = follower
        self._target = follower.store
        self._embedder = embedder
        self._tracer = tracer
        self._what = what
        self._said_at = 0.0
        self._copied = 0

    async def run(self) -> None:
        """Returns when the other collection serves; what fails is tried again."""
        wait_s, longest_s = AGAIN_S
        now, then = self._way.serving.name, self._follower.model.name
        if now == then:
            now, then = (
                f"{now} with the words of a former version",
                f"{then} with those of this one",
            )
        log.info("%s: %s serves, and %s is made ready beside it", self._what, now, then)
        while True:
            try:
                if await self._attempt():
                    return
                await asyncio.sleep(POLL_S)
            except Exception as error:  # whatever it is, what serves goes on
                log.warning(
                    "%s: the migration is tried again: %s",
                    self._what,
                    error,
                    exc_info=not isinstance(error, MotetError),
                )
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, longest_s)

    async def _attempt(self) -> bool:
        """Whether there is nothing to be done any more."""
        if await self._way.follow():
            return True
        if (await self._way.watch.look()).serving != self._way.serving:
            self._way.watch.displaced.set()
            return True
        mandate = Mandate(self._way.collections, self._way.watch, self._follower.model)
        if not await mandate.claim():
            return False
        renewing = asyncio.create_task(mandate.renew(), name=f"renew {self._what}")
        filling = asyncio.create_task(self._fill(mandate), name=f"fill {self._what}")
        try:
            await asyncio.wait([renewing, filling], return_when=asyncio.FIRST_COMPLETED)
            if not filling.done():  # somebody else fills
                return False
            await filling
            await asyncio.wait([renewing], timeout=KEPT_S)
            return True
        finally:
            self._follower.made_up_for = False
            for task in (renewing, filling):
                task.cancel()
            await asyncio.gather(renewing, filling, return_exceptions=True)
            with suppress(FaultError):
                await mandate.release()

    async def _fill(self, mandate: Mandate) -> None:
        self._follower.made_up_for = True
        while True:
            self._follower.behind = False
            if await self._compare() or self._follower.behind:
                continue
            # From here on a write that reaches one collection alone fails.
            self._follower.made_up_for = False
            await self._target.flush()
            if mandate.fresh:
                break
            self._follower.made_up_for = True
        await self._way.collections.serve(self._follower.model)
        log.info(
            "%s: %s serves now, %d embedded anew; %s is kept: remove it when you do not go back",
            self._what,
            self._follower.model.name,
            self._copied,
            self._way.collections.where(self._way.serving),
        )
        await self._way.watch.look()
        await self._way.follow()

    async def _compare(self) -> int:
        """Brings the one to what the other has, and returns how much was different."""
        there = await self._versions()
        total, different = 0, 0
        after: str | None = None
        while True:
            begins = after
            page, after = await self._source.export(PAGE, begins, passages=False)
            names = {_key(each): each for each in page}
            there_before = {key: there.pop(key, None) for key in names}
            changed = {
                key
                for key, each in names.items()
                if (before := there_before[key]) is None or before[0] != _version(each.document)
            }
            total += len(page)
            if changed:
                await self._copy_page(begins, len(page), changed, there_before)
                # Also what was not met again, since a new document has moved it out of the page.
                different += len(changed)
            self._say(total)
            if after is None:
                break
        for (tenant, source), (_, owner) in there.items():
            await self._remove(tenant, source, owner)
            different += 1
        return different

    async def _versions(self) -> dict[Key, tuple[bytes, Principal]]:
        """Of what the follower has, which version, and who may replace it."""
        found: dict[Key, tuple[bytes, Principal]] = {}
        after: str | None = None
        while True:
            page, after = await self._target.export(PAGE, after, passages=False)
            found.update((_key(each), (_version(each.document), each.owner)) for each in page)
            if after is None:
                return found

    async def _copy_page(
        self,
        after: str | None,
        count: int,
        changed: set[Key],
        there: dict[Key, tuple[bytes, Principal] | None],
    ) -> None:
        """Copies of a page what has changed, one document after another."""
        copied = 0
        with self._tracer.span(names.migrate(self._what), SpanKind.INTERNAL, {}) as span:
            for _ in range(count):
                some, after = await self._source.export(1, after)
                for each in some:
                    if _key(each) in changed:
                        before = there.get(_key(each))
                        copied += await self._copy(each, None if before is None else before[1])
                if after is None:
                    break
            span.set_attribute(names.DOCUMENTS, copied)

    async def _copy(self, stored: StoredDocument, owner: Principal | None) -> int:
        """Whether a document was brought to what it is; not if it has changed since it was read."""
        tenant, source = _key(stored)
        if (await self._target.find(stored.owner, [source])).get(source) == stored.document:
            return 0
        passages = [*stored.passages]
        if not self._way.serving.compares(self._follower.model):
            passages = await embedded_anew(passages, self._embed)
        async with self._follower.turn(tenant, source):
            if (await self._source.find(stored.owner, [source])).get(source) != stored.document:
                return 1
            if (await self._target.find(stored.owner, [source])).get(source) == stored.document:
                return 0
            try:
                await self._target.put(stored.owner, stored.document, passages)
            except HiddenError:  # its labels were others then
                if owner is not None:
                    await self._target.delete(owner, [source])
                return 1
        self._copied += 1
        return 1

    async def _remove(self, tenant: str, source: str, owner: Principal) -> None:
        """Removes what is not there any more."""
        async with self._follower.turn(tenant, source):
            if not await self._source.find(owner, [source]):
                await self._target.delete(owner, [source])

    async def _embed(self, texts: Sequence[str]) -> Vector:
        parts: list[Vector] = []
        for first in range(0, len(texts), BATCH):
            await self._way.give_way()
            parts.append(await self._embedder.embed(texts[first : first + BATCH]))
        return np.concatenate(parts)

    def _say(self, looked_at: int) -> None:
        if time.monotonic() - self._said_at >= SAID_EVERY_S:
            self._said_at = time.monotonic()
            log.info(
                "%s: %d looked at, %d embedded by %s",
                self._what,
                looked_at,
                self._copied,
                self._follower.model.name,
            )


def _key(stored: StoredDocument) -> Key:
    return stored.tenant, stored.document.source


def _version(document: DocumentInfo) -> bytes:
    """Tells versions of a document apart."""
    return hashlib.sha256(document.model_dump_json().encode()).digest()[:16]
