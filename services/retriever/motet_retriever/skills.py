"""The skills of the retriever: each hands its request to the module that does it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated

from faststream import Context, Depends

from motet.agent import Agent, Call
from motet.errors import FaultError
from motet.messages import (
    ConversationRequest,
    ConversationResult,
    DeleteRequest,
    DeleteResult,
    DocumentsRequest,
    DocumentsResult,
    EraseRequest,
    EraseResult,
    FaultType,
    ForgetMemoriesRequest,
    ForgetMemoriesResult,
    IngestRequest,
    IngestResult,
    ReadRequest,
    ReadResult,
    RecallRequest,
    RecallResult,
    RememberRequest,
    RememberResult,
    SearchRequest,
    SearchResult,
    SkillExample,
)
from motet_retriever import neighbours
from motet_retriever.catalogue import delete_documents, list_documents
from motet_retriever.fusion import Fusion
from motet_retriever.ingestion import Ingestion
from motet_retriever.memory import Memories, Summarise
from motet_retriever.migration import Index, Indexes
from motet_retriever.reading import read_document
from motet_retriever.search import Search
from motet_retriever.settings import RetrieverSettings
from motet_retriever.stores.port import HiddenError, PassageStore
from motet_retriever.task_documents import TaskDocuments, of_task

__all__ = ["declare"]

SEARCH = (
    "Finds passages in the ingested documents that may hold a fact. Ask for one fact a call, in a "
    "short question with the names it is about; for facts from different documents make one call "
    "each. It only finds text: it does not calculate, compare or conclude. Leave `strategy` out "
    "as a rule; take `multi_hop` where documents lead from one to the next, `hyde` or "
    "`multi_query` where they are worded otherwise than the question, `hierarchical` for "
    "long ones, and `hybrid_graph` for how named things are connected."
)

SEARCH_EXAMPLES = (
    SkillExample(
        goal="Who signed the lease with Harbour Properties?",
        input={"query": "Who signed the lease with Harbour Properties?", "limit": 5},
    ),
    SkillExample(
        goal="By how much did Acme's revenue grow from 2022 to 2023? (step: find 2022's revenue)",
        input={"query": "Acme revenue in 2022", "limit": 5},
    ),
)


# What a skill works with: one store and the model of its vectors, for as long as the call is.


async def _documents(
    indexes: Annotated[Indexes, Context("documents")],
) -> AsyncGenerator[Index]:
    async with indexes.taken() as index:
        yield index


async def _memories(
    indexes: Annotated[Indexes, Context("memories")],
    fusion: Annotated[Fusion, Context()],
) -> AsyncGenerator[Memories]:
    async with indexes.taken() as index:
        yield Memories(index.store, index.embedder, fusion)


def _store(index: Annotated[Index, Depends(_documents)]) -> PassageStore:
    return index.store


def _searching(
    index: Annotated[Index, Depends(_documents)], search: Annotated[Search, Context()]
) -> Search:
    return search.over(index.store, index.embedder)


def _ingestion(
    index: Annotated[Index, Depends(_documents)], ingestion: Annotated[Ingestion, Context()]
) -> Ingestion:
    return ingestion.over(index.store, index.embedder)


def _task_documents(
    index: Annotated[Index, Depends(_documents)],
    own: Annotated[RetrieverSettings, Context("retriever_settings")],
) -> TaskDocuments:
    return TaskDocuments(index.store, ttl_s=own.task_ttl_s)


def declare(agent: Agent) -> None:
    """Declares the skills on `agent`; its lifespan opens what they need."""
    _declare_reading(agent)
    _declare_documents(agent)
    _declare_memory(agent)


def _declare_reading(agent: Agent) -> None:
    @agent.skill("search", SEARCH, examples=SEARCH_EXAMPLES, typical_s=0.1)
    async def search(
        request: SearchRequest,
        call: Call,
        searching: Annotated[Search, Depends(_searching)],
        tasks: Annotated[TaskDocuments, Depends(_task_documents)],
    ) -> SearchResult:
        own = None if request.scope == "tenant" else await tasks.owner(call)
        return await searching.search(request, call, own)

    @agent.skill(
        "read",
        "Gives the text of a document, one part after another, with the passages it is made of.",
        plannable=False,
        typical_s=0.1,
    )
    async def read(
        request: ReadRequest,
        call: Call,
        store: Annotated[PassageStore, Depends(_store)],
        tasks: Annotated[TaskDocuments, Depends(_task_documents)],
    ) -> ReadResult:
        own = await tasks.owner(call)
        readers = (call.principal,) if own is None else (own, call.principal)
        return await read_document(store, readers, request)


def _declare_documents(agent: Agent) -> None:
    @agent.skill(
        "ingest",
        "Makes documents findable. A known source is replaced, unless its document is unchanged.",
        plannable=False,
        concurrency=4,
    )
    async def ingest(
        request: IngestRequest,
        call: Call,
        ingestion: Annotated[Ingestion, Depends(_ingestion)],
        tasks: Annotated[TaskDocuments, Depends(_task_documents)],
    ) -> IngestResult:
        total = len(request.documents)

        async def progress(done: int) -> None:
            await call.event(f"{done} of {total} documents ingested", done=done, total=total)

        sources = neighbours.sources(call)
        if request.scope == "task":
            result = await ingestion.ingest(
                await tasks.enter(call),
                [of_task(each) for each in request.documents],
                sources,
                check=call.check,
                progress=progress,
            )
            await tasks.stay(call)
            return result
        return await ingestion.ingest(
            call.principal,
            request.documents,
            sources,
            graph=neighbours.graph(call),
            check=call.check,
            progress=progress,
        )

    @agent.skill(
        "documents", "Lists the documents that are findable or have failed.", plannable=False
    )
    async def documents(
        request: DocumentsRequest, call: Call, store: Annotated[PassageStore, Depends(_store)]
    ) -> DocumentsResult:
        return await list_documents(store, call.principal, request)

    @agent.skill(
        "delete",
        "Removes documents, with all that could be found of them.",
        plannable=False,
        side_effects=True,
    )
    async def delete(
        request: DeleteRequest, call: Call, store: Annotated[PassageStore, Depends(_store)]
    ) -> DeleteResult:
        await neighbours.forget(call, request.sources)
        return await delete_documents(store, call.principal, request)

    @agent.skill(
        "erase",
        "Erases the documents of the task that it is called in.",
        plannable=False,
        side_effects=True,
    )
    async def erase(
        request: EraseRequest,  # noqa: ARG001  # of a call everything is known already
        call: Call,
        tasks: Annotated[TaskDocuments, Depends(_task_documents)],
    ) -> EraseResult:
        return await tasks.erase(call)


def _declare_memory(agent: Agent) -> None:
    @agent.skill("remember", "Keeps something for later tasks.", plannable=False)
    async def remember(
        request: RememberRequest, call: Call, memories: Annotated[Memories, Depends(_memories)]
    ) -> RememberResult:
        try:
            return await memories.remember(call.principal, request, call.idempotency_key)
        except HiddenError:
            raise FaultError.of(
                FaultType.INVALID_INPUT,
                f"There is a memory {request.id!r} that you may not see, so not replace: take "
                "another id, or none.",
            ) from None

    @agent.skill("recall", "Finds what was remembered.", plannable=False)
    async def recall(
        request: RecallRequest, call: Call, memories: Annotated[Memories, Depends(_memories)]
    ) -> RecallResult:
        return await memories.recall(call.principal, request)

    @agent.skill(
        "forget", "Removes what was remembered, for good.", plannable=False, side_effects=True
    )
    async def forget(
        request: ForgetMemoriesRequest,
        call: Call,
        memories: Annotated[Memories, Depends(_memories)],
    ) -> ForgetMemoriesResult:
        return await memories.forget(call.principal, request)

    @agent.skill(
        "conversation",
        "Gives the newest turns of a conversation within a window, and a summary of older ones.",
        plannable=False,
    )
    async def conversation(
        request: ConversationRequest,
        call: Call,
        memories: Annotated[Memories, Depends(_memories)],
        summarise: Annotated[Summarise | None, Context()],
    ) -> ConversationResult:
        return await memories.conversation(call.principal, request, summarise)
