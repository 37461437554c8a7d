"""A passage store in memory, brute force: what the others must agree with.

Principal and filters are evaluated here in plain Python, one passage after another.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from typing_extensions import override

from motet.messages import (
    AllOf,
    AnyOf,
    Condition,
    DocumentInfo,
    Filter,
    NoneOf,
    Passage,
    Principal,
    now,
)
from motet_retriever.stores.port import (
    Branch,
    Found,
    HiddenError,
    IndexedPassage,
    PassageStore,
    Query,
    StoredDocument,
)

Key = tuple[str, str]


def sees(principal: Principal, tenant: str, labels: Sequence[str]) -> bool:
    return tenant == principal.tenant and (not labels or bool(set(labels) & set(principal.access)))


def holds(where: Filter | None, passage: Passage) -> bool:
    match where:
        case None:
            return True
        case AllOf():
            return all(holds(each, passage) for each in where.all_of)
        case AnyOf():
            return any(holds(each, passage) for each in where.any_of)
        case NoneOf():
            return not any(holds(each, passage) for each in where.none_of)
        case Condition():
            return _meets(where, _values(where.field, passage))


def _values(field: str, passage: Passage) -> list[Any]:
    name = field.removeprefix("fields.")
    value = passage.fields.get(name) if name != field else getattr(passage, field)
    values = list(value) if isinstance(value, tuple) else [value]
    return [each for each in values if each is not None and each != ""]


def _meets(condition: Condition, there: list[Any]) -> bool:
    wanted = condition.values
    match condition.op:
        case "exists" | "missing":
            return bool(there) == (condition.op == "exists")
        case "eq" | "in":
            return any(_same(one, other) for one in there for other in wanted)
        case "ne" | "not_in":
            return not any(_same(one, other) for one in there for other in wanted)
        case "contains" | "prefix":
            look = str.__contains__ if condition.op == "contains" else str.startswith
            return any(isinstance(one, str) and look(one, str(wanted[0])) for one in there)
        case "lt" | "lte" | "gt" | "gte":
            return any(_compares(condition.op, one, wanted[0]) for one in there)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, datetime):
        return one == _moment(other)
    numbers = [
        isinstance(each, int | float) and not isinstance(each, bool) for each in (one, other)
    ]
    return one == other and (all(numbers) or type(one) is type(other))


def _compares(op: str, one: Any, other: Any) -> bool:
    if isinstance(other, str):
        one, other = _moment(one), _moment(other)
        if one is None or other is None:
            return False
    elif isinstance(one, bool) or not isinstance(one, int | float):
        return False
    return {"lt": one < other, "lte": one <= other, "gt": one > other, "gte": one >= other}[op]


def _moment(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None


def words_of(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


class MemoryStore(PassageStore):
    """Documents in a dictionary."""

    def __init__(self) -> None:
        self.documents: dict[Key, tuple[DocumentInfo, list[IndexedPassage]]] = {}
        self.asked: list[Query] = []
        """Every search."""
        self.principals: list[Principal] = []
        """On whose behalf anything was read."""

    def _visible(self, principal: Principal) -> list[tuple[DocumentInfo, list[IndexedPassage]]]:
        self.principals.append(principal)
        return [
            each
            for (tenant, _), each in sorted(self.documents.items())
            if sees(principal, tenant, each[0].labels)
        ]

    @override
    async def put(
        self, principal: Principal, document: DocumentInfo, passages: Sequence[IndexedPassage]
    ) -> None:
        key = (principal.tenant, document.source)
        before = self.documents.get(key)
        if before is not None and not sees(principal, principal.tenant, before[0].labels):
            raise HiddenError
        self.documents[key] = (document, list(passages))

    @override
    async def fail(self, principal: Principal, document: DocumentInfo) -> None:
        there, passages = self.documents.get((principal.tenant, document.source), (document, []))
        failed = there.model_copy(update={"failure": document.failure})
        await self.put(principal, failed, passages)

    @override
    async def delete(self, principal: Principal, sources: Sequence[str]) -> dict[str, int]:
        removed: dict[str, int] = {}
        for info, passages in self._visible(principal):
            if info.source in sources:
                removed[info.source] = sum("passage" in each.levels for each in passages)
                del self.documents[principal.tenant, info.source]
        return removed

    @override
    async def find(self, principal: Principal, sources: Sequence[str]) -> dict[str, DocumentInfo]:
        return {info.source: info for info, _ in self._visible(principal) if info.source in sources}

    @override
    async def page(
        self, principal: Principal, limit: int, after: str | None
    ) -> tuple[list[DocumentInfo], str | None]:
        infos = [info for info, _ in self._visible(principal) if info.source > (after or "")]
        more = len(infos) > limit
        return infos[:limit], infos[limit - 1].source if more else None

    @override
    async def search(self, query: Query) -> Mapping[Branch, Sequence[Found]]:
        self.asked.append(query)
        there = [
            each
            for asking in filter(None, (query.principal, query.beside))
            for info, passages in self._visible(asking)
            if not query.sources or info.source in query.sources
            for each in passages
            if query.level in each.levels and holds(query.where, each.passage)
        ]
        found: dict[Branch, Sequence[Found]] = {}
        if query.vector is not None:
            nearness = [float(each.vector @ query.vector) for each in there]
            found["dense"] = _best(there, nearness, query)
        if query.words is not None:
            scores = _bm25([words_of(each.words) for each in there], words_of(query.words))
            found["sparse"] = [each for each in _best(there, scores, query) if each.score > 0]
        return found

    @override
    async def read(
        self, principal: Principal, source: str, *, where: Filter | None = None, limit: int = 1000
    ) -> list[Passage]:
        return [
            each.passage
            for info, passages in self._visible(principal)
            if info.source == source
            for each in passages
            if "passage" in each.levels and holds(where, each.passage)
        ][:limit]

    @override
    async def newest(self, principal: Principal, where: Filter | None, limit: int) -> list[Passage]:
        found = [
            each.passage
            for _, passages in self._visible(principal)
            for each in passages
            if "passage" in each.levels and each.passage.time and holds(where, each.passage)
        ]
        return sorted(found, key=lambda each: each.time or now(), reverse=True)[:limit]

    @override
    async def get(self, principal: Principal, ids: Sequence[str]) -> dict[str, Passage]:
        return {
            each.passage.id: each.passage
            for _, passages in self._visible(principal)
            for each in passages
            if each.passage.id in ids and "passage" in each.levels
        }

    @override
    async def export(
        self, limit: int, after: str | None, *, passages: bool = True
    ) -> tuple[list[StoredDocument], str | None]:
        keys = sorted(self.documents)
        first = 0 if after is None else int(after)
        last = first + limit
        there = ((key[0], *self.documents[key]) for key in keys[first:last])
        some = [StoredDocument(by, info, parts if passages else []) for by, info, parts in there]
        return some, str(last) if last < len(keys) else None

    @override
    async def flush(self) -> None:
        pass

    @override
    async def close(self) -> None:
        pass


def _best(there: list[IndexedPassage], scores: list[float], query: Query) -> list[Found]:
    order = sorted(range(len(there)), key=lambda place: (-scores[place], there[place].passage.id))[
        : query.limit
    ]
    return [
        Found(there[place].passage, scores[place], there[place].vector if query.vectors else None)
        for place in order
    ]


def _bm25(texts: list[list[str]], question: list[str]) -> list[float]:
    counts = [Counter(text) for text in texts]
    mean = sum(map(len, texts)) / max(len(texts), 1) or 1.0
    scores = [0.0] * len(texts)
    for word in set(question):
        having = sum(word in each for each in counts)
        idf = math.log(1 + (len(texts) - having + 0.5) / (having + 0.5))
        for place, each in enumerate(counts):
            norm = 1.2 * (0.25 + 0.75 * len(texts[place]) / mean)
            scores[place] += idf * each[word] * 2.2 / (each[word] + norm)
    return scores
