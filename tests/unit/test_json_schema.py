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
from motet.json_schema import form_problem, problems
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


def _bomb(levels: int) -> dict[str, Any]:
    """A small schema that asks for 2 to the power of `levels` checks of one value."""
    parts: dict[str, Any] = {
        f"p{level}": {"allOf": [{"$ref": f"#/$defs/p{level + 1}"}] * 2} for level in range(levels)
    }
    parts[f"p{levels}"] = {"type": "object"}
    return {"type": "object", "$ref": "#/$defs/p0", "$defs": parts}


DIALECT = "http://json-schema.org/draft-07/schema#"


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "schema",
    [
        _bomb(40),
        {"$schema": DIALECT, **_bomb(40)},
        {"type": "object", "properties": {"x": {"$schema": DIALECT, **_bomb(40)}}, **_bomb(40)},
    ],
)
def test_a_schema_that_would_be_checked_for_ever_is_a_problem(schema: dict[str, Any]) -> None:
    assert [each.message for each in problems(schema, {"x": {}})] == [
        "its schema takes too long to check"
    ]
    assert "too long" in (form_problem(schema) or "")


@pytest.mark.timeout(20)
def test_a_value_that_would_be_checked_for_ever_is_a_problem() -> None:
    twice = {"type": "object", "properties": {"x": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}}}
    value: dict[str, Any] = {}
    for _ in range(40):
        value = {"x": value}
    assert form_problem(twice) is None
    assert [each.message for each in problems(twice, value)] == [
        "its schema takes too long to check"
    ]


def test_a_large_table_is_checked() -> None:
    row = {"type": "object", "properties": {"name": {"type": "string", "minLength": 1}}}
    table = {"type": "object", "properties": {"rows": {"type": "array", "items": row}}}
    rows = [{"name": f"n{number}"} for number in range(10_000)]
    assert list(problems(table, {"rows": rows})) == []
    assert len(list(problems(table, {"rows": [*rows, {"name": ""}]}))) == 1


def test_a_property_may_be_called_like_a_dialect() -> None:
    schema = {"type": "object", "properties": {"$schema": {"type": "string"}}}
    assert list(problems(schema, {"$schema": "x"})) == []
    assert len(list(problems(schema, {"$schema": 1}))) == 1
