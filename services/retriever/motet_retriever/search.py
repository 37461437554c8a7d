"""Search: from a question to passages, best first.

A call is one `retrieval` span; the embedding of the question is a span of the model's below it.
"""

from __future__ import annotations

from opentelemetry.trace import SpanKind

from motet.messages import Principal, SearchRequest, SearchResult
from motet.models import Embedder
from motet.telemetry import Tracer, names
from motet_retriever.fusion import Fusion
from motet_retriever.stores.port import PassageStore, Query

__all__ = ["Search"]

DATA_SOURCE = "documents"
"""What is searched, as spans call it."""


class Search:
    """Finds passages."""

    def __init__(
        self,
        store: PassageStore,
        embedder: Embedder,
        fusion: Fusion,
        tracer: Tracer,
        *,
        candidates: int,
        record_content: bool = False,
    ) -> None:
        """`candidates` is how many passages each branch proposes to a fused search."""
        self._store = store
        self._embedder = embedder
        self._fusion = fusion
        self._tracer = tracer
        self._candidates = candidates
        self._record_content = record_content

    async def search(self, principal: Principal, request: SearchRequest) -> SearchResult:
        """The passages that answer `request` and that the principal sees, best first.

        Raises:
            FaultError: The embedding model failed.
        """
        attributes = {
            names.GEN_AI_OPERATION: names.OPERATION_RETRIEVAL,
            names.GEN_AI_DATA_SOURCE: DATA_SOURCE,
            names.GEN_AI_RETRIEVAL_TOP_K: request.limit,
            names.GEN_AI_REQUEST_MODEL: None if request.mode == "sparse" else self._embedder.name,
            names.GEN_AI_RETRIEVAL_QUERY: request.query if self._record_content else None,
        }
        with self._tracer.span(names.retrieval(DATA_SOURCE), SpanKind.CLIENT, attributes) as span:
            branches = await self._store.search(await self._query(principal, request))
            passages = self._fusion.fuse(branches, request.limit)
            span.set_attribute(names.PASSAGES, len(passages))
            span.set_attribute(names.BRANCH, list(branches))
        return SearchResult(passages=tuple(passages))

    async def _query(self, principal: Principal, request: SearchRequest) -> Query:
        vector = None
        if request.mode != "sparse":
            vector = (await self._embedder.embed_queries([request.query]))[0]
        return Query(
            limit=max(request.limit, self._candidates)
            if request.mode in (None, "hybrid")
            else request.limit,
            principal=principal,
            vector=vector,
            words=None if request.mode == "dense" else request.query,
            sources=request.sources,
            where=request.filter,
        )
