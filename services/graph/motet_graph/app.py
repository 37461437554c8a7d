"""The graph as an agent: what it opens when it starts, and closes when it stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Annotated

from faststream import Context
from faststream.annotations import ContextRepo

from motet.agent import Agent
from motet.bus import Bus
from motet.models import ChatModel, optional_chat_model
from motet.models import embedder as embedder_of
from motet.settings import Settings, load_settings
from motet_graph.arcadedb_server import DATABASE, embedded_server
from motet_graph.atlas import Atlas
from motet_graph.extraction.model import ModelExtractor
from motet_graph.extraction.offline import OfflineExtractor
from motet_graph.extraction.port import Extractor
from motet_graph.ingestion import Ingestion
from motet_graph.renewal import Renewal
from motet_graph.search import Search
from motet_graph.settings import GraphSettings
from motet_graph.skills import declare
from motet_graph.stores.bolt import BoltStore

__all__ = ["agent", "open_store", "reader_of"]


def reader_of(own: GraphSettings, settings: Settings) -> ChatModel | None:
    """The chat model, where the settings have it read passages.

    Raises:
        SetupError: It cannot be had, and MOTET_GRAPH_EXTRACTION is `model`; `auto` reads passages
            by spelling then.
    """
    if not own.reads_by_model(settings):
        return None
    without = "passages are read by spelling, not by a model"
    return optional_chat_model(settings, needed=own.extraction == "model", without=without)


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
        given = context.get("model")
        if given is not None and own.reads_by_model(settings):
            extractor = ModelExtractor(given)
        elif given is None and (model := reader_of(own, settings)) is not None:
            stack.push_async_callback(model.close)
            extractor = ModelExtractor(model)
        store = context.get("store") or await stack.enter_async_context(open_store(own, settings))
        atlas = Atlas(store, embedder.name, refresh_s=own.refresh_s, maps=own.maps)
        search = Search(
            atlas, embedder, own.weights(), bus.tracer, record_content=settings.record_content
        )
        renewal = Renewal(store, embedder, bus.tracer)
        renewing = asyncio.create_task(renewal.run(), name="renew the graph")
        stack.push_async_callback(_ended, renewing)
        context.set_global("store", store)
        context.set_global("atlas", atlas)
        context.set_global("ingestion", Ingestion(store, embedder, extractor))
        context.set_global("search", search)
        yield


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


agent = Agent(
    "graph",
    "Knows who and what the ingested documents speak of, and how they are connected.",
    lifespan=resources,
)
declare(agent)
