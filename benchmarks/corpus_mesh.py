"""A mesh of the retriever and the graph that holds a corpus, for benchmarks of retrieval.

Documents go in and questions are asked as users do it: by calls over NATS, through the services'
own code. Everything runs in this process but NATS; nothing is left behind.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from motet.embedded.nats import nats_server
from motet.messages import (
    Document,
    IngestRequest,
    IngestResult,
    SearchRequest,
    SearchResult,
)
from motet.settings import load_settings
from motet.testing import TestMesh, test_mesh

__all__ = ["CorpusMesh", "corpus_mesh", "note"]

BATCH = 64
"""Documents that one call ingests."""
PATIENCE_S = 3600.0


class CorpusMesh:
    """A corpus that can be asked."""

    def __init__(self, mesh: TestMesh) -> None:
        self._mesh = mesh

    async def ingest(self, documents: Sequence[Document]) -> int:
        """Makes documents findable, and returns how many passages they have.

        Raises:
            ValueError: One of them was refused.
        """
        passages = 0
        for first in range(0, len(documents), BATCH):
            request = IngestRequest(documents=tuple(documents[first : first + BATCH]))
            result = await self._mesh.motet.call(
                "retriever.ingest", request, IngestResult, timeout_s=PATIENCE_S
            )
            for item in result.items:
                if item.status == "failed":
                    raise ValueError(f"{item.source}: {item.reason}")
                passages += item.passages
            note(f"  ingested {min(first + BATCH, len(documents))} of {len(documents)}")
        return passages

    async def search(self, request: SearchRequest) -> SearchResult:
        """Asks the retriever."""
        return await self._mesh.motet.call(
            "retriever.search", request, SearchResult, timeout_s=PATIENCE_S
        )


@asynccontextmanager
async def corpus_mesh(*, graph: bool, model: str = "none") -> AsyncGenerator[CorpusMesh]:
    """A mesh for a corpus.

    Args:
        graph: Whether the graph agent is there too, which reads every passage once more.
        model: The chat model that strategies may ask; `none` has them do without.
    """
    from motet_graph.app import agent as graph_agent
    from motet_retriever.app import agent as retriever

    settings = load_settings()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="motet-corpus-")))
        server = await stack.enter_async_context(nats_server(folder / "nats"))
        mesh = await stack.enter_async_context(
            test_mesh(
                server.url,
                folder,
                cache_dir=settings.cache_dir,
                embedding_model=settings.embedding_model,
                model_cache=False,  # how long ingestion takes is one of the figures
                model=model,
                stream_max_bytes=4 << 30,
                results_max_age_s=60,
            )
        )
        if graph:
            await mesh.join(graph_agent)
        await mesh.join(retriever)
        yield CorpusMesh(mesh)


def note(text: str) -> None:
    """Says something beside the figures."""
    print(text, file=sys.stderr, flush=True)


def unique(values: Iterable[str]) -> list[str]:
    """Each value once, in order."""
    return list(dict.fromkeys(values))
