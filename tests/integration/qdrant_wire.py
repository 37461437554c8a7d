"""Qdrant's REST interface, as much of it as the retriever uses, before qdrant-client's local mode.

Requests are held to the client's own models, which are made from the server's OpenAPI document and
refuse what it does not know. It can be told to ask for a key, to fail, and to be slow.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, cast

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python
from qdrant_client import QdrantClient, models

__all__ = ["WireServer"]

Route = Callable[[str, dict[str, Any]], Any]


class WireServer:
    """A server on a port of its own, in a thread."""

    def __init__(self, key: str | None = None) -> None:
        self.key = key
        self.failures: list[int] = []
        """HTTP statuses that the next requests to a collection get."""
        self.hold: threading.Event | None = None
        """Requests to a collection wait for it."""
        self.requests: list[str] = []
        self.version = "1.20.0"
        self._local = QdrantClient(":memory:")
        self._turn = threading.Lock()
        self._of_all: dict[str, Route] = {
            "GET /aliases": lambda *_: self._local.get_aliases(),
            "GET /collections": lambda *_: self._local.get_collections(),
            "POST /collections/aliases": self._change_aliases,
        }
        self._routes: dict[str, Route] = {
            "GET exists": lambda name, _: {"exists": self._local.collection_exists(name)},
            "GET": lambda name, _: self._local.get_collection(name),
            "PUT": self._create,
            "DELETE": lambda name, _: self._local.delete_collection(name),
            "PUT index": lambda _, body: models.CreateFieldIndex(**body) and _DONE,
            "PUT points": self._upsert,
            "POST points": self._retrieve,
            "POST points/scroll": self._scroll,
            "POST points/query/batch": self._query,
            "POST points/delete": self._delete,
            "PUT points/payload": self._overwrite,
            "POST snapshots": lambda name, _: models.SnapshotDescription(name=f"{name}-1", size=1),
            "PUT snapshots/recover": lambda _, body: models.SnapshotRecover(**body) and True,
        }

    def __enter__(self) -> WireServer:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        cast("Any", self._server).wire = self
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self.hold is not None:
            self.hold.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """The status and the result of a request."""
        self.requests.append(f"{method} {path}")
        if path == "/":
            return 200, None
        if self.hold is not None:
            self.hold.wait()
        with self._turn:
            if self.failures:
                return self.failures.pop(0), "told to fail"
            name, _, rest = path.removeprefix("/collections/").partition("/")
            whole = f"{method} {path}"
            route = self._of_all.get(whole) or self._routes[f"{method} {rest}".strip()]
            try:
                return 200, route(name, body)
            except ValueError as error:
                return (404 if "not found" in str(error) else 409), str(error)

    def _change_aliases(self, _: str, body: dict[str, Any]) -> bool:
        wanted = models.ChangeAliasesOperation(**body)
        return self._local.update_collection_aliases(wanted.actions)

    def _create(self, name: str, body: dict[str, Any]) -> bool:
        wanted = models.CreateCollection(**body)
        return self._local.create_collection(
            name,
            vectors_config=cast("Any", wanted.vectors),
            sparse_vectors_config=wanted.sparse_vectors,
            metadata=wanted.metadata,
        )

    def _upsert(self, name: str, body: dict[str, Any]) -> Any:
        wanted = models.PointsList(**body)
        return self._local.upsert(name, wanted.points, update_filter=wanted.update_filter)

    def _retrieve(self, name: str, body: dict[str, Any]) -> Any:
        return self._local.retrieve(name, models.PointRequest(**body).ids)

    def _scroll(self, name: str, body: dict[str, Any]) -> Any:
        wanted = models.ScrollRequest(**body)
        points, following = self._local.scroll(
            name,
            wanted.filter,
            limit=wanted.limit or 10,
            offset=wanted.offset,
            order_by=wanted.order_by,
            with_payload=True if wanted.with_payload is None else wanted.with_payload,
            with_vectors=wanted.with_vector or False,
        )
        return {"points": points, "next_page_offset": following}

    def _query(self, name: str, body: dict[str, Any]) -> Any:
        return self._local.query_batch_points(name, models.QueryRequestBatch(**body).searches)

    def _delete(self, name: str, body: dict[str, Any]) -> Any:
        return self._local.delete(name, models.FilterSelector(**body).filter)

    def _overwrite(self, name: str, body: dict[str, Any]) -> Any:
        wanted = models.SetPayload(**body)
        assert wanted.filter is not None
        return self._local.overwrite_payload(name, wanted.payload, wanted.filter)


_DONE = models.UpdateResult(operation_id=0, status=models.UpdateStatus.COMPLETED)
_BODY = TypeAdapter(dict[str, Any])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        wire: WireServer = cast("Any", self.server).wire
        data = self.rfile.read(int(self.headers.get("content-length", 0)))
        path = self.path.partition("?")[0]
        if path != "/" and wire.key is not None and self.headers.get("api-key") != wire.key:
            self.send_response(401)
            self._send(b"Must provide an API key")
            return
        status, result = wire.answer(self.command, path, _BODY.validate_json(data) if data else {})
        self.send_response(status)
        if path == "/":
            answer: Any = {"title": "qdrant", "version": wire.version}
        elif status == 200:
            answer = {"result": result, "status": "ok", "time": 0.0}
        else:
            answer = {"status": {"error": result}, "time": 0.0}
        self._send(json.dumps(to_jsonable_python(answer)).encode())

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - the names that the base class looks for

    def _send(self, data: bytes) -> None:
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass
