"""ArcadeDB's Bolt server, 26.10.

Seen by running it: it takes no notice of a transaction's access mode, so queries need a user of
their own who may only read; of two transactions that make one node at once, one fails with a
violated constraint; two that change one page fail with a conflict that it calls a deadlock; it says
nothing more of an error than its code.
"""

from __future__ import annotations

from motet_graph.stores.dialect import Dialect
from motet_graph.stores.neo4j import NEO4J

__all__ = ["ARCADEDB"]

ARCADEDB = Dialect(
    name="ArcadeDB",
    schema=NEO4J.schema,
    transient=frozenset(
        {
            "Neo.ClientError.Schema.ConstraintValidationFailed",
            "Neo.TransientError.Transaction.DeadlockDetected",
            "Neo.DatabaseError.General.UnknownError",
            "Neo.DatabaseError.Transaction.TransactionCommitFailed",
        }
    ),
    timed_out=frozenset(
        {
            "Neo.ClientError.Transaction.TransactionTimedOut",
            "Neo.TransientError.Transaction.LockClientStopped",
        }
    ),
    enforces_access_mode=False,
    isolates=False,
)
