"""Closest matches: what somebody may have meant by a name that does not exist.

The work is bounded however many candidates there are and however long: at most `_CANDIDATES` are
compared, each by its first `_CHARACTERS`.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

__all__ = ["closest", "did_you_mean"]

_CANDIDATES = 4000
_CHARACTERS = 48


def closest(word: str, candidates: Iterable[str], limit: int = 3) -> tuple[str, ...]:
    """Up to `limit` candidates that look like `word`, the most similar first, shortened."""
    originals: dict[str, str] = {}
    for candidate in islice(candidates, _CANDIDATES):
        originals.setdefault(candidate[:_CHARACTERS].casefold(), candidate)
    found = get_close_matches(word[:_CHARACTERS].casefold(), originals, n=limit, cutoff=0.6)
    return tuple(originals[match][:_CHARACTERS] for match in found)


def did_you_mean(matches: Iterable[str]) -> str:
    """A sentence that names the matches, with a space before it; empty when there are none."""
    quoted = [f"`{match}`" for match in matches]
    return f" Did you mean {' or '.join(quoted)}?" if quoted else ""
