"""Migration from one embedding model to another, while the retriever serves.

Where the collection that serves was made with another model than the settings name, it goes on
serving, with its own model. The one of the new model is filled beside it: the words that are stored
are embedded anew, and nothing is fetched or parsed. Then the pointer is moved. The same is done
where words were counted in another way (`motet_retriever.stores.bm25`), with the vectors that are
there.

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
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from motet.errors import MotetError, SetupError
from motet.models import Embedder
from motet.telemetry import Tracer
from motet_retriever.filling import Filling, Way
from motet_retriever.hierarchy import embedded_anew
from motet_retriever.stores.collections import Collections, EmbeddingModel
from motet_retriever.stores.mirrored import Follower, MirroredStore, Watch
from motet_retriever.stores.port import IndexedPassage, PassageStore

__all__ = ["LOADED", "Index", "Indexes"]

GIVES_WAY_S = 0.5
"""Seconds for which a batch waits at most until no call is under way."""
FOLLOWS_WITHIN_S = 1.0
"""Seconds for which a call may begin with the former index after the switch."""

LOADED = "The model is loaded before the first question comes."


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
            alike = serving is not None and serving.compares(own)
            if serving is not None and serving != own and not alike:
                model = await _loaded(former, serving, own, collections)
            store = await stack.enter_async_context(await collections.open(own))
            following = Index(MirroredStore(own, store, watch), embedder)
            indexes = cls(following, watch)
            if serving is None:
                await collections.serve(own)
            elif serving != own:
                old = await stack.enter_async_context(await collections.open(serving))

                async def reembed(passages: Sequence[IndexedPassage]) -> list[IndexedPassage]:
                    if alike:  # only the words are counted in another way
                        return [*passages]
                    return await embedded_anew(passages, embedder.embed)

                follower = Follower(own, store, reembed)
                now = Index(MirroredStore(serving, old, watch, follower), model)
                indexes._now, indexes._following = now, following
                way = Way(collections, watch, serving, indexes.follow, indexes.give_way)
                filling = Filling(way, old, follower, embedder, tracer, what)
                indexes._task = asyncio.create_task(indexes._fill(now, filling), name=what)
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
            serving = (await self._watch.look(FOLLOWS_WITHIN_S)).serving
            model = following.embedder
            if serving == EmbeddingModel(model.name, model.dimension):
                self._now, self._following = following, None
        return self._following is None

    async def _fill(self, index: Index, filling: Filling) -> None:
        async with self.used(index):
            await filling.run()

    async def give_way(self) -> None:
        """Waits until no call is under way, for a while at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(GIVES_WAY_S):
                await self._idle.wait()

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
