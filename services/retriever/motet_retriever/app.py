"""The retriever as an agent: what it opens when it starts, and closes when it stops."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated

from faststream import Context
from faststream.annotations import ContextRepo

from motet.agent import Agent
from motet.bus import Bus
from motet.errors import SetupError
from motet.models import ChatModel, Embedder, chat_model
from motet.models import embedder as embedder_of
from motet.settings import Settings, load_settings
from motet_retriever.ingestion import Ingestion
from motet_retriever.memory import Memories, summarised_by
from motet_retriever.search import Search
from motet_retriever.settings import RetrieverSettings
from motet_retriever.skills import declare
from motet_retriever.stores.port import PassageStore
from motet_retriever.strategies.retrieval import Resources

if TYPE_CHECKING:
    from motet_retriever.stores.catalogue_store import MakeIndex

__all__ = ["agent", "chat_of", "open_store"]

log = logging.getLogger(__name__)


MEMORY = "-memory"
"""Ends the name of the store of memories."""


async def open_store(
    own: RetrieverSettings, settings: Settings, embedder: Embedder, part: str = ""
) -> PassageStore:
    """The store that the settings mean: a server by its address, or a folder of the service's own.

    `part` names another one beside that of documents.

    Raises:
        SetupError: It cannot be used; the sentence says what to do.
    """
    model, dimension = embedder.name, embedder.dimension
    path = own.store_path(settings)
    path = path.with_name(path.name + part)
    collection = (own.collection or settings.namespace) + part
    if own.store != "qdrant":
        from motet_retriever.stores.catalogue_store import CatalogueStore

        index = _index(own, collection)
        return await CatalogueStore.open(path, index, model=model, dimension=dimension)
    if own.url is None:
        from motet_retriever.stores.qdrant_edge import QdrantEdgeStore

        return await QdrantEdgeStore.open(path, model=model, dimension=dimension)
    from motet_retriever.stores.qdrant_server import QdrantServerStore

    return await QdrantServerStore.open(
        own.url,
        api_key=own.key(),
        collection=collection,
        model=model,
        dimension=dimension,
    )


def _index(own: RetrieverSettings, collection: str) -> MakeIndex:
    """What opens the index that the settings mean."""
    match own.store:
        case "chroma":
            from motet_retriever.stores.chroma_index import ChromaIndex

            return partial(ChromaIndex, url=own.url, key=own.key(), collection=collection)
        case "milvus":
            from motet_retriever.stores.milvus_index import MilvusIndex

            return partial(MilvusIndex, url=own.url, key=own.key(), collection=collection)
        case _:
            from motet_retriever.stores.faiss_index import FaissIndex

            if own.url is not None:
                raise SetupError(
                    "MOTET_RETRIEVER_STORE=faiss works in the process and has no server: unset "
                    "MOTET_RETRIEVER_URL, or name the store of that server."
                )
            return FaissIndex


def chat_of(own: RetrieverSettings, settings: Settings) -> ChatModel | None:
    """The chat model, where the settings have it asked.

    Raises:
        SetupError: It cannot be, and MOTET_RETRIEVER_MODEL is `on`; `auto` does without it then.
    """
    try:
        return chat_model(settings) if own.asks_model(settings) else None
    except SetupError as error:
        if own.model == "on":
            raise
        log.warning("questions are not reworded by a model: %s", error)
        return None


@asynccontextmanager
async def resources(
    context: ContextRepo,
    settings: Annotated[Settings, Context()],
    bus: Annotated[Bus, Context()],
) -> AsyncGenerator[None]:
    """Opens the models and the store, so that the agent is announced when it can answer.

    A test may put an `embedder` and a `model` into the context beforehand.
    """
    own = load_settings(RetrieverSettings)
    embedder = context.get("embedder") or embedder_of(settings)
    async with AsyncExitStack() as stack:
        await embedder.embed(["The model is loaded before the first question comes."])
        store = await stack.enter_async_context(await open_store(own, settings, embedder))
        ingestion = Ingestion(
            store,
            embedder,
            own.cutting(),
            max_document_bytes=own.max_document_bytes,
            max_file_bytes=own.max_file_bytes,
            bounds=own.bounds(),
        )
        stack.push_async_callback(ingestion.close)
        model = context.get("model")
        if model is None and (model := chat_of(own, settings)) is not None:
            stack.push_async_callback(model.close)
        rereading = own.rereading(model)
        for reranker in rereading.rerankers.values():
            stack.push_async_callback(reranker.close)
        shared = Resources(
            store,
            embedder,
            own.fusing(),
            bus.tracer,
            candidates=own.candidates,
            model=model,
            record_content=settings.record_content,
        )
        search = Search(
            shared,
            strategy=own.strategy,
            rereading=rereading,
            expand_characters=own.expand_characters,
        )
        memory = await stack.enter_async_context(await open_store(own, settings, embedder, MEMORY))
        context.set_global("memories", Memories(memory, embedder, own.fusing()))
        context.set_global("summarise", None if model is None else summarised_by(model))
        context.set_global("store", store)
        context.set_global("ingestion", ingestion)
        context.set_global("search", search)
        yield


agent = Agent(
    "retriever",
    "Finds passages in the documents that were ingested.",
    lifespan=resources,
)
declare(agent)
