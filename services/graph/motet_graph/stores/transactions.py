"""What transactions that write have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from neo4j import AsyncManagedTransaction, Record

from motet_graph.stores import cypher

__all__ = ["got", "held", "ran", "removed"]


async def ran(tx: AsyncManagedTransaction, statement: str, **parameters: Any) -> None:
    """Runs a statement to its end."""
    result = await tx.run(statement, parameters)  # type: ignore[arg-type]  # a constant
    await result.consume()


async def got(tx: AsyncManagedTransaction, statement: str, **parameters: Any) -> list[Record]:
    """The rows of a statement."""
    result = await tx.run(statement, parameters)  # type: ignore[arg-type]  # a constant
    return [record async for record in result]


async def held(tx: AsyncManagedTransaction, tenant: str, sources: Sequence[str]) -> list[Record]:
    """Versions of the documents that are there; nobody changes one until the transaction ends."""
    ids = cypher.ids_of(tenant, sources)
    await ran(tx, cypher.HOLD, ids=ids, tenant=tenant)
    # A statement of its own: only what is read after waiting is sure to be so.
    return await got(tx, cypher.REVISIONS_OF, ids=ids)


async def removed(tx: AsyncManagedTransaction, documents: Sequence[str]) -> list[str]:
    """Removes what documents have; returns the ids of the entities that they mentioned."""
    (found,) = await got(tx, cypher.FIND, ids=documents)
    if found["passages"]:
        for statement in cypher.REMOVE:
            await ran(tx, statement, ids=documents)
    return list(found["entities"])
