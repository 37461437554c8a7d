"""The scripted models of the planning benchmark."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest

from benchmarks.planning.checking import Expected
from benchmarks.planning.scripted import Misquoting, Reader, Right, Wrong
from benchmarks.planning.scripted_server import ScriptedServer
from benchmarks.planning.world import Question

FERRY = Question(
    id="ferry",
    kind="several_hops",
    text="Who built the ferry that has 12 seats?",
    gold=("a", "b"),
    expected=Expected("Who built the ferry that has 12 seats?", (("Orm Yard",),)),
    quotes=("The Tilda has 12 seats.", "Tilda,ferry,Orm Yard"),
)
FIRST = "[p00000a] Ferries\nThe Tilda has 12 seats. The Runa has 30."
SECOND = "[p00000b] Yards\n| Runa | ferry | Hald |\n| Tilda | ferry | Orm Yard |"
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {"type": "object", "properties": {of: {"type": "string"}}},
        },
    }
    for name, of in (("tools__dates", "start"), ("retriever__search", "query"))
]
ANSWER = {
    "type": "object",
    "properties": {
        "answer": {"type": "string"},
        "quotes": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "passage": {"type": "string", "enum": ["p00000a", "p00000b"]},
                    "text": {"type": "string"},
                },
                "required": ["passage", "text"],
            },
        },
        "status": {"enum": ["answered", "partly", "unanswered"]},
        "open": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["answer", "quotes", "status", "open"],
}


def messages(*results: str, called: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    calls = [
        {"id": each, "function": {"name": "search", "arguments": json.dumps({"query": each})}}
        for each in called
    ]
    return [
        {"role": "system", "content": "Use tools."},
        {"role": "user", "content": FERRY.text},
        {"role": "assistant", "content": None, "tool_calls": calls},
        *({"role": "tool", "content": each} for each in results),
    ]


def test_what_is_not_shown_is_searched_for_once_and_then_answered_with_marks() -> None:
    right = Right([FERRY])
    search = "retriever__search"

    assert right.reply(messages(), TOOLS).calls == ((search, {"query": FERRY.text}),)
    again = right.reply(messages(FIRST, called=(FERRY.text,)), TOOLS)
    assert again.calls == ((search, {"query": FERRY.quotes[1]}),)
    both = messages(FIRST, SECOND, called=(FERRY.text, FERRY.quotes[1]))
    assert right.reply(both, TOOLS).text == "Orm Yard [p00000a] [p00000b]"
    none = messages(FIRST, called=(FERRY.text, FERRY.quotes[1]))
    assert right.reply(none, TOOLS).text.startswith("[unanswered]")


def test_a_form_is_filled_with_quotes_as_the_passages_have_them() -> None:
    said = json.loads(Right([FERRY]).reply(messages(FIRST, SECOND), schema=ANSWER).text)
    assert said == {
        "answer": "Orm Yard [p00000a] [p00000b]",
        "quotes": [
            {"passage": "p00000a", "text": "The Tilda has 12 seats."},
            {"passage": "p00000b", "text": "Tilda | ferry | Orm Yard"},
        ],
        "status": "answered",
        "open": [],
    }
    said = json.loads(Right([FERRY]).reply(messages(FIRST), schema=ANSWER).text)
    assert said["status"] == "unanswered"
    assert "Orm" not in said["answer"]


def test_a_plan_searches_for_what_is_missing() -> None:
    step = {
        "type": "object",
        "properties": {
            "skill": {"enum": ["tool_executor.dates", "retriever.search"]},
            "what": {"type": "string"},
            "needs": {"type": "array", "items": {"type": "integer"}},
        },
        "required": ["skill", "what", "needs"],
    }
    form = {"type": "object", "properties": {"steps": {"type": "array", "items": step}}}
    form["required"] = ["steps"]
    said = json.loads(Right([FERRY]).reply(messages(), schema=form).text)
    assert [each["what"] for each in said["steps"]] == [FERRY.text, *FERRY.quotes]
    assert {each["skill"] for each in said["steps"]} == {"retriever.search"}


def test_calls_where_a_form_stands_for_them() -> None:
    call = {
        "type": "object",
        "properties": {
            "tool": {"const": "retriever__search"},
            "input": {"type": "object", "properties": {"query": {"type": "string"}}},
        },
        "required": ["tool", "input"],
    }
    following = {"anyOf": [{"type": "array", "items": {"anyOf": [call]}}, {"type": "string"}]}
    form = {"type": "object", "properties": {"next": following}, "required": ["next"]}
    right = Right([FERRY])
    asked = [{"role": "user", "content": FERRY.text}]
    said = right.reply(asked, schema=form).text
    assert json.loads(said) == {
        "next": [{"tool": "retriever__search", "input": {"query": FERRY.text}}]
    }
    asked += [
        {"role": "assistant", "content": said},
        {"role": "user", "content": f"{FIRST}\n{SECOND}"},
    ]
    said = right.reply(asked, schema=form).text
    assert json.loads(said) == {"next": "Orm Yard [p00000a] [p00000b]"}


@pytest.mark.parametrize("reader", [Wrong, Misquoting])
def test_the_wrong_ones_answer_and_cite(reader: type[Reader]) -> None:
    said = json.loads(reader([FERRY]).reply(messages(FIRST, SECOND), schema=ANSWER).text)
    assert said["status"] == "answered"
    assert "Orm" not in said["answer"]
    assert "[p00000a]" in said["answer"]
    quoted = said["quotes"][0]["text"]
    assert (quoted in FIRST) is (reader is Misquoting)


@pytest.mark.parametrize("stream", [False, True])
def test_the_server_speaks_openais_api(stream: bool) -> None:
    with ScriptedServer(Right([FERRY])) as server:
        asked = {"model": "m", "messages": messages(), "tools": TOOLS, "stream": stream}
        request = urllib.request.Request(
            f"{server.url}/chat/completions",
            json.dumps(asked).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as response:
            body = response.read().decode()
        assert server.requests == [asked]
    if stream:
        lines = [line.removeprefix("data: ") for line in body.split("\n\n") if line]
        assert lines[-1] == "[DONE]"
        chunks = [json.loads(line) for line in lines[:-1]]
        message = chunks[0]["choices"][0]["delta"]
        assert chunks[1]["choices"][0]["finish_reason"] == "tool_calls"
    else:
        message = json.loads(body)["choices"][0]["message"]
    function = message["tool_calls"][0]["function"]
    assert json.loads(function["arguments"]) == {"query": FERRY.text}
