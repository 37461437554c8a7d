"""A server that speaks OpenAI's API and answers what a test told it to."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["FakeServer", "completion", "failure", "serving"]

Answer = tuple[int, dict[str, Any]]


def completion(content: str, *, finish: str = "stop", usage: bool = True) -> Answer:
    """A chat completion as OpenAI's API reference has it."""
    body: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "fake-model",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish,
                "message": {"role": "assistant", "content": content},
            }
        ],
    }
    if usage:
        body["usage"] = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    return 200, body


def failure(status: int, message: str) -> Answer:
    return status, {"error": {"message": message, "type": "fake", "code": None}}


def events(body: dict[str, Any]) -> bytes:
    """A completion as OpenAI's API streams it: a chunk a word, and one with the usage."""
    (choice,) = body["choices"]
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": word}
        for word in re.findall(r"\s*\S+", choice["message"]["content"])
    ]
    deltas += [
        {"role": "assistant", "tool_calls": [{"index": place, **call}]}
        for place, call in enumerate(choice["message"].get("tool_calls", ()))
    ]
    same = {**body, "object": "chat.completion.chunk", "choices": [], "usage": None}
    chunks: list[dict[str, Any]] = []
    for number, delta in enumerate(deltas, 1):
        finish = choice["finish_reason"] if number == len(deltas) else None
        chunks.append({**same, "choices": [{"index": 0, "finish_reason": finish, "delta": delta}]})
    if "usage" in body:
        chunks.append({**same, "usage": body["usage"]})
    lines = [json.dumps(chunk) for chunk in chunks]
    return "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"]).encode()


@dataclass
class FakeServer:
    """What was asked, and what will be answered; the last answer is given again and again."""

    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)
    """Cleared, it holds every answer back."""

    def answer(self, *answers: Answer) -> None:
        self.answers = list(answers)

    def next_answer(self) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def serving(fake: FakeServer) -> Iterator[FakeServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            fake.paths.append(self.path)
            fake.headers.append({name.lower(): value for name, value in self.headers.items()})
            fake.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            fake.hold.wait()
            status, body = fake.next_answer()
            streamed = status == 200 and fake.requests[-1].get("stream", False)
            content = events(body) if streamed else json.dumps(body).encode()
            self.send_response(status)
            kind = "text/event-stream" if streamed else "application/json"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("retry-after-ms", "1")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            pass  # a client that gave up

    fake.hold.set()
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        fake.url = f"http://127.0.0.1:{server.server_port}/v1"
        yield fake
        fake.hold.set()
        server.shutdown()
        thread.join()
