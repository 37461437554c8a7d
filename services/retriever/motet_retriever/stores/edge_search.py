"""Searches of the embedded store: several at once, in one pass over codes and one over the shard.

Invariants:

- Nothing interleaves with the calls of the engine that answer searches, and each of its queries
  carries all conditions. What the codes propose only narrows the dense ones.
- Where the codes may have missed something (a filter that few of their proposals meet), the engine
  compares with everything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeAlias, cast
from uuid import UUID

import numpy as np
import qdrant_edge as qdrant

from motet_retriever.stores.bm25 import Bm25
from motet_retriever.stores.edge_cache import CachedDocument, EdgeCache
from motet_retriever.stores.edge_terms import EdgeTerms
from motet_retriever.stores.port import Branch, Found, Query, Vector
from motet_retriever.stores.qdrant_filters import translate
from motet_retriever.stores.qdrant_payload import PASSAGE, found_by, named_by

__all__ = ["Answer", "EdgeSearch"]

Answer = dict[Branch, list[Found]]

TERMS = EdgeTerms()

CODED_FROM = 4096
"""Passages from which on codes are looked at first; fewer are compared exactly as fast."""
PROPOSED = 2
"""How many passages the codes propose for each that is asked for."""
PROPOSED_AT_LEAST = 100
FILTERED = 2000
"""How many they propose where a filter will leave some."""
WORTH_IT = 2
"""How many passages there must be for each that the codes propose."""
BATCH = 1000
"""Embeddings that are read at once."""
EXACT = qdrant.SearchParams(exact=True)


_Row: TypeAlias = tuple[UUID, tuple[str, ...], Vector, str, str]


class EdgeSearch:
    """Searches in a shard, of whose embeddings there are codes."""

    def __init__(self, shard: qdrant.EdgeShard, cache: EdgeCache, words: Bm25) -> None:
        self._shard = shard
        self._cache = cache
        self._words = words

    def catch_up(self) -> None:
        """Brings the cache to what the shard has. Blocks; 100,000 embeddings take seconds."""
        there, _ = self._shard.scroll(
            qdrant.ScrollRequest(
                limit=max(self._shard.count(qdrant.CountRequest()), 1),
                filter=qdrant.Filter(must=[qdrant.HasVectorCondition("dense")]),
                with_payload=False,
                with_vector=False,
            )
        )
        missing = list(self._cache.keep_only(cast("UUID", each.id) for each in there))
        documents: defaultdict[str, list[_Row]] = defaultdict(list)
        for first in range(0, len(missing), BATCH):
            for each in self._shard.retrieve(
                [*missing[first : first + BATCH]],
                ["to", "document", "passage_id", *PASSAGE],
                ["dense"],
            ):
                payload, vectors = each.payload or {}, cast("Any", each.vector)
                vector = np.array(vectors["dense"], np.float32)
                documents[payload["document"]].append(
                    (
                        cast("UUID", each.id),
                        tuple(payload["to"]),
                        vector,
                        payload["passage_id"],
                        payload["passage"],
                    )
                )
        for document, rows in documents.items():
            ids, to, vectors, names, texts = zip(*rows, strict=True)
            self._cache.put(CachedDocument(document, ids, to, np.stack(vectors), names, texts))

    def answer(self, queries: Sequence[Query]) -> list[Answer]:
        """What each query finds."""
        propose = self._proposing(queries)  # in other threads
        try:
            words = {
                place: _request(query, self._terms(query.words), query.limit, _conditions(query))
                for place, query in enumerate(queries)
                if query.words is not None
            }
            sparse = self._asked(queries, words)
        finally:
            proposed = propose()
        vectors = {
            place: self._dense(query, proposed.get(place))
            for place, query in enumerate(queries)
            if query.vector is not None
        }
        dense = self._asked(queries, vectors, proposed)
        return [
            {
                **({"dense": dense[place]} if place in dense else {}),
                **({"sparse": sparse[place]} if place in sparse else {}),
            }
            for place in range(len(queries))
        ]

    def _asked(
        self,
        queries: Sequence[Query],
        requests: Mapping[int, qdrant.QueryRequest],
        proposed: Collection[int] = (),
    ) -> dict[int, list[Found]]:
        """What a branch finds, by the places of the queries."""
        if not requests:
            return {}
        found: dict[int, list[Found]] = {}
        results = self._shard.query_batch(qdrant.QueryBatchRequest([*requests.values()]))
        for place, points in zip(requests, results, strict=True):
            query = queries[place]
            if place in proposed and len(points) < _wanted(query):
                points = self._shard.query(self._dense(query, None))  # noqa: PLW2901
            found[place] = [self._found(each) for each in points[: query.limit]]
        return found

    def _proposing(self, queries: Sequence[Query]) -> Callable[[], dict[int, list[UUID]]]:
        """What is nearest by codes, by the places of the queries for which they are looked at."""
        places = [place for place, query in enumerate(queries) if self._by_codes(query)]
        if not places:
            return dict
        chosen = [queries[place] for place in places]
        nearest = self._cache.nearest(
            np.stack([cast("Any", query.vector) for query in chosen]),
            [tuple(found_by(query)) for query in chosen],
            max(map(_proposals, chosen)),
        )
        return lambda: dict(zip(places, nearest(), strict=True))

    def _by_codes(self, query: Query) -> bool:
        """Whether codes are looked at first: where an exact comparison has more to look at."""
        least = max(CODED_FROM, WORTH_IT * _proposals(query))
        if query.vector is None or query.exact or len(self._cache) < least:
            return False
        if not _narrowed(query):
            return True
        which = qdrant.Filter(must=_conditions(query))
        return self._shard.count(qdrant.CountRequest(filter=which, exact=False)) >= least

    def _terms(self, words: str) -> qdrant.Query:
        return qdrant.Query.Nearest(self._words.embed_query(words), using="sparse")

    def _found(self, point: qdrant.ScoredPoint) -> Found:
        name: Any = point.id  # a UUID, as all that are made here
        vectors: Any = point.vector
        vector = None if vectors is None else np.asarray(vectors["dense"], np.float32)
        cached = self._cache.passage(name)
        if cached is None:
            (record,) = self._shard.retrieve([name], PASSAGE, False)
            return Found((record.payload or {})["passage"].encode(), point.score, vector)
        return Found(cached[1], point.score, vector, id=cached[0])

    def _dense(self, query: Query, among: list[UUID] | None) -> qdrant.QueryRequest:
        vector = qdrant.Query.Nearest(cast("Any", query.vector).tolist(), using="dense")
        which = _conditions(query)
        if among is None:
            return _request(query, vector, query.limit, which)
        which.append(qdrant.HasIdCondition(set(among)))
        return _request(query, vector, _wanted(query), which)


def _narrowed(query: Query) -> bool:
    return query.where is not None or bool(query.sources)


def _proposals(query: Query) -> int:
    return max(PROPOSED * query.limit, FILTERED if _narrowed(query) else PROPOSED_AT_LEAST)


def _wanted(query: Query) -> int:
    """How many must be left of what was proposed, for the best to be among them.

    Without a filter, all that was proposed is left; where that is less than the limit, there is no
    more.
    """
    return 2 * query.limit if _narrowed(query) else query.limit


def _conditions(query: Query) -> list[qdrant.ConditionType]:
    which = [TERMS.one_of("to", found_by(query))]
    if query.sources:
        which.append(TERMS.one_of("document", named_by(query)))
    if query.where is not None:
        which.append(translate(TERMS, query.where))
    return which


def _request(
    query: Query, asked: qdrant.Query, limit: int, which: list[qdrant.ConditionType]
) -> qdrant.QueryRequest:
    return qdrant.QueryRequest(
        limit=limit,
        query=asked,
        filter=qdrant.Filter(must=which),
        params=EXACT,
        with_payload=False,
        with_vector=["dense"] if query.vectors else False,
    )
