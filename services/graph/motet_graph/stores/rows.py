"""Values of the database as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from neo4j.graph import Node, Path, Relationship

__all__ = ["as_json"]


def as_json(value: Any) -> Any:  # noqa: PLR0911 - one for each kind of value
    """A value that a query gave, as JSON. Bytes, which are embeddings, are left out as null."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Node):
        return {"labels": sorted(value.labels), "properties": _properties(value)}
    if isinstance(value, Relationship):
        return {"type": value.type, "properties": _properties(value)}
    if isinstance(value, Path):
        return {
            "nodes": [as_json(node) for node in value.nodes],
            "relationships": [as_json(each) for each in value.relationships],
        }
    if isinstance(value, bytes | bytearray | memoryview):
        return None
    if isinstance(value, Mapping):
        return {str(key): as_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_json(each) for each in value]
    return str(value)


def _properties(value: Node | Relationship) -> dict[str, Any]:
    return {
        key: as_json(each)
        for key, each in sorted(value.items())
        if not isinstance(each, bytes | bytearray | memoryview)
    }
