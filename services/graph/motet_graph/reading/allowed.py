"""What a query may consist of. Everything else is refused."""

from __future__ import annotations

__all__ = ["FUNCTIONS", "LABELS", "LIMITS", "RELATIONS", "Limits"]

from dataclasses import dataclass

LABELS = frozenset({"Document", "Entity", "Passage"})
RELATIONS = frozenset({"HAS", "MENTIONS", "RELATES", "SAME_AS"})

FUNCTIONS = frozenset(
    {
        "abs", "avg", "ceil", "coalesce", "collect", "count", "endnode", "floor", "head", "keys",
        "labels", "last", "left", "length", "max", "min", "nodes", "properties", "relationships",
        "right", "round", "size", "split", "startnode", "substring", "sum", "tail", "toboolean",
        "tofloat", "tointeger", "tolower", "tostring", "toupper", "trim", "type",
    }
)  # fmt: skip
"""Functions, in small letters. None has an effect, reads anything but its arguments, or gives much
more than it was given (as `range`, `reduce` and `replace` do)."""


@dataclass(frozen=True)
class Limits:
    """How large a query may be: each bounds what a short query can cost."""

    characters: int = 4000
    depth: int = 24
    """Levels of brackets."""
    clauses: int = 16
    hops: int = 6
    """Most relations of a path of variable length."""
    variable_paths: int = 3
    patterns: int = 6
    """Patterns separated by commas or in clauses of their own: two without a node in common are a
    product."""
    additions: int = 8
    """Uses of `+`, which a chain of WITH would let double a value each time."""


LIMITS = Limits()
