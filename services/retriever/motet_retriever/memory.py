"""Memory: what agents keep, and find again by meaning, by words and by time.

A memory is a document of one passage, in a store of its own: no search of documents finds one, and
whoever may not see it neither recalls, replaces nor forgets it.

Invariants:

- What is remembered twice under one id is there once, as it was remembered last.
- After a memory is forgotten, no recall and no conversation has anything of it.
- A conversation is given in the order of its turns, the newest whole, within the tokens that were
  asked for; what is older is summarised, or left out, and counted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID, uuid5

from pydantic import BaseModel, Field

from motet.messages import (
    AllOf,
    Condition,
    ConversationRequest,
    ConversationResult,
    DocumentInfo,
    Filter,
    ForgetMemoriesRequest,
    ForgetMemoriesResult,
    Memory,
    Passage,
    Principal,
    RecallRequest,
    RecallResult,
    RememberRequest,
    RememberResult,
    Turn,
    now,
)
from motet.models import ChatModel, Embedder
from motet_retriever import tokens
from motet_retriever.fusion import Fusion, Ranking
from motet_retriever.prompts import PROMPTS, fenced
from motet_retriever.selection import decayed
from motet_retriever.spans import Span, sentences
from motet_retriever.stores.port import IndexedPassage, PassageStore, Query

__all__ = ["Memories", "Summarise", "summarised_by"]

MEMORIES = UUID("3f0a6a0e-8a56-4d55-9f7e-0a3f8b8a5d11")
"""Namespace of the ids of memories' passages."""

CANDIDATES = 100
"""Memories that each branch proposes."""
AT_ONCE = 1000
TURNS = 1000
"""Turns of a conversation that are looked at; older ones are out of reach of its summary."""
SHOWN = 24_000
"""Characters of a conversation that a model is shown."""
NAMED = 1000
"""Forgotten memories that a result names."""

Summarise = Callable[[str], Awaitable[str]]
"""Has a model summarise a conversation that is given as text."""


class Summary(BaseModel):
    """What a model is asked for."""

    summary: str = Field(min_length=1, max_length=8_000)


def summarised_by(model: ChatModel) -> Summarise:
    """Has a chat model summarise; of a long conversation the end of what is older counts."""

    async def summarise(text: str) -> str:
        messages = PROMPTS.load("summary").messages(
            conversation=fenced(text[-SHOWN:], SHOWN, "conversation")
        )
        said = await model.structured(messages, Summary, name="summary", max_tokens=800)
        return said.summary

    return summarise


class Memories:
    """The memories of all tenants."""

    def __init__(self, store: PassageStore, embedder: Embedder, fusion: Fusion) -> None:
        self._store = store
        self._embedder = embedder
        self._fusion = fusion

    async def remember(
        self, principal: Principal, request: RememberRequest, key: str
    ) -> RememberResult:
        """Keeps a memory; `key` is its id where the request has none.

        Raises:
            HiddenError: The id is that of a memory that the principal does not see.
            FaultError: The embedding model or the store failed.
        """
        name = request.id or key
        document = _document(name, request)
        known = (await self._store.find(principal, [name])).get(name)
        if known is not None and known.fingerprint == document.fingerprint:
            return RememberResult(id=name, status="unchanged")
        (vector,) = await self._embedder.embed([request.text])
        passage = _passage(principal, document, request.text)
        await self._store.put(
            principal,
            document,
            [
                IndexedPassage(
                    passage, request.text, vector, levels=("passage", "section", "document")
                )
            ],
        )
        await self._store.flush()
        return RememberResult(id=name, status="added" if known is None else "replaced")

    async def recall(self, principal: Principal, request: RecallRequest) -> RecallResult:
        """What fits, best first, or newest first where nothing is asked.

        Raises:
            FaultError: The embedding model or the store failed.
        """
        where = _where(request)
        if request.query is None:
            passages = await self._store.newest(principal, where, request.limit)
            return RecallResult(memories=tuple(_memory(each, each.score) for each in passages))
        (vector,) = await self._embedder.embed_queries([request.query])
        found = await self._store.search(
            Query(
                limit=max(CANDIDATES, request.limit),
                principal=principal,
                vector=vector,
                words=request.query,
                where=where,
            )
        )
        fused = self._fusion.fuse([Ranking(branch, each) for branch, each in found.items()])
        if request.half_life_days is not None:
            fused = decayed(fused, request.half_life_days, now())
        return RecallResult(
            memories=tuple(_memory(each.passage, each.score) for each in fused[: request.limit])
        )

    async def forget(
        self, principal: Principal, request: ForgetMemoriesRequest
    ) -> ForgetMemoriesResult:
        """Removes what fits and the principal sees.

        Raises:
            FaultError: The store failed; what it had removed stays so.
        """
        where = _where(request)
        gone: list[str] = []
        for first in range(0, len(request.ids), AT_ONCE):
            some = request.ids[first : first + AT_ONCE]
            condition = Condition(field="source", op="in", value=some)
            gone += await self._remove(
                principal, AllOf(all_of=(condition, *(() if where is None else (where,))))
            )
        if not request.ids:
            while removed := await self._remove(principal, where):
                gone += removed
        await self._store.flush()
        return ForgetMemoriesResult(ids=tuple(gone[:NAMED]), count=len(gone))

    async def _remove(self, principal: Principal, where: Filter | None) -> list[str]:
        fitting = await self._store.newest(principal, where, AT_ONCE)
        sources = [each.source for each in fitting]
        return list(await self._store.delete(principal, sources)) if sources else []

    async def conversation(
        self, principal: Principal, request: ConversationRequest, summarise: Summarise | None
    ) -> ConversationResult:
        """The newest turns within the window, and a summary of those before.

        Without `summarise` the summary is the beginnings of the latest of them.

        Raises:
            FaultError: The store or the model failed.
        """
        where = AllOf(
            all_of=(
                Condition(field="fields.session", op="eq", value=request.session),
                Condition(field="fields.role", op="exists"),
            )
        )
        newest = await self._store.newest(principal, where, TURNS)
        if sum(tokens.count(each.text) for each in newest) <= request.tokens:
            return ConversationResult(turns=tuple(map(_turn, reversed(newest))))
        room = request.tokens // 4
        kept = _fitting(newest, request.tokens - room)
        older = newest[kept:]
        if summarise is None:
            summary = _beginnings(older, room)
        else:
            said = "\n".join(f"{each.fields['role']}: {each.text}" for each in reversed(older))
            summary = _cut(await summarise(said), room)
        return ConversationResult(
            turns=tuple(map(_turn, reversed(newest[:kept]))),
            summary=summary,
            summarised=len(older),
        )


