"""Neo4j, 5 and later.

It keeps transactions that were opened for reading from writing (Neo4j Operations Manual, "Access
modes"), so one user is enough.
"""

from __future__ import annotations

from motet_graph.stores.dialect import Dialect

__all__ = ["NEO4J"]

NEO4J = Dialect(
    name="Neo4j",
    schema=(
        # Of versions that knew no tenants: two tenants may have one source, and one name.
        "DROP CONSTRAINT document_source IF EXISTS",
        "DROP CONSTRAINT entity_key IF EXISTS",
        "CREATE CONSTRAINT document_id IF NOT EXISTS FOR (d:Document) REQUIRE d.id IS UNIQUE",
        "CREATE CONSTRAINT passage_id IF NOT EXISTS FOR (p:Passage) REQUIRE p.key IS UNIQUE",
        "CREATE CONSTRAINT tenant_id IF NOT EXISTS FOR (t:Tenant) REQUIRE t.id IS UNIQUE",
        "CREATE CONSTRAINT entity_id IF NOT EXISTS FOR (e:Entity) REQUIRE e.id IS UNIQUE",
    ),
    # Two transactions that make one node at once: the second finds it when it tries again.
    transient=frozenset({"Neo.ClientError.Schema.ConstraintValidationFailed"}),
    timed_out=frozenset(
        {
            "Neo.ClientError.Transaction.TransactionTimedOut",
            "Neo.ClientError.Transaction.TransactionTimedOutClientConfiguration",
        }
    ),
    enforces_access_mode=True,
    isolates=True,
)
