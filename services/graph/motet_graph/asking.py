"""Asking the graph in Cypher: what is checked, run, and given back."""

from __future__ import annotations

import json
from typing import Any

from motet.errors import FaultError
from motet.messages import FaultType, GraphQueryRequest, GraphQueryResult
from motet_graph.reading.parser import checked
from motet_graph.reading.tokens import QueryError
from motet_graph.stores.port import GraphStore

__all__ = ["ask"]

MAX_PARAMETERS_BYTES = 64_000
MAX_RESULT_BYTES = 512_000
"""Bytes of JSON that a result has; rows beyond it are left out."""


async def ask(store: GraphStore, request: GraphQueryRequest) -> GraphQueryResult:
    """The rows of a query that only reads.

    Raises:
        FaultError: `invalid_input` with the reason when it is not accepted; what the store raises.
    """
    if len(json.dumps(request.parameters)) > MAX_PARAMETERS_BYTES:
        raise FaultError.of(
            FaultType.TOO_LARGE, f"The parameters are over {MAX_PARAMETERS_BYTES} bytes of JSON."
        )
    try:
        statement = checked(request.cypher, request.parameters)
    except QueryError as error:
        raise FaultError.of(FaultType.INVALID_INPUT, str(error)) from None
    found = await store.query(
        statement, request.parameters, limit=request.limit, timeout_s=request.timeout_s
    )
    rows: list[tuple[Any, ...]] = []
    size = 0
    for row in found.rows:
        size += len(json.dumps(row))
        if size > MAX_RESULT_BYTES:
            break
        rows.append(row)
    return GraphQueryResult(
        columns=found.columns,
        rows=tuple(rows),
        truncated=found.truncated or len(rows) < len(found.rows),
    )
