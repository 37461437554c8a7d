"""The skills of the graph: each hands its request to the module that does it.

Whose graph it is, is the tenant of the call's principal, which no request can name.
"""

from __future__ import annotations

from typing import Annotated

from faststream import Context

from motet.agent import Agent, Call
from motet.messages import (
    EntityRequest,
    EntityResult,
    ForgetRequest,
    ForgetResult,
    GraphIngestRequest,
    GraphIngestResult,
    GraphQueryRequest,
    GraphQueryResult,
    GraphSearchRequest,
    GraphSearchResult,
    NeighbourhoodRequest,
    NeighbourhoodResult,
    PathsRequest,
    PathsResult,
    SkillExample,
)
from motet_graph import lookups
from motet_graph.asking import ask
from motet_graph.atlas import Atlas
from motet_graph.ingestion import Ingestion
from motet_graph.search import Search
from motet_graph.stores.port import GraphStore

__all__ = ["declare"]

SEARCH = (
    "Finds passages for a question whose answer is connected with the names in it only through "
    "other names, in other documents: who leads the company that made a thing. Ask the whole "
    "question. It only finds text: it does not calculate or conclude."
)
SEARCH_EXAMPLES = (
    SkillExample(
        goal="In which city was the architect of the Harbour Tower born?",
        input={"query": "In which city was the architect of the Harbour Tower born?", "limit": 5},
    ),
)
ENTITY = "Finds the passages that say most about one named person, organisation, place or thing."
ENTITY_EXAMPLES = (
    SkillExample(
        goal="What is said about Harbour Properties?", input={"name": "Harbour Properties"}
    ),
)
PATHS = (
    "Finds how two named things are connected: the statements that lead from one to the other, and "
    "the passages that make them."
)
PATHS_EXAMPLES = (
    SkillExample(
        goal="What connects Ada Brown with Harbour Properties?",
        input={"start": "Ada Brown", "end": "Harbour Properties"},
    ),
)

ShownAtlas = Annotated[Atlas, Context("atlas")]


def declare(agent: Agent) -> None:
    """Declares the skills on `agent`; its lifespan opens what they need."""
    _declare_lookups(agent)
    _declare_upkeep(agent)


def _declare_lookups(agent: Agent) -> None:
    # Not planned with: beside the retriever's search, a planner would have to guess between them.
    @agent.skill("search", SEARCH, examples=SEARCH_EXAMPLES, plannable=False, typical_s=0.1)
    async def search(
        request: GraphSearchRequest, call: Call, searching: Annotated[Search, Context("search")]
    ) -> GraphSearchResult:
        return await searching.search(call.principal.tenant, request)

    @agent.skill("entity", ENTITY, examples=ENTITY_EXAMPLES, plannable=False, typical_s=0.05)
    async def entity(request: EntityRequest, call: Call, atlas: ShownAtlas) -> EntityResult:
        return lookups.entity(await atlas.current(call.principal.tenant), request)

    @agent.skill("paths", PATHS, examples=PATHS_EXAMPLES, typical_s=0.05)
    async def paths(request: PathsRequest, call: Call, atlas: ShownAtlas) -> PathsResult:
        return lookups.paths(await atlas.current(call.principal.tenant), request)


def _declare_upkeep(agent: Agent) -> None:
    @agent.skill("neighbourhood", "Lists what is stated around an entity.", plannable=False)
    async def neighbourhood(
        request: NeighbourhoodRequest, call: Call, atlas: ShownAtlas
    ) -> NeighbourhoodResult:
        return lookups.neighbourhood(await atlas.current(call.principal.tenant), request)

    @agent.skill(
        "query",
        "Answers a query in Cypher that only reads, where the graph has one tenant.",
        plannable=False,
    )
    async def query(
        request: GraphQueryRequest, call: Call, store: Annotated[GraphStore, Context()]
    ) -> GraphQueryResult:
        return await ask(store, call.principal.tenant, request)

    @agent.skill(
        "ingest",
        "Adds documents to the graph. A known source is replaced, unless nothing in it changed.",
        plannable=False,
        concurrency=4,
    )
    async def ingest(
        request: GraphIngestRequest,
        call: Call,
        ingestion: Annotated[Ingestion, Context()],
        atlas: ShownAtlas,
    ) -> GraphIngestResult:
        total = len(request.documents)

        async def progress(done: int) -> None:
            await call.event(f"{done} of {total} documents read", done=done, total=total)

        try:
            return await ingestion.ingest(
                call.principal.tenant, request.documents, check=call.check, progress=progress
            )
        finally:
            atlas.changed(call.principal.tenant)

    @agent.skill(
        "forget",
        "Removes documents with everything that only they state.",
        plannable=False,
        side_effects=True,
    )
    async def forget(
        request: ForgetRequest,
        call: Call,
        store: Annotated[GraphStore, Context()],
        atlas: ShownAtlas,
    ) -> ForgetResult:
        try:
            deleted = await store.delete(call.principal.tenant, request.sources)
        finally:
            atlas.changed(call.principal.tenant)
        return ForgetResult(
            items=tuple(
                ForgetResult.Item(
                    source=source, status="deleted" if source in deleted else "unknown"
                )
                for source in request.sources
            )
        )
