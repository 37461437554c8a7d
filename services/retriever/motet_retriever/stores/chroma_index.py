"""Vectors in Chroma, in a folder of the store or on a server.

A row is a record under its number, whose array `to` says who finds it. Searches go through Chroma's
approximate index, so the catalogue completes what they miss.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import httpx
import numpy as np
from typing_extensions import override

from motet.errors import FaultError
from motet.messages import FaultType
from motet_retriever.stores.port import Vector
from motet_retriever.stores.vector_index import (
    AT_ONCE,
    Home,
    Rows,
    VectorIndex,
    Vectors,
    batches,
    not_installed,
)

__all__ = ["ChromaIndex"]

CALL_WITHIN_S = 15.0
"""Seconds that a server may take to answer."""


class ChromaIndex(VectorIndex):
    """A collection of Chroma's."""

    given_rows: ClassVar[bool] = False

    def __init__(
        self, path: Path, home: Home, *, url: str | None, key: str | None, collection: str
    ) -> None:
        """The collection in the store's folder `path`, or on the server at `url`.

        Raises:
            SetupError: Chroma is not installed.
            FaultError: The server does not answer.
        """
        try:
            import chromadb
            from chromadb.config import Settings
            from chromadb.errors import ChromaError
        except ImportError as error:
            raise not_installed("chroma", error) from None
        self._failures: tuple[type[Exception], ...] = (ChromaError, httpx.HTTPError)
        self._remote = url is not None
        self._sessions: list[httpx.Client] = []
        # Motet's own environment is none of Chroma's; nothing is reported to anybody.
        options: dict[str, Any] = {"anonymized_telemetry": False, "_env_file": None}
        if url is None:
            settings = Settings(**options)
            self._client: Any = chromadb.PersistentClient(path / "chroma", settings=settings)
        else:
            self._client = self._connected(url, key, options)
        try:
            with self._asking():
                self._collection = self._client.get_or_create_collection(
                    home.collection(collection),
                    configuration={"hnsw": {"space": "ip"}},
                    metadata={"embedding_model": home.model},
                    embedding_function=None,
                )
        except BaseException:
            self.close()
            raise

    def _connected(self, url: str, key: str | None, options: dict[str, Any]) -> Any:
        import chromadb
        from chromadb.config import Settings

        if key is not None:
            options |= {
                "chroma_client_auth_provider": "chromadb.auth.token_authn.TokenAuthClientProvider",
                "chroma_client_auth_credentials": key,
            }
        address = urlsplit(url)
        secure = address.scheme == "https"
        try:
            client: Any = chromadb.HttpClient(
                host=address.hostname or "",
                port=address.port or (443 if secure else 80),
                ssl=secure,
                settings=Settings(**options),
            )
        except ValueError as error:  # what Chroma makes of a server that does not answer
            raise _unavailable(error) from error
        # Chroma waits for ever, has no setting for it, and does not close its connections.
        for half in (client, client._admin_client):  # noqa: SLF001
            self._sessions.append(half._server._session)  # noqa: SLF001
        for session in self._sessions:
            session.timeout = httpx.Timeout(CALL_WITHIN_S)
        return client

    @override
    def add(self, rows: Rows, vectors: Vectors, to: Sequence[Sequence[str]]) -> None:
        with self._asking():
            for some in batches(len(rows)):
                self._collection.upsert(
                    ids=_ids(rows[some]),
                    embeddings=vectors[some],
                    metadatas=[{"to": [*keys]} for keys in to[some]],
                )

    @override
    def remove(self, rows: Rows) -> None:
        with self._asking():
            for some in batches(len(rows)):
                self._collection.delete(ids=_ids(rows[some]))

    @override
    def search(
        self, vector: Vector, limit: int, *, seen: Sequence[str], among: Rows | None
    ) -> tuple[Rows, Vector]:
        each: list[Any] = [{"to": {"$contains": key}} for key in seen]
        with self._asking():
            found: Any = self._collection.query(
                query_embeddings=[vector],
                n_results=limit,
                where=each[0] if len(each) == 1 else {"$or": each},
                include=["distances"],
            )
        rows = np.array([int(name) for name in found["ids"][0]], np.int64)
        # Chroma's distance is 1 less the inner product.
        return rows, (1 - np.array(found["distances"][0])).astype(np.float32)

    @override
    def rows(self) -> Rows:
        names: list[str] = []
        with self._asking():
            for some in batches(self._collection.count()):
                page = self._collection.get(limit=AT_ONCE, offset=some.start, include=[])
                names += page["ids"]
        return np.array([int(name) for name in names], np.int64)

    @override
    def flush(self) -> None:
        pass  # Chroma offers nothing; what it may lose, the catalogue has

    @override
    def close(self) -> None:
        self._client.close()
        for session in self._sessions:
            session.close()

    @contextmanager
    def _asking(self) -> Generator[None]:
        """Turns what goes wrong on a server into a fault."""
        try:
            yield
        except self._failures as error:
            if not self._remote:
                raise
            raise _unavailable(error) from error


def _unavailable(error: Exception) -> FaultError:
    return FaultError.of(FaultType.UNAVAILABLE, f"The Chroma server fails: {error}", retryable=True)


def _ids(rows: Rows) -> list[str]:
    return [str(row) for row in rows.tolist()]
