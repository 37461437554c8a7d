"""The graph as an agent: what it opens when it starts, and closes when it stops."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated

from faststream import Context
from faststream.annotations import ContextRepo

from motet.agent import Agent
from motet.bus import Bus
from motet.models import chat_model
from motet.models import embedder as embedder_of
from motet.settings import Settings, load_settings
from motet_graph.arcadedb_server import DATABASE, embedded_server
from motet_graph.atlas import Atlas
from motet_graph.extraction.model import ModelExtractor
from motet_graph.extraction.offline import OfflineExtractor
from motet_graph.extraction.port import Extractor
from motet_graph.ingestion import Ingestion
from motet_graph.search import Search
from motet_graph.settings import GraphSettings
from motet_graph.skills import declare
from motet_graph.stores.bolt import BoltStore

__all__ = ["agent", "open_store"]


@asynccontextmanager
async def open_store(own: GraphSettings, settings: Settings) -> AsyncGenerator[BoltStore]:
    """The store that the settings mean: a server by its address, or one of the service's own.

    Raises:
        SetupError: It cannot be used; the sentence says what to do.
    """
    async with AsyncExitStack() as stack:
        if own.url is None:
            server = await stack.enter_async_context(
                embedded_server(own.folder(settings), heap_mb=own.heap_mb)
            )
            store = await BoltStore.open(
                server.url, server.writer, reader=server.reader, database=DATABASE
            )
        else:
            store = await BoltStore.open(
                own.url, own.writer(), reader=own.reader(), database=own.database
            )
        stack.push_async_callback(store.close)
        yield store


@asynccontextmanager
async def resources(
    context: ContextRepo,
    settings: Annotated[Settings, Context()],
    bus: Annotated[Bus, Context()],
) -> AsyncGenerator[None]:
    """Opens the store, so that the agent is announced when it can answer.

    A test may put an `embedder`, a `model` or a `store` into the context beforehand.
    """
    own = load_settings(GraphSettings)
    embedder = context.get("embedder") or embedder_of(settings)
    async with AsyncExitStack() as stack:
        extractor: Extractor = OfflineExtractor()
        model = context.get("model")
        if own.reads_by_model(settings):
            if model is None:
                model = chat_model(settings)
                stack.push_async_callback(model.close)
            extractor = ModelExtractor(model)
        store = context.get("store") or await stack.enter_async_context(open_store(own, settings))
        atlas = Atlas(store, refresh_s=own.refresh_s, maps=own.maps)
        search = Search(
            atlas, embedder, own.weights(), bus.tracer, record_content=settings.record_content
        )
        context.set_global("store", store)
        context.set_global("atlas", atlas)
        context.set_global("ingestion", Ingestion(store, embedder, extractor))
        context.set_global("search", search)
        yield


agent = Agent(
    "graph",
    "Knows who and what the ingested documents speak of, and how they are connected.",
    lifespan=resources,
)
declare(agent)
