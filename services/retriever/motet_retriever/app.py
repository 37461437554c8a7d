"""The retriever as an agent: what it opens when it starts, and closes when it stops."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated

from faststream import Context
from faststream.annotations import ContextRepo

from motet.agent import Agent
from motet.bus import Bus, TaskBook
from motet.errors import MotetError, SetupError
from motet.models import ChatModel, Embedder, optional_chat_model
from motet.models import embedder as embedder_of
from motet.settings import Settings, load_settings
from motet_retriever.ingestion import Ingestion
from motet_retriever.memory import summarised_by
from motet_retriever.migration import LOADED, Indexes
from motet_retriever.search import Search
from motet_retriever.settings import RetrieverSettings
from motet_retriever.skills import declare
from motet_retriever.stores.collections import Collections
from motet_retriever.strategies.retrieval import Resources
from motet_retriever.task_documents import TaskDocuments

if TYPE_CHECKING:
    from motet_retriever.stores.catalogue_store import MakeIndex

__all__ = ["agent", "chat_of", "collections_of"]

log = logging.getLogger(__name__)


MEMORY = "-memory"
"""Ends the name of the store of memories."""


async def collections_of(own: RetrieverSettings, settings: Settings, part: str = "") -> Collections:
    """Where the settings mean passages to be: on a server, or in a folder of the service's own.

    `part` names another place beside that of documents.

    Raises:
        SetupError: It cannot be used; the sentence says what to do.
    """
    path = own.store_path(settings)
    path = path.with_name(path.name + part)
    name = (own.collection or settings.namespace) + part
    if own.store != "qdrant":
        from motet_retriever.stores.catalogue_store import catalogue_collections

        return catalogue_collections(path, _index(own, name))
    if own.url is None:
        from motet_retriever.stores.qdrant_edge import edge_collections

        return edge_collections(path)
    from motet_retriever.stores.qdrant_collections import QdrantCollections

    return await QdrantCollections.at(own.url, api_key=own.key(), name=name)


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
    if not own.asks_model(settings):
        return None
    without = "questions are not reworded by a model"
    return optional_chat_model(settings, needed=own.model == "on", without=without)


@asynccontextmanager
async def resources(
    context: ContextRepo,
    settings: Annotated[Settings, Context()],
    bus: Annotated[Bus, Context()],
) -> AsyncGenerator[None]:
    """Opens the models and the store, so that the agent is announced when it can answer.

    A test may put an `embedder`, a `model`, and `embedders` by name into the context beforehand.
    """
    own = load_settings(RetrieverSettings)
    embedder = context.get("embedder") or embedder_of(settings)

    def former(name: str) -> Embedder:
        known = context.get("embedders") or {}
        return known.get(name) or embedder_of(settings.model_copy(update={"embedding_model": name}))

    async def opened(part: str, what: str) -> Indexes:
        collections = await collections_of(own, settings, part)
        return await Indexes.open(collections, embedder, former, bus.tracer, what)

    async with AsyncExitStack() as stack:
        await embedder.embed([LOADED])
        documents = await stack.enter_async_context(await opened("", "documents"))
        memories = await stack.enter_async_context(await opened(MEMORY, "memories"))
        leaving = asyncio.create_task(_leave(context, documents, memories), name="leave")
        stack.callback(leaving.cancel)
        index = documents.now
        ingestion = Ingestion(
            index.store,
            index.embedder,
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
            index.store,
            index.embedder,
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
        context.set_global("retriever_settings", own)
        sweeping = asyncio.create_task(_sweep(documents, own, TaskBook(bus)), name="sweep")
        stack.push_async_callback(_ended, sweeping)
        context.set_global("documents", documents)
        context.set_global("memories", memories)
        context.set_global("fusion", own.fusing())
        context.set_global("summarise", None if model is None else summarised_by(model))
        context.set_global("ingestion", ingestion)
        context.set_global("search", search)
        yield


async def _sweep(documents: Indexes, own: RetrieverSettings, book: TaskBook) -> None:
    """Removes what tasks have left behind, again and again; what fails is tried the next time."""

    async def ended(task: str) -> bool:
        record = await book.get(task)
        return record is not None and record.state.terminal

    while True:
        await asyncio.sleep(own.sweep_s)
        try:
            async with documents.taken() as index:
                await TaskDocuments(index.store, ttl_s=own.task_ttl_s).sweep(ended)
        except MotetError as error:
            log.warning("documents of tasks that have ended are looked for again later: %s", error)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _leave(context: ContextRepo, *indexes: Indexes) -> None:
    """Has the agent leave the mesh once it cannot answer any more, so that others do."""
    waiting = [asyncio.ensure_future(each.displaced.wait()) for each in indexes]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
    log.error(
        "Retrievers with another MOTET_EMBEDDING_MODEL have taken over, and this one takes no "
        "calls any more. Give all of them the same."
    )
    if (runner := context.get("runner")) is not None:
        await runner.stop()


agent = Agent(
    "retriever",
    "Finds passages in the documents that were ingested.",
    lifespan=resources,
)
declare(agent)
