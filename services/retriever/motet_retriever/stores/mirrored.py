"""The store that a retriever works with: one collection, or two of which one follows the other.

What is read is read from the collection that serves. What is written is written to it, then to the
one that follows, embedded by that one's model, before the call returns.

Invariants:

- Writes of a document by this process come one after another, in both collections in one order.
- A write that returned is in each collection that may serve next. Others may migrate to one that
  this process does not write to: it writes nothing then. Whether they do is asked before a write
  and after it, so that a write which overlaps their beginning does not count, and is made again.
- Where the collection that serves is neither of this process', nothing is read or written any more.
- What cannot be written to the follower is made up for by who fills it, if that is this process and
  the follower does not serve yet; otherwise the write fails, and is made again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from weakref import WeakValueDictionary

from typing_extensions import override

from motet.errors import FaultError
from motet.messages import DocumentInfo, FaultType, Filter, Passage, Principal
from motet_retriever.stores.collections import Collections, EmbeddingModel, Mark, State
from motet_retriever.stores.port import (
    Branch,
    Found,
    HiddenError,
    IndexedPassage,
    PassageStore,
    Query,
    StoredDocument,
)

__all__ = ["LAPSES_S", "Follower", "MirroredStore", "Watch"]

LOOK_EVERY_S = 1.0
"""Seconds for which a search may not notice that another collection serves."""
LAPSES_S = 30.0
"""Seconds after which a mark that has not been renewed counts no more."""

Reembed = Callable[[Sequence[IndexedPassage]], Awaitable[list[IndexedPassage]]]
"""Gives passages another model's vectors."""


class Watch:
    """Looks at which collection serves, and who migrates."""

    def __init__(self, collections: Collections) -> None:
        self._collections = collections
        self._state: State | None = None
        self._at = 0.0
        self._seen: dict[str, float] = {}
        """When each mark was seen first, by its token."""
        self.lapsed: set[Mark] = set()
        """Those that had lapsed when it was looked last."""
        self.displaced = asyncio.Event()
        """Set once a collection serves that is not this process'."""

    async def look(self, not_older_than_s: float = 0.0) -> State:
        """What was so at most so many seconds ago, without the marks that have lapsed."""
        began = time.monotonic()
        if self._state is None or began - self._at > not_older_than_s:
            state = await self._collections.state()
            now = time.monotonic()
            self._seen = {each.token: self._seen.get(each.token, now) for each in state.marks}
            self._state, self._at = state, began
        marks = self._state.marks
        self.lapsed = {each for each in marks if began - self._seen[each.token] >= LAPSES_S}
        return State(self._state.serving, marks - self.lapsed)


class Follower:
    """A collection that is to serve later."""

    def __init__(self, model: EmbeddingModel, store: PassageStore, reembed: Reembed) -> None:
        self.model = model
        self.store = store
        self.reembed = reembed
        self.made_up_for = False
        """Whether this process fills it, and so makes up for what could not be written."""
        self.behind = False
        """Whether there is something to be made up for."""
        self.turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    def turn(self, tenant: str, source: str) -> asyncio.Lock:
        """Whose holder alone writes the document, in this process."""
        return self.turns.setdefault((tenant, source), asyncio.Lock())

    async def follow(self, write: Callable[[], Awaitable[object]]) -> None:
        """Makes a write that the serving collection has had.

        Raises:
            FaultError: It failed, and nobody will make up for it.
        """
        try:
            await write()
        except (FaultError, HiddenError) as error:
            # Hidden from who could write the document is a version that nobody has brought to
            # what it is now.
            if self.made_up_for:
                self.behind = True
            elif isinstance(error, FaultError):
                raise
            else:
                raise _unavailable("The document is being embedded anew.") from error


