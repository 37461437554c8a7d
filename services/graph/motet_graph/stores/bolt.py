"""The store behind every server that speaks Bolt, through the official driver.

Transactions that met another one are tried again here, some times with growing random waits: the
driver's own retries do not know what a server calls a conflict.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import neo4j
from neo4j import AsyncDriver, AsyncGraphDatabase, AsyncManagedTransaction, Query, RoutingControl
from neo4j.exceptions import DriverError, Neo4jError

from motet.errors import FaultError, NotYetError, SetupError
from motet.messages import FaultType, new_id
from motet_graph.statements import DocumentPart
from motet_graph.stores import cypher
from motet_graph.stores.arcadedb import ARCADEDB
from motet_graph.stores.dialect import Dialect
from motet_graph.stores.neo4j import NEO4J
from motet_graph.stores.port import DocumentVersion, EntityRecord, GraphStore, Rows
from motet_graph.stores.rows import as_json
from motet_graph.stores.transactions import got, held, ran, removed

__all__ = ["BoltStore"]

T = TypeVar("T")
Credentials = tuple[str, str]

DIALECTS = (ARCADEDB, NEO4J)
ATTEMPTS = 12
"""Times that a transaction is tried: 8 workers that write the same nodes take up to 5."""
FIRST_WAIT_S = 0.01
LOADED_AT_ONCE = 500
"""Documents that one query loads."""
SCANNED_FROM = 200
"""Documents from which on statements are loaded by looking at all of them: reached through what a
passage mentions, those of a common name are met once for each passage."""
CONNECT_WITHIN_S = 10.0

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Lock]] = WeakKeyDictionary()

# What the driver logs of a transaction that it tries again is no news to an operator.
logging.getLogger("neo4j").setLevel(logging.ERROR)


class BoltStore(GraphStore):
    """A graph on a server."""

    def __init__(
        self, driver: AsyncDriver, reader: AsyncDriver, database: str, dialect: Dialect
    ) -> None:
        """Use `open`."""
        self._driver = driver
        self._reader = reader
        self._database = database
        self.dialect = dialect
        self._turn: AbstractAsyncContextManager[Any] = nullcontext()

    @classmethod
    async def open(
        cls,
        url: str,
        credentials: Credentials | None,
        *,
        reader: Credentials | None = None,
        database: str,
    ) -> BoltStore:
        """Connects, and makes what is missing of the schema.

        Args:
            url: `bolt://` or `neo4j://`.
            credentials: User and password; None connects without.
            reader: The user for queries; None takes the same.
            database: The server's name of the graph.

        Raises:
            NotYetError: The server does not answer, or is not ready yet.
            SetupError: It refuses, or is none that is known.
        """
        driver = _driver(url, credentials)
        own = _driver(url, reader) if reader else driver
        store = cls(driver, own, database, NEO4J)
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                info = await driver.get_server_info()
                store.dialect = _dialect(str(info.agent))
                for statement in store.dialect.schema:
                    await driver.execute_query(statement, database_=database)  # type: ignore[arg-type]  # a constant
                old = await driver.execute_query(cypher.OLD, database_=database)
                if reader:
                    await own.execute_query("RETURN 1", database_=database)
        except (DriverError, Neo4jError, OSError, TimeoutError) as error:
            await store.close()
            passes = not isinstance(error, DriverError | Neo4jError) or error.is_retryable()
            raise (NotYetError if passes else SetupError)(
                f"The graph server {url} cannot be used ({_said(error)}). Start one (`make "
                "neo4j`), set MOTET_GRAPH_URL, MOTET_GRAPH_USER, MOTET_GRAPH_PASSWORD and "
                "MOTET_GRAPH_DATABASE to one that runs, or leave the URL out for the embedded one."
            ) from None
        if old.records:
            await store.close()
            raise SetupError(
                f"The graph on {url} is of an earlier version, which did not keep tenants apart. "
                "Remove the folder MOTET_GRAPH_DIR of the embedded server (by default `graph` in "
                "MOTET_DATA_DIR), or everything in the database of another (`MATCH (n) DETACH "
                "DELETE n`), and ingest the documents again."
            )
        if not (store.dialect.enforces_access_mode or reader):
            await store.close()
            raise SetupError(
                f"The graph server {url} lets every user write. Set MOTET_GRAPH_READER_USER and "
                "MOTET_GRAPH_READER_PASSWORD to one who may only read."
            )
        if not store.dialect.isolates:
            store._turn = _turn(url)
        return store

    async def put(
        self, tenant: str, part: DocumentPart, entities: Mapping[str, EntityRecord]
    ) -> None:
        """See `GraphStore.put`."""
        rows = cypher.rows_of(tenant, part)
        (document,) = cypher.ids_of(tenant, [part.source])
        nodes = cypher.entity_rows_of(tenant, entities)

        async def work(tx: AsyncManagedTransaction) -> None:
            # First the document: of two that put it at once, one waits or fails here. What waited
            # for a deletion may have changed a node that is gone.
            there: list[neo4j.Record] = []
            while not there:
                await ran(
                    tx,
                    cypher.PUT_DOCUMENT,
                    id=document,
                    tenant=tenant,
                    source=part.source,
                    fingerprint=part.fingerprint,
                    revision=part.revision,
                    model=part.model,
                )
                there = await got(tx, cypher.REVISIONS_OF, ids=[document])
            known = await removed(tx, [document])
            await ran(tx, cypher.PUT_ENTITIES, tenant=tenant, rows=nodes)
            for statement, batch in rows.items():
                if batch:
                    await ran(
                        tx,
                        statement,
                        document=document,
                        tenant=tenant,
                        source=part.source,
                        rows=batch,
                    )
            if known:
                await ran(tx, cypher.FORGET_ENTITIES, ids=known)
            await ran(tx, cypher.TOUCH, tenant=tenant, revision=new_id())

        await self._write(work)

    async def renew(
        self,
        tenant: str,
        part: DocumentPart,
        entities: Mapping[str, EntityRecord],
        *,
        instead_of: str,
    ) -> bool:
        """See `GraphStore.renew`."""
        rows = cypher.renewed_rows_of(tenant, part)
        (document,) = cypher.ids_of(tenant, [part.source])
        nodes = cypher.entity_rows_of(tenant, entities)

        async def work(tx: AsyncManagedTransaction) -> bool:
            (found,) = await held(tx, tenant, [part.source]) or (None,)
            if found is None or found["revision"] != instead_of:
                return False
            await ran(
                tx, cypher.RENEW_DOCUMENT, id=document, revision=part.revision, model=part.model
            )
            await ran(tx, cypher.RENEW_ENTITIES, rows=nodes)
            for statement, batch in rows.items():
                await ran(tx, statement, rows=batch)
            await ran(tx, cypher.TOUCH, tenant=tenant, revision=new_id())
            return True

        return await self._write(work)

    async def delete(self, tenant: str, sources: Sequence[str]) -> set[str]:
        """See `GraphStore.delete`."""

        async def work(tx: AsyncManagedTransaction) -> set[str]:
            there = {each["source"] for each in await held(tx, tenant, sorted(sources))}
            if there:
                documents = cypher.ids_of(tenant, sorted(there))
                entities = await removed(tx, documents)
                await ran(tx, cypher.REMOVE_DOCUMENTS, ids=documents)
                await ran(tx, cypher.FORGET_ENTITIES, ids=entities)
                await ran(tx, cypher.TOUCH, tenant=tenant, revision=new_id())
                await ran(tx, cypher.NOTHING_LEFT, tenant=tenant)
            return there

        return await self._write(work)

    async def revision(self, tenant: str) -> str | None:
        """See `GraphStore.revision`."""
        records = await self._read(cypher.REVISION, tenant=tenant)
        return records[0]["revision"] if records else None

    async def revisions(
        self, tenant: str, sources: Sequence[str] | None = None
    ) -> dict[str, DocumentVersion]:
        """See `GraphStore.revisions`."""
        if sources is None:
            records = await self._read(cypher.REVISIONS, tenant=tenant)
        else:
            records = await self._read(cypher.REVISIONS_OF, ids=cypher.ids_of(tenant, sources))
        return {
            each["source"]: DocumentVersion(each["revision"], each["fingerprint"], each["model"])
            for each in records
        }

    async def made_by_others(self, model: str) -> list[tuple[str, str]]:
        """See `GraphStore.made_by_others`."""
        records = await self._read(cypher.MADE_BY_OTHERS, model=model)
        return [(each["tenant"], each["source"]) for each in records]

    async def has_others(self, tenant: str) -> bool:
        """See `GraphStore.has_others`."""
        return bool(await self._read(cypher.OTHERS, tenant=tenant))

    async def load(self, tenant: str, sources: Sequence[str]) -> list[DocumentPart]:
        """See `GraphStore.load`."""
        found: list[list[neo4j.Record]] = [[] for _ in cypher.LOAD]
        scanned = cypher.SCAN if len(sources) > SCANNED_FROM else ()
        anchored = cypher.LOAD[: len(cypher.LOAD) - len(scanned)]
        for first in range(0, len(sources), LOADED_AT_ONCE):
            wanted = cypher.ids_of(tenant, sources[first : first + LOADED_AT_ONCE])
            for rows, statement in zip(found, anchored, strict=False):
                rows.extend(await self._read(statement, ids=wanted))
        chosen = set(sources)
        for rows, statement in zip(found[len(anchored) :], scanned, strict=True):
            every = await self._read(statement, tenant=tenant)
            rows.extend(each for each in every if each["source"] in chosen)
        documents, passages, mentions, statements, aliases = found
        return await asyncio.to_thread(
            cypher.parts_of, documents, passages, mentions, statements, aliases
        )

    async def entities(self, tenant: str, keys: Sequence[str]) -> list[EntityRecord]:
        """See `GraphStore.entities`."""
        found: list[EntityRecord] = []
        for first in range(0, len(keys), 5000):
            wanted = cypher.ids_of(tenant, keys[first : first + 5000])
            records = await self._read(cypher.ENTITIES, ids=wanted)
            found += [
                EntityRecord(
                    each["key"], each["name"], cypher.unpacked(each["vector"]), each["model"]
                )
                for each in records
            ]
        return found

    async def query(
        self, statement: str, parameters: Mapping[str, Any], *, limit: int, timeout_s: float
    ) -> Rows:
        """See `GraphStore.query`."""
        query = Query(statement, timeout=timeout_s)  # type: ignore[arg-type]  # checked before
        try:
            async with (
                asyncio.timeout(timeout_s + 1),
                self._reader.session(
                    database=self._database, default_access_mode=neo4j.READ_ACCESS
                ) as session,
            ):
                result = await session.run(query, dict(parameters))
                columns = tuple(result.keys())
                records = await result.fetch(limit + 1)
                rows = [tuple(as_json(value) for value in each.values()) for each in records]
        except TimeoutError:
            raise _too_slow(timeout_s) from None
        except Neo4jError as error:
            raise self._refused(error, timeout_s) from None
        except (DriverError, OSError) as error:
            raise _unavailable(error) from None
        return Rows(columns, rows[:limit], truncated=len(rows) > limit)

    async def close(self) -> None:
        """See `GraphStore.close`."""
        await self._driver.close()
        if self._reader is not self._driver:
            await self._reader.close()

    def _refused(self, error: Neo4jError, timeout_s: float) -> FaultError:
        if error.code in self.dialect.timed_out or "Timeout" in (error.code or ""):
            return _too_slow(timeout_s)
        # An embedded server that has just started again does not know its users at once.
        unknown = (error.code or "").startswith("Neo.ClientError.Security.Unauthorized")
        if (error.code or "").startswith("Neo.ClientError") and not unknown:
            return FaultError.of(
                FaultType.INVALID_INPUT,
                f"The graph does not take this query ({error.code}).",
                code=error.code,
            )
        return _unavailable(error)

    async def _read(self, statement: str, **parameters: Any) -> list[neo4j.Record]:
        async def work() -> list[neo4j.Record]:
            result = await self._driver.execute_query(
                statement,  # type: ignore[arg-type]  # one of this package's constants
                parameters,
                database_=self._database,
                routing_=RoutingControl.READ,
            )
            return result.records

        return await self._tried(work)

    async def _write(self, work: Callable[[AsyncManagedTransaction], Awaitable[T]]) -> T:
        async def once() -> T:
            async with self._turn, self._driver.session(database=self._database) as session:
                tx = await session.begin_transaction()
                async with tx:
                    value = await work(tx)  # type: ignore[arg-type]  # has what `work` needs
                    await tx.commit()
                return value

        return await self._tried(once)

    async def _tried(self, work: Callable[[], Awaitable[T]]) -> T:
        wait_s = FIRST_WAIT_S
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await work()
            except Neo4jError as error:
                if not self.dialect.is_transient(error) or attempt == ATTEMPTS:
                    raise _unavailable(error) from error
            except (DriverError, OSError) as error:
                raise _unavailable(error) from error
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.5))  # noqa: S311 - only spreads
            wait_s = min(wait_s * 2, 0.5)
        raise AssertionError("the last attempt returns or raises")


def _turn(url: str) -> asyncio.Lock:
    """The lock that the writers to a server share, within an event loop."""
    locks = _turns.setdefault(asyncio.get_running_loop(), {})
    return locks.setdefault(url, asyncio.Lock())


def _driver(url: str, credentials: Credentials | None) -> AsyncDriver:
    try:
        return AsyncGraphDatabase.driver(
            url,
            auth=credentials,
            connection_timeout=CONNECT_WITHIN_S,
            connection_acquisition_timeout=30,
            notifications_min_severity="OFF",
            telemetry_disabled=True,
        )
    except (DriverError, ValueError) as error:
        raise SetupError(
            f"MOTET_GRAPH_URL={url!r} is wrong ({error}): give an address such as "
            "bolt://127.0.0.1:7687 or neo4j://graph:7687."
        ) from None


def _dialect(agent: str) -> Dialect:
    return next((each for each in DIALECTS if each.name in agent), NEO4J)


def _said(error: BaseException) -> str:
    if isinstance(error, Neo4jError):
        return error.code or type(error).__name__
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _unavailable(error: BaseException) -> FaultError:
    return FaultError.of(
        FaultType.UNAVAILABLE, f"The graph server failed ({_said(error)}).", retryable=True
    )


def _too_slow(timeout_s: float) -> FaultError:
    return FaultError.of(
        FaultType.DEADLINE_EXCEEDED,
        f"The query took longer than {timeout_s:g} s. Ask for less, or nearer.",
    )
