"""Names are spelled in one module."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import motet.telemetry
from motet.telemetry import names

SHARED = Path(motet.telemetry.__file__).parents[1]
SERVICES = SHARED.parents[1] / "services"
OWN = re.compile(r"""["'](gen_ai|messaging|error|service|exception)\.[a-z_]+[a-z_.]*["']""")


def constants() -> dict[str, str]:
    return {
        name: value
        for name, value in vars(names).items()
        if name.isupper() and isinstance(value, str)
    }


@pytest.mark.parametrize(
    "name,expected",
    [
        (names.send("motet.call.retriever.search"), "send motet.call.retriever.search"),
        (names.process("motet.call.retriever.search"), "process motet.call.retriever.search"),
        (names.receive("motet.call.retriever.search"), "receive motet.call.retriever.search"),
        (names.invoke_agent("planner"), "invoke_agent planner"),
        (names.execute_tool("calculate"), "execute_tool calculate"),
        (names.chat("gpt-4.1-mini"), "chat gpt-4.1-mini"),
        (names.embeddings("all-minilm-l6-v2"), "embeddings all-minilm-l6-v2"),
        (names.retrieval("documents"), "retrieval documents"),
        (names.migrate("documents"), "migrate documents"),
        (names.submit(), "submit task"),
    ],
)
def test_span_names_are_operation_and_target(name: str, expected: str) -> None:
    assert name == expected


def test_no_two_attributes_have_one_name() -> None:
    keys = [value for value in constants().values() if "." in value]
    assert len(keys) == len(set(keys))


def test_attributes_are_of_a_known_namespace() -> None:
    known = re.compile(r"(messaging|gen_ai|motet|server|service|error|exception)\.[a-z_.]+")
    for name, value in constants().items():
        if "." in value:
            assert known.fullmatch(value), name


def test_names_are_spelled_nowhere_else() -> None:
    sources = [*SHARED.rglob("*.py"), *SERVICES.rglob("*.py")]
    assert len(sources) > 10
    elsewhere = [
        f"{path.name}: {match.group()}"
        for path in sources
        if path.name != "names.py"
        for match in OWN.finditer(path.read_text())
        if match.group()[1:-1] in constants().values()
    ]
    assert elsewhere == []
