"""Search: from a question to passages. A call is one `retrieval` span."""

from __future__ import annotations

import asyncio

from opentelemetry.trace import SpanKind

from motet.errors import FaultError
from motet.messages import FaultType, GraphSearchRequest, GraphSearchResult
from motet.models import Embedder
from motet.telemetry import Tracer, names
from motet_graph.atlas import Atlas
from motet_graph.ranking import Weights, rank

__all__ = ["Search"]

DATA_SOURCE = "graph"
"""What is searched, as spans call it."""


class Search:
    """Finds passages through the entities that connect them."""

    def __init__(
        self,
        atlas: Atlas,
        embedder: Embedder,
        weights: Weights,
        tracer: Tracer,
        *,
        record_content: bool = False,
    ) -> None:
        self._atlas = atlas
        self._embedder = embedder
        self._weights = weights
        self._tracer = tracer
        self._record_content = record_content

    async def search(self, tenant: str, request: GraphSearchRequest) -> GraphSearchResult:
        """The passages of a tenant for a question, best first.

        Raises:
            FaultError: The embedding model or the store failed.
        """
        attributes = {
            names.GEN_AI_OPERATION: names.OPERATION_RETRIEVAL,
            names.GEN_AI_DATA_SOURCE: DATA_SOURCE,
            names.GEN_AI_RETRIEVAL_TOP_K: request.limit,
            names.GEN_AI_REQUEST_MODEL: self._embedder.name,
            names.GEN_AI_RETRIEVAL_QUERY: request.query if self._record_content else None,
        }
        with self._tracer.span(names.retrieval(DATA_SOURCE), SpanKind.CLIENT, attributes) as span:
            graph = await self._atlas.current(tenant)
            (vector,) = await self._embedder.embed_queries([request.query])
            # 0 where another model has made all that is there, which is not renewed yet.
            if graph.passage_vectors.shape[1] not in {0, len(vector)}:
                raise FaultError.of(
                    FaultType.INTERNAL,
                    f"Vectors of {self._embedder.name} have another length than those that it made "
                    "of the graph. Have it be the same model again, or give it another name.",
                )
            found = await asyncio.to_thread(
                rank, graph, request.query, vector, request.limit, self._weights
            )
            passages = tuple(
                graph.passages[place].model_copy(update={"score": score})
                for place, score in found.passages
            )
            span.set_attribute(names.PASSAGES, len(passages))
        return GraphSearchResult(
            passages=passages,
            entities=tuple(graph.entities[place].name for place in found.entities),
        )
