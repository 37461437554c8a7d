"""What the graph announces, and its settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from motet.errors import SetupError
from motet.messages import EntityRequest, GraphSearchRequest, PathsRequest
from motet.settings import Settings, load_settings
from motet_graph.app import agent, reader_of
from motet_graph.ranking import Weights
from motet_graph.settings import GraphSettings


def test_planners_see_what_no_other_agent_does() -> None:
    assert {skill.name: skill.plannable for skill in agent.card("instance").skills} == {
        "search": False,
        "entity": False,
        "paths": True,
        "neighbourhood": False,
        "query": False,
        "ingest": False,
        "forget": False,
    }


def test_skills_that_give_passages_have_valid_examples() -> None:
    requests = {"search": GraphSearchRequest, "entity": EntityRequest, "paths": PathsRequest}
    for skill in agent.card("instance").skills:
        if skill.name in requests:
            assert "passages" in skill.output_schema["properties"]
            assert skill.examples
            for example in skill.examples:
                requests[skill.name].model_validate(example.input)


def test_defaults() -> None:
    own = load_settings(GraphSettings)
    assert own.folder(Settings(data_dir=Path("/data"))) == Path("/data/graph")
    assert own.weights() == Weights(facts=5, passages=0.05, damping=0.5)
    assert (own.writer(), own.reader()) == (None, None)


def test_a_local_model_does_not_read() -> None:
    own = load_settings(GraphSettings)
    assert not own.reads_by_model(Settings(model="local:qwen2.5-coder-1.5b"))
    assert own.reads_by_model(Settings(model="openai:gpt-4.1-mini"))


def test_who_reads_where_the_model_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "MOTET_ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    keyless = Settings(model="anthropic:claude-haiku-4-5")
    assert reader_of(load_settings(GraphSettings), keyless) is None
    monkeypatch.setenv("MOTET_GRAPH_EXTRACTION", "model")
    with pytest.raises(SetupError, match="ANTHROPIC_API_KEY"):
        reader_of(load_settings(GraphSettings), keyless)


def test_passwords_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTET_GRAPH_URL", "bolt://db:7687")
    monkeypatch.setenv("MOTET_GRAPH_PASSWORD", "hush")
    own = load_settings(GraphSettings)
    assert "hush" not in repr(own)
    assert own.writer() == ("neo4j", "hush")


def test_mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTET_GRAPH_EXTRACTION", "magic")
    with pytest.raises(SetupError, match="MOTET_GRAPH_EXTRACTION='magic' is wrong"):
        load_settings(GraphSettings)
