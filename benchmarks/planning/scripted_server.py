"""A server of OpenAI's API on loopback whose replies come from a `Reader`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from threading import Thread
from types import TracebackType
from typing import Any, Self

from benchmarks.planning.scripted import Reader, Said, text_of

__all__ = ["ScriptedServer"]


@dataclass
class ScriptedServer:
    """An OpenAI-style server on loopback; `with ScriptedServer(reader) as server: server.url`."""

    reader: Reader
    requests: list[dict[str, Any]] = field(default_factory=list)
    """Every request, in order."""

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"owner": self, "numbers": count(1)})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Base URL of its API."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def said(self, asked: dict[str, Any]) -> Said:
        """The reply to a request."""
        self.requests.append(asked)
        form = asked.get("response_format") or {}
        schema = form.get("json_schema", {}).get("schema")
        return self.reader.reply(asked["messages"], asked.get("tools") or (), schema)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: ScriptedServer
    numbers: count[int]

    def do_GET(self) -> None:
        self._send({"object": "list", "data": [{"id": "scripted", "object": "model"}]})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self.path.endswith("/chat/completions"):
            self.send_error(404)
            return
        asked = json.loads(body)
        said = self.owner.said(asked)
        calls = [
            {
                "id": f"call_{next(self.numbers)}",
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(arguments)},
            }
            for name, arguments in said.calls
        ]
        message: dict[str, Any] = {"role": "assistant", "content": said.text}
        if calls:
            message["tool_calls"] = calls
        finish = "tool_calls" if calls else "stop"
        read = sum(len(text_of(each)) for each in asked["messages"]) // 4
        written = max(1, len(said.text) // 4)
        usage = {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
        }
        head = {"id": "scripted", "created": 0, "model": asked.get("model", "scripted")}
        if asked.get("stream"):
            self._stream(head, message, finish, usage)
            return
        choice = {"index": 0, "message": message, "finish_reason": finish}
        self._send({**head, "object": "chat.completion", "choices": [choice], "usage": usage})

    def _stream(
        self, head: dict[str, Any], message: dict[str, Any], finish: str, usage: dict[str, int]
    ) -> None:
        kind = {**head, "object": "chat.completion.chunk"}
        calls = [{"index": at, **each} for at, each in enumerate(message.pop("tool_calls", ()))]
        delta = message | ({"tool_calls": calls} if calls else {})
        chunks = [
            {**kind, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
            {**kind, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]},
            {**kind, "choices": [], "usage": usage},
        ]
        lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks] + ["data: [DONE]\n\n"]
        self._reply("".join(lines).encode(), "text/event-stream")

    def _send(self, body: dict[str, Any]) -> None:
        self._reply(json.dumps(body).encode(), "application/json")

    def _reply(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *values: Any) -> None:
        pass
