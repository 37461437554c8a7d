"""One search under way: what a strategy works with.

Invariants:

- Whatever is asked of the store carries whose documents are searched (those of the principal of the
  call, those of its task, or both) and the request's sources, and
  every search of passages its filter; a strategy can narrow them and not leave them out.
- Before each step the call is asked whether it may go on.
- Each question to the store is a span `retrieval documents`; embeddings, chats and delegations are
  spans of their own beside it.
- A chat model that fails, or has no budget left, leaves a note, and the strategy does without it;
  a call that was cancelled or is late ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from opentelemetry.trace import SpanKind
from pydantic import BaseModel

from motet.errors import FaultError
from motet.messages import (
    AgentCard,
    AllOf,
    Condition,
    FaultType,
    Filter,
    Passage,
    Principal,
    SearchRequest,
    conditions,
)
from motet.models import Embedder
from motet.telemetry import Tracer, names
from motet_retriever.fusion import Candidate, Fusion, Ranking
from motet_retriever.prompts import PROMPTS
from motet_retriever.stores.port import Branch, Found, Level, PassageStore, Query, Vector

__all__ = [
    "DATA_SOURCE",
    "Caller",
    "ChatPort",
    "Look",
    "Probe",
    "Resources",
    "Retrieval",
    "together",
]

T = TypeVar("T")

DATA_SOURCE = "documents"
"""What is searched, as spans call it."""

OF_PARTS = {"section", "block", "page", "position"}
"""Fields that a passage has and its document has not."""

REPLACEABLE = {
    FaultType.MODEL_FAILED,
    FaultType.MODEL_OUTPUT_INVALID,
    FaultType.UNAVAILABLE,
    FaultType.BUDGET_EXCEEDED,
}
"""Faults of a model that a strategy can do without."""


class Caller(Protocol):
    """What a search needs of its `Call`."""

    @property
    def principal(self) -> Principal:
        """On whose behalf the call is made."""
        ...

    def check(self) -> None:
        """Raises when the call has no right to go on."""
        ...

    def cards(self) -> list[AgentCard]:
        """The agents that live now."""
        ...

    async def delegate(
        self,
        skill: str,
        request: BaseModel | Mapping[str, Any],
        output: type[T],
        *,
        step: str,
    ) -> T:
        """Has another agent do something."""
        ...


class ChatPort(Protocol):
    """What is asked of a chat model."""

    async def structured(
        self, messages: Sequence[Any], schema: type[T], *, name: str, max_tokens: int
    ) -> T:
        """An answer in a form."""
        ...


@dataclass(frozen=True, slots=True)
class Resources:
    """What all searches of a process share."""

    store: PassageStore
    embedder: Embedder
    fusion: Fusion
    tracer: Tracer
    candidates: int
    """Passages that each branch proposes."""
    model: ChatPort | None = None
    """The chat model that rewrites and breaks up questions; None has that done without one."""
    record_content: bool = False


@dataclass(frozen=True, slots=True)
class Probe:
    """One question to the store. A branch is asked when there is something to ask it by."""

    words: str | None = None
    """For the sparse branch."""
    vector: Vector | None = None
    """For the dense branch."""
    query: str | None = None
    """What is asked, where that is not the question itself."""
    weight: float = 1.0
    """How much its lists count."""
    level: Level = "passage"
    sources: tuple[str, ...] | None = None
    """Only these of the request's sources; None takes all of them."""
    limit: int | None = None
    """Passages that each branch proposes; None takes the usual number."""
    vectors: bool = False
    """Whether what is found is to come with its embedding."""


