"""Schemas of others, by which values are checked: they reach nothing, and end."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from motet.bus.approvals import check_reply
from motet.errors import FaultError
from motet.json_schema import problems
from motet.messages import Question, Reply, SkillCard
from motet.models.structured import InvalidOutputError, OutputForm
from motet_planner.arguments import check_input
from motet_planner.catalogue import Skill


class _Server(HTTPServer):
    """Notes which paths it was asked for."""

    asked: list[str]


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def inside() -> Iterator[_Server]:
    """A server that only this machine reaches."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _schemas(inside: _Server, tmp_path: Path) -> list[dict[str, Any]]:
    """Schemas that refer to something elsewhere."""
    file = tmp_path / "secret.json"
    file.write_text('{"type": "string"}')
    url = f"http://127.0.0.1:{inside.server_port}/secret"
    return [
        {"$ref": url},
        {"properties": {"city": {"$ref": url}}},
        {"$id": url, "properties": {"city": {"$ref": "other"}}},
        {"$dynamicRef": url},
        {"$ref": file.as_uri()},
    ]


@pytest.mark.parametrize("number", range(5))
def test_nothing_is_fetched(inside: _Server, tmp_path: Path, number: int) -> None:
    schema = _schemas(inside, tmp_path)[number]

    (problem,) = problems(schema, {"city": 1})

    assert "refers to" in problem.message
    assert inside.asked == []


def test_nobody_fetches_anything_for_a_schema_of_another(inside: _Server, tmp_path: Path) -> None:
    schema = _schemas(inside, tmp_path)[1]
    card = SkillCard(name="b", description="b", input_schema=schema, output_schema={})
    skill = Skill("a.b", card)
    question = Question(kind="answer", prompt="?", value_schema=schema)
    reply = Reply(task="t", question="q", decision="respond", value={"city": 1})

    with pytest.raises(FaultError, match="refers to"):
        check_input({"city": 1}, skill)
    with pytest.raises(FaultError, match="refers to"):
        check_reply(question, reply)
    with pytest.raises(InvalidOutputError, match="refers to"):
        OutputForm(schema, "form").parse('{"city": 1}')

    assert inside.asked == []


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "#/nowhere"},
        {"type": "no such type"},
        {"properties": {"city": {"pattern": "("}}},
        {"properties": 3},
        {"minLength": "x"},
    ],
    ids=json.dumps,
)
def test_a_schema_that_makes_no_sense_is_a_problem(schema: dict[str, Any]) -> None:
    assert list(problems(schema, {"city": "x"}))
    assert list(problems(schema, "x"))


def test_what_the_schema_itself_has_is_looked_up() -> None:
    schema = {"$defs": {"city": {"type": "string"}}, "properties": {"c": {"$ref": "#/$defs/city"}}}

    assert list(problems(schema, {"c": "Bergen"})) == []
    (problem,) = problems(schema, {"c": 1})
    assert problem.place == ("c",)
    assert "'string'" in problem.message
