"""A server of OpenAI's API with fixed answers, which stands for the model."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any, Self

__all__ = ["QUESTION", "TEXT", "Answers"]

QUESTION = "How is Ada Berg connected with Harbour Works, and what is twice the tower's height?"
TEXT = (
    "Ada Berg designed the Harbour Tower. Harbour Works owns the Harbour Tower. "
    "The Harbour Tower is 38 metres high."
)
"""The document that `QUESTION` is about."""

_SCRIPT: dict[str, Any] = {
    "plan": {
        "steps": [
            {"skill": "retriever.search", "what": "height of the Harbour Tower", "needs": []},
            {
                "skill": "graph.paths",
                "what": "how Ada Berg is connected with Harbour Works",
                "needs": [],
            },
            {
                "skill": "tool_executor.calculate",
                "what": "twice the height of the Harbour Tower",
                "needs": [1],
            },
        ]
    },
    "arguments": {"start": "Ada Berg", "end": "Harbour Works"},
    "read": {"lines": [3], "answer": "38 metres"},
    "judge": {"asked": "height", "told": "height", "same": "yes"},
    "formula": {"expression": "height_harbour_tower * 2"},
    "text": (
        "Ada Berg designed the Harbour Tower, which Harbour Works owns [2]. "
        "The tower is 38 metres high [1], and twice that is 76."
    ),
}
_USAGE = {"prompt_tokens": 400, "completion_tokens": 40, "total_tokens": 440}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._send(json.dumps({"object": "list", "data": [{"id": "scripted"}]}))

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        form = asked.get("response_format", {}).get("json_schema", {}).get("name", "text")
        answer = _SCRIPT[form]
        text = answer if isinstance(answer, str) else json.dumps(answer)
        head = {"id": "scripted", "created": 0, "model": asked.get("model", "scripted")}
        said = {"role": "assistant", "content": text}
        if not asked.get("stream"):
            choice = {"index": 0, "message": said, "finish_reason": "stop"}
            whole = {**head, "object": "chat.completion", "choices": [choice], "usage": _USAGE}
            self._send(json.dumps(whole))
            return
        chunks = [
            {"choices": [{"index": 0, "delta": said, "finish_reason": None}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            {"choices": [], "usage": _USAGE},
        ]
        head["object"] = "chat.completion.chunk"
        lines = [f"data: {json.dumps({**head, **chunk})}\n\n" for chunk in chunks]
        self._send("".join([*lines, "data: [DONE]\n\n"]), "text/event-stream")

    def log_message(self, format: str, *values: Any) -> None:
        """Says nothing of a request that was answered."""

    def _send(self, text: str, kind: str = "application/json") -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Answers:
    """The server, on loopback, in a thread."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