def _fitting(newest: Sequence[Passage], limit: int) -> int:
    """How many of the newest have `limit` tokens at most."""
    size = 0
    for place, each in enumerate(newest):
        size += tokens.count(each.text)
        if size > limit:
            return place
    return len(newest)


def _beginnings(newest: Sequence[Passage], limit: int) -> str:
    """The first sentence of each turn, in order of time, as far back as `limit` tokens reach."""
    lines: list[str] = []
    size = 0
    for each in newest:
        span = Span(0, len(each.text))
        first = next(iter(sentences(each.text, span)), span)
        line = f"{each.fields['role']}: {each.text[first.start : first.end]}"
        size += tokens.count(line)
        if size > limit:
            break
        lines.append(line)
    return "\n".join(reversed(lines))


def _cut(text: str, limit: int) -> str:
    """The beginning of a text, within `limit` tokens, at the end of a word."""
    words = text.split(" ")
    while words and tokens.count(" ".join(words)) > limit:
        words = words[: max(len(words) * 3 // 4, len(words) - 50)]
    return " ".join(words)


def _where(request: RecallRequest | ForgetMemoriesRequest) -> Filter | None:
    conditions = [
        Condition(field=f"fields.{name}", op="eq", value=value)
        for name in ("user", "session", "agent")
        if (value := getattr(request, name)) is not None
    ]
    if isinstance(request, RecallRequest) and request.since is not None:
        conditions.append(Condition(field="time", op="gte", value=request.since.isoformat()))
    if request.until is not None:
        conditions.append(Condition(field="time", op="lt", value=request.until.isoformat()))
    return AllOf(all_of=tuple(conditions)) if conditions else None


def _document(name: str, request: RememberRequest) -> DocumentInfo:
    fields = {
        field: value
        for field in ("user", "session", "agent", "role")
        if (value := getattr(request, field)) is not None
    }
    content = request.model_dump_json(exclude={"id", "v"})
    text = hashlib.sha256(request.text.encode()).hexdigest()
    return DocumentInfo(
        source=name,
        title="",
        media_type="text/plain",
        sha256=text,
        fingerprint=hashlib.sha256(content.encode()).hexdigest(),
        characters=len(request.text),
        passages=1,
        ingested_at=now(),
        labels=request.labels,
        time=request.time or now(),
        fields=fields,
    )


def _passage(principal: Principal, document: DocumentInfo, text: str) -> Passage:
    return Passage(
        id=str(uuid5(MEMORIES, f"{principal.tenant}\0{document.source}\0{document.fingerprint}")),
        source=document.source,
        title="",
        text=text,
        position=0,
        start=0,
        end=len(text),
        media_type=document.media_type,
        time=document.time,
        ingested_at=document.ingested_at,
        labels=document.labels,
        fields=document.fields,
    )


def _memory(passage: Passage, score: float) -> Memory:
    return Memory.model_validate(
        {
            "id": passage.source,
            "text": passage.text,
            "labels": passage.labels,
            "time": passage.time,
            "score": score,
            **passage.fields,
        }
    )


def _turn(passage: Passage) -> Turn:
    return Turn.model_validate(
        {"role": passage.fields["role"], "text": passage.text, "time": passage.time}
    )
