"""Migration from one embedding model to another, while the retriever serves.

Where the collection that serves was made with another model than the settings name, it goes on
serving, with its own model. The one of the new model is filled beside it: the words that are stored
are embedded anew, and nothing is fetched or parsed. Then the pointer is moved.

Invariants:

- A call takes one `Index`, a store and the model of its vectors, and has it to its end: no question
  meets the vectors of another model.
- The pointer moves only after a whole comparison has found nothing to do, and every write that
  returned since that began is in both collections (`motet_retriever.stores.mirrored`).
- Documents are compared by all that is known of them, so that filling may end anywhere and be begun
  anew, costs little where nothing has changed, and brings a collection that has not served for a
  while, as after a change back, to what is so now.
- One retriever fills: it holds a mark, which it renews, and which another takes over once it has
  not been renewed for `LAPSES_S`. It gives way to calls.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from uuid import uuid4

import numpy as np
from opentelemetry.trace import SpanKind

from motet.errors import FaultError, MotetError, SetupError
from motet.messages import DocumentInfo, Principal
from motet.models import Embedder
from motet.telemetry import Tracer, names
from motet_retriever.hierarchy import embedded_anew
from motet_retriever.stores.collections import Collections, EmbeddingModel, Mark
from motet_retriever.stores.mirrored import Follower, MirroredStore, Watch
from motet_retriever.stores.port import (
    HiddenError,
    IndexedPassage,
    PassageStore,
    StoredDocument,
    Vector,
)

__all__ = ["LOADED", "Index", "Indexes"]

log = logging.getLogger(__name__)

BATCH = 16
"""Passages that are embedded before calls get their turn."""
GIVES_WAY_S = 0.5
"""Seconds for which a batch waits at most until no call is under way."""
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

LOADED = "The model is loaded before the first question comes."

Key = tuple[str, str]
"""Tenant and source."""


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """A store, and the model that made its vectors."""

    store: PassageStore
    embedder: Embedder


class Indexes:
    """Which index calls are to take."""

    @classmethod
    async def open(
        cls,
        collections: Collections,
        embedder: Embedder,
        former: Callable[[str], Embedder],
        tracer: Tracer,
        what: str = "documents",
    ) -> Indexes:
        """Opens the collection that serves, and begins to fill another if need be.

        Args:
            collections: Where they are; closed by `close`.
            embedder: The model of the settings, which has embedded something.
            former: Makes another model, of its name.
            tracer: For spans.
            what: What is in the collections, as spans and log lines call it.

        Raises:
            SetupError: A collection cannot be used, or the model of the one that serves not be
                had.
        """
        own = EmbeddingModel(embedder.name, embedder.dimension)
        watch = Watch(collections)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(collections.close)
            serving = (await collections.state()).serving
            model = embedder
            if serving is not None and serving != own:
                model = await _loaded(former, serving, own, collections)
            store = await stack.enter_async_context(await collections.open(own))
            following = Index(MirroredStore(own, store, watch), embedder)
            indexes = cls(following, watch)
            if serving is None:
                await collections.serve(own)
            elif serving != own:
                old = await stack.enter_async_context(await collections.open(serving))

                async def reembed(passages: Sequence[IndexedPassage]) -> list[IndexedPassage]:
                    return await embedded_anew(passages, embedder.embed)

                follower = Follower(own, store, reembed)
                now = Index(MirroredStore(serving, old, watch, follower), model)
                indexes._now, indexes._following = now, following
                filling = _Filling(collections, watch, serving, old, follower, indexes)
                filling.embedder, filling.tracer, filling.what = embedder, tracer, what
                indexes._task = asyncio.create_task(filling.run(now), name=f"migrate {what}")
            indexes._open = stack.pop_all()
        return indexes

    def __init__(self, index: Index, watch: Watch) -> None:
        """Use `open`."""
        self._now = index
        self._following: Index | None = None
        self._watch = watch
        self._users: Counter[Index] = Counter()
        self._calls = 0
        self._task: asyncio.Task[None] | None = None
        self._closing: list[asyncio.Task[None]] = []
        self._open = AsyncExitStack()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def now(self) -> Index:
        """What a call would take now; it may be closed any time later."""
        return self._now

    @property
    def displaced(self) -> asyncio.Event:
        """Set once a collection serves that is not this process', which is to stop then."""
        return self._watch.displaced

    @asynccontextmanager
    async def taken(self) -> AsyncGenerator[Index]:
        """What a call works with, from its beginning to its end."""
        await self.follow()
        async with self.used(self._now) as index:
            self._calls += 1
            self._idle.clear()
            try:
                yield index
            finally:
                self._calls -= 1
                if not self._calls:
                    self._idle.set()

    @asynccontextmanager
    async def used(self, index: Index) -> AsyncGenerator[Index]:
        """Keeps an index open, which is closed after its last use once another serves."""
        self._users[index] += 1
        try:
            yield index
        finally:
            self._users[index] -= 1
            if index is not self._now and not self._users[index]:
                # Not waited for by the call, nor cancelled with it.
                self._closing.append(asyncio.create_task(index.store.close(), name="close"))

    async def follow(self) -> bool:
        """Goes over to the new index once it serves; whether there is none to go over to."""
        following = self._following
        if following is not None:
            serving = (await self._watch.look(POLL_S)).serving
            model = following.embedder
            if serving == EmbeddingModel(model.name, model.dimension):
                self._now, self._following = following, None
        return self._following is None

    async def give_way(self) -> None:
        """Waits until no call is under way, for a while at most."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), GIVES_WAY_S)

    async def close(self) -> None:
        """Waits for nothing: a migration goes on when it is next opened."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.gather(*self._closing)
        await self._open.aclose()

    async def __aenter__(self) -> Indexes:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def _loaded(
    former: Callable[[str], Embedder],
    serving: EmbeddingModel,
    own: EmbeddingModel,
    collections: Collections,
) -> Embedder:
    reason = ""
    try:
        model = former(serving.name)
        await model.embed([LOADED])
    except MotetError as error:
        reason = str(error)
    else:
        if model.dimension == serving.dimension:
            return model
        reason = f"Its vectors have {model.dimension} numbers now."
    raise SetupError(
        f"{collections.where(serving)} was made with {serving.name} ({serving.dimension} numbers), "
        f"and is to serve until what is in it has been embedded by {own.name}; but that model "
        f"cannot be had. {reason} Provide it (its weights, its key) until then, set "
        "MOTET_EMBEDDING_MODEL back, or start with an empty store: another "
        "MOTET_RETRIEVER_STORE_DIR or MOTET_RETRIEVER_COLLECTION, and ingest the documents again."
    )


