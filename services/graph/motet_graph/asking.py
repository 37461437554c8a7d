"""Asking the graph in Cypher: what is checked, run, and given back.

A query sees the whole store, so it is answered only while all of that belongs to who asks.
"""

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


async def ask(store: GraphStore, tenant: str, request: GraphQueryRequest) -> GraphQueryResult:
    """The rows of a query that only reads.

    Raises:
        FaultError: `invalid_input` with the reason when it is not accepted, or when another tenant
            has something in the store; what the store raises.
    """
    if len(json.dumps(request.parameters)) > MAX_PARAMETERS_BYTES:
        raise FaultError.of(
            FaultType.TOO_LARGE, f"The parameters are over {MAX_PARAMETERS_BYTES} bytes of JSON."
        )
    try:
        statement = checked(request.cypher, request.parameters)
    except QueryError as error:
        raise FaultError.of(FaultType.INVALID_INPUT, str(error)) from None
    await _check_alone(store, tenant)
    found = await store.query(
        statement, request.parameters, limit=request.limit, timeout_s=request.timeout_s
    )
    # Again: another tenant's first document may have come before the query was done.
    await _check_alone(store, tenant)
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


async def _check_alone(store: GraphStore, tenant: str) -> None:
    if await store.has_others(tenant):
        raise FaultError.of(
            FaultType.INVALID_INPUT,
            "Cypher sees the whole graph, and this one has documents of other tenants, so "
            "graph.query is closed. Take graph.search, graph.entity, graph.paths or "
            "graph.neighbourhood, or give each tenant a graph of its own.",
        )
