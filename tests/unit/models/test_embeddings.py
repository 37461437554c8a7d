from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motet.bus.budgets import Reservation
from motet.errors import FaultError, SetupError
from motet.messages import FaultType, Usage
from motet.models import Embedder, embedder, weights
from motet.models.cache import DiskCache
from motet.models.embeddings import CachedEmbedder
from motet.models.metering import Room, meter
from motet.settings import Settings, load_settings
from tests.embedder import LetterEmbedder
from tests.unit.models.fake_server import FakeServer, failure

SettingsOf = Callable[..., Settings]
MODELS = ("bge-small-en-v1.5", "all-minilm-l6-v2", "use-multilingual-v3")


@pytest.fixture(scope="module", params=MODELS)
def local(request: pytest.FixtureRequest) -> Embedder:
    settings = Settings(
        cache_dir=load_settings().cache_dir,
        embedding_model=f"local:{request.param}",
        model_cache=False,
    )
    if not weights.installed(request.param, settings.cache_dir):
        pytest.skip(f"the weights of {request.param} have not been pulled")
    return embedder(settings)


async def test_vectors_have_length_one_and_come_in_order(local: Embedder) -> None:
    texts = ["short", "a longer text " * 20, "ünïcode", "", "a text of middling length"] * 20
    vectors = await local.embed(texts)
    assert vectors.shape == (100, local.dimension)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    alone = np.concatenate([await local.embed([text]) for text in texts[:5]])
    assert (alone * vectors[:5]).sum(axis=1).min() > 0.9999


async def test_an_answer_is_closer_to_its_question_than_another_text(local: Embedder) -> None:
    (question,) = await local.embed_queries(["How long may I send a product back?"])
    answer, other = await local.embed(
        [
            "Customers can return goods within thirty days of purchase.",
            "The orchestra rehearses on Thursday evenings.",
        ]
    )
    assert question @ answer > question @ other + 0.1


async def test_the_end_of_a_very_long_text_is_not_read(local: Embedder) -> None:
    long = "one word after another " * 300
    first, second = await local.embed([long, long + "and a different end"])
    assert first @ second > 0.999


@pytest.mark.parametrize("local", ["use-multilingual-v3"], indirect=True)
@pytest.mark.parametrize(
    "question",
    [
        "Wie lange darf ich eine Ware zurückschicken?",
        "¿Cuánto tiempo tengo para devolver un producto?",
        "Combien de temps ai-je pour retourner un article ?",
        "商品は何日以内に返品できますか。",
        "كم من الوقت لدي لإعادة المنتج؟",
        "Сколько дней можно возвращать товар?",
    ],
)
async def test_a_question_finds_its_answer_in_another_language(
    local: Embedder, question: str
) -> None:
    (asked,) = await local.embed_queries([question])
    answer, other, third = await local.embed(
        [
            "Customers can return goods within thirty days of purchase.",
            "The orchestra rehearses on Thursday evenings.",
            "Customers find the car park behind the shop.",
        ]
    )
    assert asked @ answer > max(asked @ other, asked @ third) + 0.1


async def test_no_texts_are_no_vectors(local: Embedder) -> None:
    assert (await local.embed([])).shape == (0, local.dimension)


async def test_callers_share_the_model(local: Embedder) -> None:
    many = await asyncio.gather(*(local.embed([f"text {number}"]) for number in range(8)))
    again = await local.embed(["text 5"])
    assert np.allclose(many[5], again, atol=1e-6)


