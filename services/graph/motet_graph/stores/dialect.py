"""What differs from server to server, as data."""

from __future__ import annotations

from dataclasses import dataclass

from neo4j.exceptions import Neo4jError

__all__ = ["Dialect"]


@dataclass(frozen=True)
class Dialect:
    """One kind of server."""

    name: str
    """A word of what its server calls itself; ArcadeDB calls itself compatible with Neo4j."""
    schema: tuple[str, ...]
    """Statements that make its constraints and indexes, and do nothing where they are."""
    transient: frozenset[str]
    """Codes of errors after which the same transaction may succeed, beside those that the driver
    knows."""
    timed_out: frozenset[str]
    """Codes by which it says that a query took too long."""
    enforces_access_mode: bool
    """Whether it refuses to write in a transaction that was opened for reading."""
    isolates: bool
    """Whether a transaction that read what another changes before it commits fails or waits. Where
    not, the writes of a process take turns, and the graph should have one writing process."""

    def is_transient(self, error: Neo4jError) -> bool:
        """Whether the same transaction may succeed when it is tried again."""
        return error.is_retryable() or error.code in self.transient
