"""Search: from a request to a page of passages, best first.

What is done, in this order:

1. A strategy proposes candidates (`motet_retriever.strategies`). Whatever it asks of the store says
   whose documents are wanted (those of the call's principal, of its task, or both), and carries the
   filter and the sources, so that nothing else is ever proposed. The fusion, the weights and
   `candidates` shape what it gives.
2. `rerank`: the first of them are re-read and put in a new order, scored above the others.
3. `half_life_days`: scores are halved by age, and the candidates ordered anew.
4. `diversity`: maximal marginal relevance picks from them one by one.
5. `per_document`: what is over the number is left out.
6. `offset` and `limit` cut the page. Nothing above looks at either, so pages neither overlap nor
   leave gaps. Past the candidates comes whatever else the branches find for the question, as deep
   as `DEPTHS`, under the same filter and number a document; the graph has no more to give.
7. `expand`: the section or document around each passage of the page is read, as whoever has them.
8. `reason` is written from what the branches said.

Scores go down along the result, except where `diversity` has the last word. A call is one span
`retrieval <strategy>`; each question to the store is a span below it, as are embeddings, chats,
re-reading and delegations.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from opentelemetry.trace import Span, SpanKind

from motet.errors import FaultError
from motet.messages import Passage, Principal, SearchRequest, SearchResult, Strategy
from motet.models import Embedder
from motet.telemetry import names
from motet_retriever.expansion import with_context
from motet_retriever.fusion import Candidate
from motet_retriever.reasons import reason
from motet_retriever.reranking import ENDING, Rereading
from motet_retriever.selection import age_days, capped, decayed, diversified
from motet_retriever.stores.port import PassageStore
from motet_retriever.strategies import FOLLOWING, STRATEGIES
from motet_retriever.strategies.connected import WITHOUT
from motet_retriever.strategies.retrieval import DATA_SOURCE, Caller, Resources, Retrieval
from motet_retriever.strategies.single import DEPTHS, deeper, single

__all__ = ["Search"]

log = logging.getLogger(__name__)

_BOTH = frozenset({"dense", "sparse"})


@dataclass(frozen=True, slots=True)
class _Plan:
    """How a request is to be done."""

    strategy: Strategy | None
    """None for one step of words alone, which no strategy names."""
    branches: frozenset[str]

    @property
    def name(self) -> str:
        return self.strategy or "sparse"


class Search:
    """Finds passages."""

    def __init__(
        self,
        shared: Resources,
        *,
        strategy: Strategy = "hybrid",
        rereading: Rereading | None = None,
        expand_characters: int = 4_000,
    ) -> None:
        """Makes a search.

        Args:
            shared: What all searches use.
            strategy: Taken where a request names none.
            rereading: Who can re-read; None nobody.
            expand_characters: Characters that a context has at most.
        """
        self._shared = shared
        self._strategy: Strategy = strategy
        self._rereading = rereading or Rereading()
        self._expand_characters = expand_characters

    def over(self, store: PassageStore, embedder: Embedder) -> Search:
        """The same in another store."""
        other = copy(self)
        own = replace(self._shared, store=store, embedder=embedder)
        other._shared = own  # noqa: SLF001  # of this class
        return other

    async def search(
        self, request: SearchRequest, caller: Caller, task: Principal | None = None
    ) -> SearchResult:
        """The passages that answer `request`, best first.

        Args:
            request: What to look for.
            caller: The call.
            task: The owner of the documents of its task; None where it has none.

        Raises:
            FaultError: The embedding model failed; the request names a reranker that is not set up
                or fails, or the strategy `graph` where there is none; the call may not go on.
        """
        plan = self._plan(request)
        readers = _readers(request, caller.principal, task)
        if not readers:
            return SearchResult(passages=(), strategy=plan.strategy)
        attributes = {
            names.GEN_AI_OPERATION: names.OPERATION_RETRIEVAL,
            names.GEN_AI_DATA_SOURCE: DATA_SOURCE,
            names.GEN_AI_RETRIEVAL_TOP_K: request.limit,
            names.GEN_AI_RETRIEVAL_QUERY: request.query if self._shared.record_content else None,
        }
        tracer = self._shared.tracer
        with tracer.span(names.retrieval(plan.name), SpanKind.CLIENT, attributes) as span:
            retrieval = Retrieval(
                request,
                caller,
                self._shared,
                plan.branches,
                with_vectors=request.diversity > 0,
                readers=readers,
            )
            page, more = await self._page(retrieval, plan)
            passages = await self._finished(retrieval, page)
            _describe(span, retrieval, passages)
        return SearchResult(
            passages=tuple(passages),
            strategy=plan.strategy,
            queries=tuple(dict.fromkeys(retrieval.queries)),
            more=more,
        )

    def _plan(self, request: SearchRequest) -> _Plan:
        match request.mode:
            case "dense":
                return _Plan("basic", frozenset({"dense"}))
            case "sparse":
                return _Plan(None, frozenset({"sparse"}))
            case "hybrid":
                return _Plan("hybrid", _BOTH)
            case None:
                strategy = request.strategy or self._strategy
                return _Plan(strategy, frozenset({"dense"}) if strategy == "basic" else _BOTH)

    async def _page(self, retrieval: Retrieval, plan: _Plan) -> tuple[list[Candidate], bool]:
        """The page, and whether there is another."""
        request = retrieval.request
        reranker, named = self._reranker(request, plan)
        look = single if plan.strategy is None else STRATEGIES[plan.strategy]
        candidates = await look(retrieval)
        if reranker is not None:
            try:
                candidates = await self._rereading.reread(request.query, candidates, reranker)
            except FaultError as error:
                if named or error.fault.type in ENDING:
                    raise
                log.warning("not re-read: %s", error)
                retrieval.notes.append(f"not re-read: {error.fault.message}")
        candidates = diversified(self._aged(request, candidates), request.diversity)
        taken = Counter[str]()
        order = capped(candidates, request.per_document, taken)
        end = request.offset + request.limit
        depths = () if plan.strategy == "graph" else DEPTHS
        known = {each.id for each in candidates}
        for depth in depths:
            if len(order) > end or retrieval.exhausted:
                break
            others = [each for each in await deeper(retrieval, depth) if each.id not in known]
            known.update(each.id for each in others)
            lowest = min((each.score for each in order), default=1.0)
            behind = [each.scored(each.score * lowest) for each in self._aged(request, others)]
            order += capped(behind, request.per_document, taken)
        return order[request.offset : end], len(order) > end

    def _reranker(self, request: SearchRequest, plan: _Plan):
        if request.rerank == "auto" and plan.strategy in FOLLOWING:
            return None, False
        return self._rereading.chosen(request.rerank)

    def _aged(self, request: SearchRequest, candidates: Sequence[Candidate]) -> list[Candidate]:
        if request.half_life_days is None:
            return list(candidates)
        return decayed(candidates, request.half_life_days, datetime.now(UTC))

    async def _finished(self, retrieval: Retrieval, page: Sequence[Candidate]) -> list[Passage]:
        """The page's passages with what is around them, and why they are there."""
        request = retrieval.request
        passages = [each.told(reason=_reason(retrieval, each)) for each in page]
        if request.expand == "none" or not passages:
            return passages
        retrieval.caller.check()
        return await with_context(
            self._shared.store,
            retrieval.readers,
            passages,
            request.expand,
            self._expand_characters,
        )


def _readers(
    request: SearchRequest, principal: Principal, task: Principal | None
) -> tuple[Principal, ...]:
    """Whose documents are searched; nobody's where the task has none and only its are wanted."""
    own = () if task is None else (task,)
    match request.scope:
        case "all":
            return (principal, *own)
        case "tenant":
            return (principal,)
        case "task":
            return own


def _reason(retrieval: Retrieval, candidate: Candidate) -> str:
    remarks: list[str] = []
    if retrieval.request.half_life_days is not None:
        days = age_days(candidate.passage, datetime.now(UTC))
        remarks.append(f"{days:.0f} days old")
    if any(note.startswith(WITHOUT) for note in retrieval.notes):
        remarks.append(WITHOUT)
    return reason(candidate.branches, *remarks)


def _describe(span: Span, retrieval: Retrieval, passages: Sequence[Passage]) -> None:
    span.set_attribute(names.PASSAGES, len(passages))
    branches = dict.fromkeys(said.branch for each in passages for said in each.branches)
    if branches:
        span.set_attribute(names.BRANCH, list(branches))
    if retrieval.notes:
        span.set_attribute(names.NOTES, list(retrieval.notes))