class Counting(LetterEmbedder):
    """A model that says what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def embed(self, texts: Sequence[str]) -> np.ndarray[Any, Any]:
        self.asked += texts
        return await super().embed(texts)


async def test_an_equal_text_is_embedded_once(tmp_path: Path) -> None:
    model = Counting()
    cached = CachedEmbedder(model, DiskCache(tmp_path / "vectors"))
    first = await cached.embed(["one", "two", "one"])
    again = CachedEmbedder(model, DiskCache(tmp_path / "vectors"))
    second = await again.embed(["two", "three", "one"])
    assert model.asked == ["one", "two", "three"]
    assert np.array_equal(first[[1, 0]], second[[0, 2]])
    assert np.array_equal(first[0], first[2])
    assert (await again.embed([])).shape == (0, model.dimension)


async def test_another_model_has_vectors_of_its_own(tmp_path: Path) -> None:
    disk = DiskCache(tmp_path / "vectors")
    model, other = Counting(), Counting()
    other.name = "fake:others"
    for each in (model, other):
        await CachedEmbedder(each, disk).embed(["one"])
    assert model.asked == other.asked == ["one"]


async def test_a_question_is_embedded_once(tmp_path: Path) -> None:
    model = Counting()
    cached = CachedEmbedder(model, DiskCache(tmp_path / "vectors"))
    await cached.embed(["one"])
    first = await cached.embed_queries(["one", "two", "one"])
    second = await cached.embed_queries(["two"])
    assert model.asked == ["one", "one", "two"]
    assert np.array_equal(first[1], second[0])
    assert (await cached.embed_queries([])).shape == (0, model.dimension)


async def test_a_cache_that_is_broken_changes_no_vector(tmp_path: Path) -> None:
    (tmp_path / "vectors").write_bytes(b"no database" * 1000)
    cached = CachedEmbedder(LetterEmbedder(), DiskCache(tmp_path / "vectors"))
    assert np.array_equal(await cached.embed(["one"]), await LetterEmbedder().embed(["one"]))


def test_weights_that_are_missing_are_told_with_the_command(settings_of: SettingsOf) -> None:
    with pytest.raises(SetupError, match=r"motet models pull bge-small-en-v1\.5"):
        embedder(settings_of())


def test_a_chat_model_is_no_embedding_model(
    settings_of: SettingsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "path", lambda *_: Path("model.gguf"))
    with pytest.raises(
        SetupError, match=r"no embedding model; there is local:bge-small-en-v1\.5, local:"
    ):
        embedder(settings_of(embedding_model="local:qwen2.5-coder-1.5b"))


@pytest.mark.parametrize(
    "model,words",
    [("openai:text-embedding-3-small", "OPENAI_API_KEY"), ("nobody:any", "nobody")],
)
def test_a_wrong_setting_is_a_sentence(model: str, words: str, settings_of: SettingsOf) -> None:
    with pytest.raises(SetupError, match=words):
        embedder(settings_of(embedding_model=model))


class Payer:
    agent = "retriever"
    skill = "search"

    def __init__(self) -> None:
        self.spent: list[Usage] = []

    @asynccontextmanager
    async def reserve(self, least: Usage, most: Usage) -> AsyncGenerator[Room]:
        room = Reservation(most.output_tokens)
        yield room
        self.spent.append(room.spent)


@pytest.fixture
def remote(fake: FakeServer, settings_of: SettingsOf, monkeypatch: pytest.MonkeyPatch) -> Embedder:
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    monkeypatch.setenv("OPENAI_BASE_URL", fake.url)
    return embedder(settings_of(embedding_model="openai:text-embedding-3-small"))


def embedded(*vectors: list[float]) -> tuple[int, dict[str, Any]]:
    data = [
        {"object": "embedding", "index": index, "embedding": vector}
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": 4, "total_tokens": 4}
    return 200, {"object": "list", "data": data, "model": "fake", "usage": usage}


async def test_a_remote_model_is_normalised_and_paid(fake: FakeServer, remote: Embedder) -> None:
    fake.answer(embedded([3, 4], [0, 2]))
    payer = Payer()
    meter.set(payer)
    vectors = await remote.embed(["one text", "another"])
    assert np.allclose(vectors, [[0.6, 0.8], [0, 1]])
    assert remote.dimension == 2
    assert remote.name == "openai:text-embedding-3-small"
    assert fake.requests[0]["input"] == ["one text", "another"]
    (usage,) = payer.spent
    assert usage.input_tokens > 0
    assert usage.cost_usd > 0
    assert usage.model_calls == 0


async def test_a_remote_model_that_refuses_is_a_fault(fake: FakeServer, remote: Embedder) -> None:
    fake.answer(failure(401, "wrong key"))
    with pytest.raises(FaultError, match="wrong key") as error:
        await remote.embed(["text"])
    assert error.value.fault.type == FaultType.MODEL_FAILED
    assert not error.value.fault.retryable
