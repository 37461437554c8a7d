"""Who re-reads: what the settings set up, and the chat model that puts passages in order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from motet.errors import FaultError, SetupError
from motet.settings import Settings, load_settings
from motet.testing.models import ScriptedModel
from motet_retriever.reranking import ModelReranker
from motet_retriever.settings import RetrieverSettings


async def test_the_chat_model_puts_in_order() -> None:
    model = ScriptedModel({"rank": {"order": [3, 1, 3]}})
    reranker = ModelReranker(model)
    assert reranker.name == "scripted:scripted"
    texts = ["Title\nabout a", "Title\nabout b", "Title\nabout c"]
    scores = await reranker.scores("which?", texts)
    assert sorted(range(3), key=lambda place: -scores[place]) == [2, 0, 1]
    assert scores == pytest.approx([2 / 3, 1 / 3, 1])
    shown = model.asked[0].last
    assert "[1] Title about a\n[2] Title about b\n[3] Title about c" in shown


async def test_an_order_of_what_was_not_shown_is_refused() -> None:
    model = ScriptedModel({"rank": {"order": [4]}})
    with pytest.raises(FaultError, match="rank"):
        await ModelReranker(model).scores("which?", ["a", "b"])


def rereading(monkeypatch: pytest.MonkeyPatch, model: Any = None, **variables: str) -> Any:
    for name, value in variables.items():
        monkeypatch.setenv(f"MOTET_RETRIEVER_{name}", value)
    return load_settings(RetrieverSettings).rereading(model)


async def test_auto_takes_what_is_set_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model = ScriptedModel({})
    assert rereading(monkeypatch, model).chosen("auto") == (None, False)
    url = rereading(monkeypatch, model, RERANKER_URL="http://127.0.0.1:1/v1")
    assert url.usual == "api"
    assert set(url.rerankers) == {"api", "model"}
    assert url.chosen("none") == (None, False)
    assert url.chosen("model") == (url.rerankers["model"], True)
    for file in ("model.onnx", "tokenizer.json"):
        (tmp_path / file).touch()
    local = rereading(monkeypatch, model, RERANKER=f"local:{tmp_path}")
    assert (local.usual, set(local.rerankers)) == (
        "cross_encoder",
        {"api", "model", "cross_encoder"},
    )
    named = rereading(monkeypatch, model, RERANKER="model")
    assert named.usual == "model"
    for each in (url, local, named):
        for reranker in each.rerankers.values():
            await reranker.close()


@pytest.mark.parametrize(
    "reranker, said",
    [
        ("api", r"RERANKER=api needs MOTET_RETRIEVER_RERANKER_URL"),
        ("model", r"RERANKER=model needs MOTET_RETRIEVER_MODEL=on"),
        ("local:/nowhere", r"/nowhere has no model\.onnx"),
        ("remote", r"MOTET_RETRIEVER_RERANKER='remote' is wrong"),
    ],
)
def test_mistakes(reranker: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SetupError, match=said):
        rereading(monkeypatch, RERANKER=reranker)


def test_the_small_local_model_is_asked_only_when_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    local, remote = Settings(model="local:small"), Settings(model="openai:gpt")
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    for value, asked in (("auto", (False, True)), ("on", (True, True)), ("off", (False, False))):
        monkeypatch.setenv("MOTET_RETRIEVER_MODEL", value)
        own = load_settings(RetrieverSettings)
        assert (own.asks_model(local), own.asks_model(remote)) == asked