@dataclass
class Retrieval:
    """One search under way."""

    request: SearchRequest
    caller: Caller
    shared: Resources
    branches: frozenset[str]
    """`dense`, `sparse`, or both."""
    with_vectors: bool = False
    """Whether candidates are to come with their embeddings."""
    readers: tuple[Principal, ...] = ()
    """Whose documents are searched, one or two; empty takes the principal of the call."""
    fusion: Fusion = field(init=False)
    queries: list[str] = field(default_factory=list)
    """What was asked besides the question."""
    notes: list[str] = field(default_factory=list)
    """What could not be done as it was meant."""
    exhausted: bool = False
    """Whether the request's branches have nothing left to find."""

    def __post_init__(self) -> None:
        self.readers = self.readers or (self.caller.principal,)
        own = self.shared.fusion
        self.fusion = Fusion(
            {**own.weights, **self.request.weights}, own.k, self.request.fusion or own.method
        )

    @property
    def question(self) -> str:
        """The question."""
        return self.request.query

    async def vectors(self, questions: Sequence[str]) -> list[Vector]:
        """Embeddings of questions, in order.

        Raises:
            FaultError: The embedding model failed, or the call may not go on.
        """
        self.caller.check()
        return list(await self.shared.embedder.embed_queries(questions))

    async def passage_vectors(self, texts: Sequence[str]) -> list[Vector]:
        """Embeddings of texts as of passages, in order.

        Raises:
            FaultError: The embedding model failed, or the call may not go on.
        """
        self.caller.check()
        return list(await self.shared.embedder.embed(texts))

    async def probes(self, questions: Sequence[str], **options: Any) -> list[Probe]:
        """Probes of the request's branches for questions; see `Probe` for `options`."""
        dense, sparse = "dense" in self.branches, "sparse" in self.branches
        vectors = await self.vectors(questions) if dense and questions else []
        return [
            Probe(
                words=question if sparse else None,
                vector=vectors[place] if dense else None,
                query=None if question == self.question else question,
                **options,
            )
            for place, question in enumerate(questions)
        ]

    async def ask(self, probes: Sequence[Probe]) -> list[list[Ranking]]:
        """What the store's branches propose for each probe, in order.

        Raises:
            FaultError: The call may not go on.
        """
        self.caller.check()
        return await together([self._asked(each) for each in probes])

    async def search(self, probes: Sequence[Probe]) -> list[Ranking]:
        """The same as one flat list."""
        return [ranking for rankings in await self.ask(probes) for ranking in rankings]

    async def _asked(self, probe: Probe) -> list[Ranking]:
        limit = probe.limit or self.shared.candidates
        text = probe.query or self.question
        attributes = {
            names.GEN_AI_OPERATION: names.OPERATION_RETRIEVAL,
            names.GEN_AI_DATA_SOURCE: DATA_SOURCE,
            names.GEN_AI_RETRIEVAL_TOP_K: limit,
            names.GEN_AI_REQUEST_MODEL: None if probe.vector is None else self.shared.embedder.name,
            names.GEN_AI_RETRIEVAL_QUERY: text if self.shared.record_content else None,
            names.LEVEL: None if probe.level == "passage" else probe.level,
        }
        tracer = self.shared.tracer
        with tracer.span(names.retrieval(DATA_SOURCE), SpanKind.CLIENT, attributes) as span:
            found = await self.shared.store.search(
                Query(
                    limit=limit,
                    principal=self.readers[0],
                    beside=next(iter(self.readers[1:]), None),
                    vector=probe.vector,
                    words=probe.words,
                    sources=self.request.sources if probe.sources is None else probe.sources,
                    where=self._where(probe.level),
                    level=probe.level,
                    vectors=probe.vectors or (self.with_vectors and probe.level == "passage"),
                )
            )
            ids = {each.id for proposed in found.values() for each in proposed}
            span.set_attribute(names.PASSAGES, len(ids))
            span.set_attribute(names.BRANCH, list(found))
        self._note_end(probe, limit, found)
        return [
            Ranking(branch, proposed, probe.query, probe.weight)
            for branch, proposed in found.items()
        ]

    def _note_end(self, probe: Probe, limit: int, found: Mapping[Branch, Sequence[Found]]) -> None:
        """Notes that nothing is left: the branch that finds everything has found less than asked.

        Embeddings are compared with every passage; words find only those that have them.
        """
        whole: Branch = "dense" if "dense" in self.branches else "sparse"
        if probe.level == "passage" and probe.sources is None and whole in found:
            self.exhausted = self.exhausted or len(found[whole]) < limit

    def _where(self, level: Level) -> Filter | None:
        """The request's filter; none for wholes where it is about what only their parts have."""
        where = self.request.filter
        if where is None or level == "passage":
            return where
        return None if any(each.field in OF_PARTS for each in conditions(where)) else where

    async def fetch(self, ids: Sequence[str]) -> dict[str, Passage]:
        """Those of the passages that are to be searched and the request's filter lets through."""
        self.caller.check()
        kept: dict[str, Passage] = {}
        for reader in self.readers:
            kept |= await self._fetched(reader, ids)
        return kept

    async def _fetched(self, principal: Principal, ids: Sequence[str]) -> dict[str, Passage]:
        wanted = set(self.request.sources)
        found = await self.shared.store.get(principal, ids)
        if wanted:
            found = {key: each for key, each in found.items() if each.source in wanted}
        if self.request.filter is None:
            return found
        positions: dict[str, list[int]] = {}
        for each in found.values():
            positions.setdefault(each.source, []).append(each.position)
        kept: dict[str, Passage] = {}
        for source, places in positions.items():
            where = AllOf(all_of=(self.request.filter, _at(places)))
            for each in await self.shared.store.read(principal, source, where=where):
                if each.id in found:
                    kept[each.id] = each
        return kept

    async def told(
        self, prompt: str, schema: type[T], *, max_tokens: int, **values: str
    ) -> T | None:
        """What the chat model says to a prompt; None where there is none, or it failed.

        Raises:
            FaultError: The call may not go on.
        """
        if self.shared.model is None:
            return None
        self.caller.check()
        try:
            return await self.shared.model.structured(
                PROMPTS.load(prompt).messages(**values), schema, name=prompt, max_tokens=max_tokens
            )
        except FaultError as error:
            if error.fault.type not in REPLACEABLE:
                raise
            self.notes.append(f"without the chat model: {error.fault.message}")
            return None

    def fuse(self, rankings: Sequence[Ranking]) -> list[Candidate]:
        """Lists made into one, as the request wants it."""
        return self.fusion.fuse(rankings)


Look = Callable[[Retrieval], Awaitable[list[Candidate]]]
"""A strategy: candidates for a request, best first."""


async def together(parts: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """What all of them give, in order; the first that fails ends the others."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def _at(places: Sequence[int]) -> Filter:
    return Condition(field="position", op="in", value=tuple(sorted(set(places))))
