"""What the retriever announces, and its settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from motet.errors import SetupError
from motet.messages import SearchRequest
from motet.settings import Settings, load_settings
from motet_retriever.app import agent
from motet_retriever.chunking import Chunking
from motet_retriever.fusion import Fusion
from motet_retriever.reranking import Rereading
from motet_retriever.settings import RetrieverSettings


def test_planners_see_search_only() -> None:
    card = agent.card("instance")
    assert {skill.name: skill.plannable for skill in card.skills} == {
        "search": True,
        "ingest": False,
        "documents": False,
        "read": False,
        "delete": False,
        "erase": False,
        "remember": False,
        "recall": False,
        "forget": False,
        "conversation": False,
    }


def test_examples_are_valid_inputs() -> None:
    (search,) = (skill for skill in agent.card("instance").skills if skill.plannable)
    assert len(search.examples) == 2
    for example in search.examples:
        SearchRequest.model_validate(example.input)


def test_defaults() -> None:
    own = load_settings(RetrieverSettings)
    assert own.store_path(Settings(data_dir=Path("/data"))) == Path("/data/retriever")
    assert own.cutting() == Chunking(tokens=200, overlap=1, way="structure")
    assert own.fusing() == Fusion({"dense": 1.0, "sparse": 0.7, "graph": 1.0}, k=10)
    assert own.strategy == "hybrid"
    assert own.rereading(None) == Rereading({}, None, candidates=30)


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTET_RETRIEVER_STORE_DIR", "~/passages")
    monkeypatch.setenv("MOTET_RETRIEVER_CHUNK_TOKENS", "300")
    own = load_settings(RetrieverSettings)
    assert own.store_path(Settings()) == Path.home() / "passages"
    assert own.cutting().tokens == 300


@pytest.mark.parametrize(
    "variables, said",
    [
        ({"MOTET_RETRIEVER_CHUNKING": "best"}, "MOTET_RETRIEVER_CHUNKING='best' is wrong"),
        ({"MOTET_RETRIEVER_CHUNK_TOKENS": "3"}, "MOTET_RETRIEVER_CHUNK_TOKENS='3' is wrong"),
        (
            {"MOTET_RETRIEVER_DENSE_WEIGHT": "0", "MOTET_RETRIEVER_SPARSE_WEIGHT": "0"},
            "MOTET_RETRIEVER_SPARSE_WEIGHT='0' is wrong.*cannot both be 0",
        ),
    ],
)
def test_mistakes(variables: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SetupError, match=said):
        load_settings(RetrieverSettings)
