"""Reasons: why a passage was found, in words made from what the branches said.

    1st by meaning, 3rd by words; 2nd after re-reading
    1st by words for "head of the institute"; in the 2nd document

What is said is what `Passage.branches` holds, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from motet.messages import BranchScore

__all__ = ["ordinal", "reason"]

_BY = {"dense": "by meaning", "sparse": "by words", "graph": "by connections"}
_WITHIN = {"document": "document", "section": "section"}
RERANK = "rerank"

_QUERIES = 3
"""Sub-queries that are told of."""
_SHOWN = 60
"""Characters of a sub-query that are shown."""


def ordinal(number: int) -> str:
    """`1st`, `2nd`, `3rd`, `4th`, `11th`."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10)
    return f"{number}{ending or 'th'}"


def reason(branches: Sequence[BranchScore], *remarks: str) -> str:
    """Why a passage is there.

    Args:
        branches: What was said of it.
        remarks: What else is to be said, in short.
    """
    proposals = [each for each in branches if each.branch not in (*_WITHIN, RERANK)]
    parts = [*_proposed(proposals)]
    within = [
        f"{ordinal(each.rank)} {_WITHIN[each.branch]}"
        for each in branches
        if each.branch in _WITHIN
    ]
    if within:
        parts.append("in the " + " and the ".join(dict.fromkeys(within)))
    parts += [
        f"{ordinal(each.rank)} after re-reading" for each in branches if each.branch == RERANK
    ]
    return "; ".join([*parts, *remarks])


def _proposed(branches: Iterable[BranchScore]) -> list[str]:
    """A clause for the question itself, then one for each sub-query, the best first."""
    by_query = {
        query: list(said)
        for query, said in groupby(
            sorted(branches, key=lambda each: each.query or ""), key=lambda each: each.query
        )
    }
    queries = sorted(by_query, key=lambda each: (each is not None, _best(by_query[each])))
    clauses: list[str] = []
    for query in queries[:_QUERIES]:
        said = ", ".join(
            f"{ordinal(each.rank)} {_BY.get(each.branch, each.branch)}" for each in by_query[query]
        )
        clauses.append(said if query is None else f'{said} for "{_short(query)}"')
    left = len(queries) - _QUERIES
    return [*clauses, f"and for {left} more"] if left > 0 else clauses


def _best(said: Sequence[BranchScore]) -> int:
    return min(each.rank for each in said)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1].rstrip() + "…"
