"""The conditions of Qdrant's engine in the process."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import qdrant_edge as qdrant
from typing_extensions import override

from motet_retriever.stores.qdrant_filters import Terms

__all__ = ["EdgeTerms"]


class EdgeTerms(Terms["qdrant.ConditionType"]):
    """Conditions of `qdrant-edge-py`."""

    @override
    def one_of(self, key: str, values: Sequence[str] | Sequence[int]) -> qdrant.ConditionType:
        if len(values) == 1:  # the engine looks up one value faster than a list
            return qdrant.FieldCondition(key, match=qdrant.MatchValue(values[0]))
        return qdrant.FieldCondition(key, match=qdrant.MatchAny([*values]))  # pyright: ignore[reportArgumentType]

    @override
    def number(self, key: str, **bounds: float) -> qdrant.ConditionType:
        return qdrant.FieldCondition(key, range=qdrant.RangeFloat(**bounds))

    @override
    def moment(self, key: str, **bounds: datetime) -> qdrant.ConditionType:
        written = {bound: moment.isoformat() for bound, moment in bounds.items()}
        return qdrant.FieldCondition(key, range=qdrant.RangeDateTime(**written))

    @override
    def contains(self, key: str, text: str) -> qdrant.ConditionType:
        return qdrant.FieldCondition(key, match=qdrant.MatchSubstring(text))

    @override
    def prefix(self, key: str, text: str) -> qdrant.ConditionType:
        return qdrant.FieldCondition(key, match=qdrant.MatchPrefix(text))

    @override
    def empty(self, key: str) -> qdrant.ConditionType:
        return qdrant.IsEmptyCondition(key)

    @override
    def join(
        self,
        must: Sequence[qdrant.ConditionType] = (),
        should: Sequence[qdrant.ConditionType] = (),
        must_not: Sequence[qdrant.ConditionType] = (),
    ) -> qdrant.ConditionType:
        return qdrant.Filter([*must] or None, [*should] or None, [*must_not] or None)