class _Mandate:
    """The right to fill, which one retriever has at a time."""

    def __init__(self, collections: Collections, watch: Watch, to: EmbeddingModel) -> None:
        self._collections = collections
        self._watch = watch
        self._to = to
        self._mark: Mark | None = None
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
            try:
                kept = self._mark is not None and await self._set(self._mark)
            except FaultError as error:
                log.warning("the mark of the migration was not renewed: %s", error)
                continue
            if not kept:
                return

    async def release(self) -> None:
        """Lets others have it."""
        mark, self._mark = self._mark, None
        if mark is not None:
            await self._collections.mark(None, mark)

    async def _set(self, *instead_of: Mark) -> bool:
        """Sets a new mark; takes it back where somebody else has set one."""
        began = time.monotonic()
        mark = Mark(self._to.key, uuid4().hex)
        await self._collections.mark(mark, *instead_of)
        if (await self._collections.state()).marks - {mark}:
            self._mark = None
            await self._collections.mark(None, mark)
            return False
        self._mark, self._renewed = mark, began
        return True


class _Filling:
    """Fills the collection that follows, and has it serve."""

    embedder: Embedder
    tracer: Tracer
    what: str

    def __init__(
        self,
        collections: Collections,
        watch: Watch,
        serving: EmbeddingModel,
        source: PassageStore,
        follower: Follower,
        indexes: Indexes,
    ) -> None:
        self._collections = collections
        self._watch = watch
        self._serving = serving
        self._source = source
        self._follower = follower
        self._target = follower.store
        self._indexes = indexes
        self._said_at = 0.0
        self._copied = 0

    async def run(self, index: Index) -> None:
        """Returns when the other collection serves; what fails is tried again."""
        wait_s, longest_s = AGAIN_S
        now, then = self._serving.name, self._follower.model.name
        log.info("%s: %s serves, and %s is made ready beside it", self.what, now, then)
        async with self._indexes.used(index):
            while True:
                try:
                    if await self._attempt():
                        return
                    await asyncio.sleep(POLL_S)
                except MotetError as error:
                    log.warning("%s: the migration is tried again: %s", self.what, error)
                    await asyncio.sleep(wait_s)
                    wait_s = min(wait_s * 2, longest_s)

    async def _attempt(self) -> bool:
        """Whether there is nothing to be done any more."""
        if await self._indexes.follow():
            return True
        if (await self._watch.look()).serving != self._serving:
            self._watch.displaced.set()
            return True
        mandate = _Mandate(self._collections, self._watch, self._follower.model)
        if not await mandate.claim():
            return False
        renewing = asyncio.create_task(mandate.renew(), name=f"renew {self.what}")
        filling = asyncio.create_task(self._fill(mandate), name=f"fill {self.what}")
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

    async def _fill(self, mandate: _Mandate) -> None:
        self._follower.made_up_for = True
        while True:
            self._follower.behind = False
            if await self._compare() or self._follower.behind:
                continue
            # From here on a write that reaches one collection alone fails.
            self._follower.made_up_for = False
            if mandate.fresh:
                break
            self._follower.made_up_for = True
        await self._target.flush()
        await self._collections.serve(self._follower.model)
        log.info(
            "%s: %s serves now, %d embedded anew; %s is kept: remove it when you do not go back",
            self.what,
            self._follower.model.name,
            self._copied,
            self._collections.where(self._serving),
        )
        await self._watch.look()
        await self._indexes.follow()

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
                different += await self._copy_page(begins, len(page), changed, there_before)
            self._say(total)
            if after is None:
                break
        for (tenant, source), (_, owner) in there.items():
            different += await self._remove(tenant, source, owner)
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
    ) -> int:
        """Copies of a page what has changed, one document after another."""
        copied = 0
        with self.tracer.span(names.migrate(self.what), SpanKind.INTERNAL, {}) as span:
            for _ in range(count):
                some, after = await self._source.export(1, after)
                for each in some:
                    if _key(each) in changed:
                        before = there.get(_key(each))
                        copied += await self._copy(each, None if before is None else before[1])
                if after is None:
                    break
            span.set_attribute(names.DOCUMENTS, copied)
        return copied

    async def _copy(self, stored: StoredDocument, owner: Principal | None) -> int:
        """Whether a document was brought to what it is; not if it has changed since it was read."""
        tenant, source = _key(stored)
        if (await self._target.find(stored.owner, [source])).get(source) == stored.document:
            return 0
        passages = await embedded_anew(stored.passages, self._embed)
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

    async def _remove(self, tenant: str, source: str, owner: Principal) -> int:
        """Removes what is not there any more."""
        async with self._follower.turn(tenant, source):
            if await self._source.find(owner, [source]):
                return 1
            return len(await self._target.delete(owner, [source]))

    async def _embed(self, texts: Sequence[str]) -> Vector:
        parts: list[Vector] = []
        for first in range(0, len(texts), BATCH):
            await self._indexes.give_way()
            parts.append(await self.embedder.embed(texts[first : first + BATCH]))
        return np.concatenate(parts)

    def _say(self, looked_at: int) -> None:
        if time.monotonic() - self._said_at >= SAID_EVERY_S:
            self._said_at = time.monotonic()
            log.info(
                "%s: %d looked at, %d embedded by %s",
                self.what,
                looked_at,
                self._copied,
                self._follower.model.name,
            )


def _key(stored: StoredDocument) -> Key:
    return stored.tenant, stored.document.source


def _version(document: DocumentInfo) -> bytes:
    """Tells versions of a document apart."""
    return hashlib.sha256(document.model_dump_json().encode()).digest()[:16]
