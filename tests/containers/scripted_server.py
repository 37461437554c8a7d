"""A server of OpenAI's API whose answers stand here: no model runs.

It runs in a container of its own, beside the services, with nothing but Python: `python
scripted_server.py PORT`. An answer is chosen by the name of the form that is asked for; where text
is asked for, it is `text`. Embeddings count letters.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

QUESTION = "How high is twice the Harbour Tower?"

SCRIPT: dict[str, Any] = {
    "worked_out": {"answer": "worked out"},
    "route": {"skill": "retriever.search"},
    "text": "The Harbour Tower is 38 metres high, and twice is 76.",
}
SCRIPT_ASKED, COMPUTATION = "Python", "height = 38\nanswer = height * 2"
USAGE = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}


def embedding(text: str) -> list[float]:
    """How often each letter is in a text, and a bit, so that no vector is empty."""
    letters = Counter(text.lower())
    return [0.1 + letters[chr(ord("a") + index)] for index in range(26)]


class Answers(BaseHTTPRequestHandler):
    """Answers each request by the script."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.endswith("/audio/transcriptions"):
            self._send({"text": QUESTION, "segments": [], "language": "english"})
            return
        asked = json.loads(body)
        if self.path.endswith("/embeddings"):
            self._send(self._embeddings(asked["input"]))
        elif self.path.endswith("/chat/completions"):
            self._complete(asked)
        else:
            self.send_error(404)

    def do_GET(self) -> None:
        self._send({"object": "list", "data": [{"id": "scripted", "object": "model"}]})

    def log_message(self, format: str, *values: Any) -> None:
        """Says nothing of a request that was answered."""

    def answer(self, form: str, asked: dict[str, Any]) -> Any:
        """What a request is answered with; None where the script has nothing."""
        if form == "text" and SCRIPT_ASKED in asked["messages"][-1]["content"]:
            return COMPUTATION
        return SCRIPT.get(form)

    def _embeddings(self, given: str | list[str]) -> dict[str, Any]:
        texts = [given] if isinstance(given, str) else given
        data = [
            {"object": "embedding", "index": index, "embedding": embedding(text)}
            for index, text in enumerate(texts)
        ]
        return {"object": "list", "model": "letters", "data": data, "usage": USAGE}

    def _complete(self, asked: dict[str, Any]) -> None:
        form = asked.get("response_format", {}).get("json_schema", {}).get("name", "text")
        answer = self.answer(form, asked)
        if answer is None:
            self.send_error(400, f"the script has no answer for {form!r}")
            return
        text = answer if isinstance(answer, str) else json.dumps(answer)
        head = {"id": "scripted", "created": 0, "model": asked["model"]}
        if asked.get("stream"):
            self._stream(head, text)
            return
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text},
            "finish_reason": "stop",
        }
        self._send({**head, "object": "chat.completion", "choices": [choice], "usage": USAGE})

    def _stream(self, head: dict[str, Any], text: str) -> None:
        said = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}
        over = {"index": 0, "delta": {}, "finish_reason": "stop"}
        chunks = [
            {**head, "object": "chat.completion.chunk", "choices": [said]},
            {**head, "object": "chat.completion.chunk", "choices": [over]},
            {**head, "object": "chat.completion.chunk", "choices": [], "usage": USAGE},
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


if __name__ == "__main__":
    ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), Answers).serve_forever()