class MirroredStore(PassageStore):
    """A collection, with one that may follow it."""

    def __init__(
        self,
        model: EmbeddingModel,
        store: PassageStore,
        watch: Watch,
        follower: Follower | None = None,
    ) -> None:
        """`close` closes `store`, and not the follower's."""
        self._model = model
        self._store = store
        self._watch = watch
        self._follower = follower
        self._keys = {model.key, *([] if follower is None else [follower.model.key])}

    @override
    async def put(
        self, principal: Principal, document: DocumentInfo, passages: Sequence[IndexedPassage]
    ) -> None:
        async def follow(follower: Follower) -> None:
            anew = await follower.reembed(passages)
            await follower.store.put(principal, document, anew)

        async with self._writing(principal, [document.source]):
            await self._store.put(principal, document, passages)
            await self._follow(follow)

    @override
    async def fail(self, principal: Principal, document: DocumentInfo) -> None:
        async with self._writing(principal, [document.source]):
            await self._store.fail(principal, document)
            await self._follow(lambda follower: follower.store.fail(principal, document))

    @override
    async def delete(self, principal: Principal, sources: Sequence[str]) -> dict[str, int]:
        async with self._writing(principal, sources):
            removed = await self._store.delete(principal, sources)
            await self._follow(lambda follower: follower.store.delete(principal, sources))
        return removed

    @override
    async def find(self, principal: Principal, sources: Sequence[str]) -> dict[str, DocumentInfo]:
        await self._check(0.0)  # what is found decides what is written
        return await self._store.find(principal, sources)

    @override
    async def page(
        self, principal: Principal, limit: int, after: str | None
    ) -> tuple[list[DocumentInfo], str | None]:
        await self._check()
        return await self._store.page(principal, limit, after)

    @override
    async def search(self, query: Query) -> Mapping[Branch, Sequence[Found]]:
        await self._check()
        return await self._store.search(query)

    @override
    async def read(
        self, principal: Principal, source: str, *, where: Filter | None = None, limit: int = 1000
    ) -> list[Passage]:
        await self._check()
        return await self._store.read(principal, source, where=where, limit=limit)

    @override
    async def newest(self, principal: Principal, where: Filter | None, limit: int) -> list[Passage]:
        await self._check()
        return await self._store.newest(principal, where, limit)

    @override
    async def get(self, principal: Principal, ids: Sequence[str]) -> dict[str, Passage]:
        await self._check()
        return await self._store.get(principal, ids)

    @override
    async def export(
        self, limit: int, after: str | None, *, passages: bool = True
    ) -> tuple[list[StoredDocument], str | None]:
        return await self._store.export(limit, after, passages=passages)

    @override
    async def flush(self) -> None:
        await self._store.flush()
        await self._follow(lambda follower: follower.store.flush())

    @override
    async def close(self) -> None:
        await self._store.close()

    async def _check(self, not_older_than_s: float = LOOK_EVERY_S) -> State:
        """What is so.

        Raises:
            FaultError: A collection serves that is not this process'.
        """
        state = await self._watch.look(not_older_than_s)
        if state.serving is None or state.serving.key not in self._keys:
            self._watch.displaced.set()
            raise _unavailable("Another embedding model has taken over; this retriever is to stop.")
        return state

    async def _check_write(self) -> None:
        state = await self._check(0.0)
        if any(mark.to not in self._keys for mark in state.marks):
            raise _unavailable(
                "Retrievers with another embedding model are taking over; they store documents."
            )

    @asynccontextmanager
    async def _writing(self, principal: Principal, sources: Sequence[str]) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            if self._follower is not None:
                for source in sorted(set(sources)):
                    await stack.enter_async_context(self._follower.turn(principal.tenant, source))
            await self._check_write()
            try:
                yield
            except HiddenError:
                raise
            except BaseException:
                if self._follower is not None:  # one may have what the other has not
                    self._follower.behind = True
                raise
            await self._check_write()

    async def _follow(self, write: Callable[[Follower], Awaitable[object]]) -> None:
        follower = self._follower
        if follower is not None:
            await follower.follow(lambda: write(follower))


def _unavailable(what: str) -> FaultError:
    return FaultError.of(FaultType.UNAVAILABLE, what, retryable=True)
