"""The conditions of a Qdrant server."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from qdrant_client import models
from typing_extensions import override

from motet_retriever.stores.qdrant_filters import Terms

__all__ = ["ServerTerms"]


class ServerTerms(Terms[models.Condition]):
    """Conditions of `qdrant-client`."""

    @override
    def one_of(self, key: str, values: Sequence[str] | Sequence[int]) -> models.Condition:
        if len(values) == 1:
            match: models.Match = models.MatchValue(value=values[0])
        else:
            match = models.MatchAny.model_validate({"any": [*values]})
        return models.FieldCondition(key=key, match=match)

    @override
    def number(self, key: str, **bounds: float) -> models.Condition:
        return models.FieldCondition(key=key, range=models.Range(**bounds))

    @override
    def moment(self, key: str, **bounds: datetime) -> models.Condition:
        return models.FieldCondition(key=key, range=models.DatetimeRange(**bounds))

    @override
    def contains(self, key: str, text: str) -> models.Condition:
        return models.FieldCondition(key=key, match=models.MatchSubstring(substring=text))

    @override
    def prefix(self, key: str, text: str) -> models.Condition:
        return models.FieldCondition(key=key, match=models.MatchPrefix(prefix=text))

    @override
    def empty(self, key: str) -> models.Condition:
        return models.IsEmptyCondition(is_empty=models.PayloadField(key=key))

    @override
    def join(
        self,
        must: Sequence[models.Condition] = (),
        should: Sequence[models.Condition] = (),
        must_not: Sequence[models.Condition] = (),
    ) -> models.Filter:
        return models.Filter(
            must=[*must] or None, should=[*should] or None, must_not=[*must_not] or None
        )
