"""What the tests of searching share: documents in a store in memory, and a call to search by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from motet.messages import (
    ANYBODY,
    AgentCard,
    DocumentInfo,
    GraphSearchResult,
    Passage,
    Principal,
    SearchRequest,
    SearchResult,
    SkillCard,
)
from motet.settings import Settings
from motet.telemetry import Telemetry, setup
from motet_retriever.fusion import Fusion
from motet_retriever.reranking import Rereading
from motet_retriever.search import Search
from motet_retriever.stores.port import IndexedPassage, Level, owner
from motet_retriever.strategies.retrieval import Resources
from tests.embedder import LetterEmbedder
from tests.unit.retriever.memory_store import MemoryStore

INGESTED = datetime(2026, 1, 1, tzinfo=UTC)


class Call:
    """Stands in for a `motet.agent.Call`."""

    def __init__(
        self,
        principal: Principal = ANYBODY,
        graph: Callable[[Any], Sequence[tuple[str, float]]] | None = None,
    ) -> None:
        self.principal = principal
        self.graph = graph
        self.checks = 0
        self.stop: BaseException | None = None
        """What `check` raises from now on."""

    def check(self) -> None:
        self.checks += 1
        if self.stop is not None:
            raise self.stop

    def cards(self) -> list[AgentCard]:
        if self.graph is None:
            return []
        skill = SkillCard(name="search", description="Searches.", input_schema={}, output_schema={})
        return [
            AgentCard(
                name="graph", description="A graph.", version="1", instance="i", skills=(skill,)
            )
        ]

    async def delegate(self, skill: str, request: Any, output: Any, *, step: str) -> Any:
        assert (skill, step, output) == ("graph.search", "graph", GraphSearchResult)
        assert self.graph is not None
        proposed = self.graph(request)
        return GraphSearchResult(
            passages=tuple(
                Passage(
                    id=key,
                    source="?",
                    title="?",
                    text="not ours",
                    position=0,
                    start=0,
                    end=8,
                    score=score,
                )
                for key, score in proposed
            )
        )


def passages_of(
    source: str, texts: Sequence[str], *, section: Callable[[int], tuple[str, ...]], **options: Any
) -> list[Passage]:
    made: list[Passage] = []
    start = 0
    for position, text in enumerate(texts):
        made.append(
            Passage(
                id=f"{source}#{position}",
                source=source,
                title=options.get("title", source),
                text=text,
                section=section(position),
                position=position,
                start=start,
                end=start + len(text),
                ingested_at=INGESTED,
                **{key: value for key, value in options.items() if key != "title"},
            )
        )
        start += len(text) + 2
    return made


class Library:
    """Documents, and searches in them."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.embedder: Any = LetterEmbedder()
        self.exporter = InMemorySpanExporter()
        self.telemetry: Telemetry = setup("retriever", Settings(), exporters=[self.exporter])

    async def add(
        self,
        source: str,
        *texts: str,
        tenant: str = "default",
        section: Callable[[int], tuple[str, ...]] = lambda _: (),
        **options: Any,
    ) -> None:
        """A document of a passage a text; of several, with wholes for it and its sections."""
        passages = passages_of(source, texts, section=section, **options)
        words = [" ".join([each.title, *each.section, each.text]) for each in passages]
        vectors = await self.embedder.embed(words)
        sections = {each.section for each in passages}
        indexed = [
            IndexedPassage(
                each, words[place], vectors[place], ("passage",) if len(texts) > 1 else _ALL
            )
            for place, each in enumerate(passages)
        ]
        if len(texts) > 1:
            mean = np.mean(vectors, axis=0)
            mean /= np.linalg.norm(mean)
            whole = passages[0].model_copy(update={"section": (), "text": ""})
            levels: tuple[Level, ...] = ("document",)
            indexed.append(
                IndexedPassage(
                    whole.model_copy(update={"id": f"{source}#document"}),
                    f"{whole.title} {' '.join(' '.join(each) for each in sections)}",
                    mean,
                    levels,
                )
            )
            for number, path in enumerate(sorted(sections)):
                inside = [i for i, each in enumerate(passages) if each.section == path]
                part = np.mean(vectors[inside], axis=0)
                indexed.append(
                    IndexedPassage(
                        whole.model_copy(
                            update={"id": f"{source}#section{number}", "section": path}
                        ),
                        f"{whole.title} {' '.join(path)}",
                        part / np.linalg.norm(part),
                        ("section",),
                    )
                )
        info = DocumentInfo(
            source=source,
            title=passages[0].title,
            media_type="text/plain",
            sha256="0" * 64,
            fingerprint="1",
            characters=passages[-1].end,
            passages=len(passages),
            ingested_at=INGESTED,
            labels=options.get("labels", ()),
        )
        await self.store.put(owner(tenant), info, indexed)

    def search(
        self,
        *,
        model: Any = None,
        candidates: int = 10,
        fusion: Fusion | None = None,
        rerankers: Mapping[Any, Any] | None = None,
        usual: Any = None,
        **options: Any,
    ) -> Search:
        shared = Resources(
            self.store,
            self.embedder,
            fusion or Fusion(),
            self.telemetry.tracer,
            candidates=candidates,
            model=model,
            record_content=options.pop("record_content", False),
        )
        rereading = Rereading(rerankers or {}, usual, options.pop("rerank_candidates", 30))
        return Search(shared, rereading=rereading, **options)

    async def find(
        self, query: str, *, call: Call | None = None, search: Search | None = None, **request: Any
    ) -> SearchResult:
        """A search of `query`; `request` has the other fields of a `SearchRequest`."""
        asked = SearchRequest.model_validate({"query": query, **request})
        return await (search or self.search()).search(asked, call or Call())

    def spans(self) -> dict[str, dict[str, Any]]:
        """Attributes of the spans that ended, by name; of equal names the last."""
        return {
            span.name: {k: v for k, v in (span.attributes or {}).items() if v is not None}
            for span in self.exporter.get_finished_spans()
        }


_ALL: tuple[Level, ...] = ("passage", "section", "document")
