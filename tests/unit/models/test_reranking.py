"""Rerankers: a cross-encoder in this process, and servers of the shapes that there are."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from motet.errors import FaultError, SetupError
from motet.models.reranking import CrossEncoder, RemoteReranker
from tests.unit.models.fake_server import FakeServer, failure

WORDS = {"[PAD]": 0, "good": 1, "[SEP]": 2, "bad": 3, "question": 4}


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


# A model file is a protobuf (onnx.proto, of the ONNX specification): fields by number.


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def part(field: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def node(op: str, inputs: Sequence[str], output: str, *attributes: bytes) -> bytes:
    said = b"".join(part(1, each) for each in inputs) + part(2, output) + part(4, op)
    return part(1, said + b"".join(part(5, each) for each in attributes))


def tensor(field: int, name: str, kind: int, *dimensions: str) -> bytes:
    shape = b"".join(part(1, part(2, each)) for each in dimensions)
    return part(field, part(1, name) + part(2, part(1, number(1, kind) + part(2, shape))))


def constant(name: str, values: Sequence[float]) -> bytes:
    raw = struct.pack(f"<{len(values)}f", *values)
    return part(5, number(1, len(values)) + number(2, 1) + part(8, name) + part(9, raw))


def onnx_of(weights: Sequence[float]) -> bytes:
    """`sum(ids * mask * type_ids)` times each of the weights: a logit a weight."""
    graph = b"".join(
        (
            node("Mul", ["input_ids", "attention_mask"], "seen"),
            node("Mul", ["seen", "token_type_ids"], "of_text"),
            node("Cast", ["of_text"], "floats", part(1, "to") + number(3, 1) + number(20, 2)),
            node(
                "ReduceSum",
                ["floats"],
                "sum",
                part(1, "axes") + number(8, 1) + number(20, 7),
            ),
            node("Mul", ["sum", "weights"], "logits"),
            part(2, "tiny"),
            constant("weights", weights),
            *(
                tensor(11, name, 7, "batch", "length")
                for name in ("input_ids", "attention_mask", "token_type_ids")
            ),
            tensor(12, "logits", 1, "batch", "logit"),
        )
    )
    return number(1, 7) + part(7, graph) + part(8, number(2, 11))


def folder_of(path: Path, weights: Sequence[float]) -> Path:
    """A cross-encoder whose logit is the sum of the ids of a text's words."""
    path.mkdir()
    (path / "model.onnx").write_bytes(onnx_of(weights))
    tokenizer = Tokenizer(WordLevel(WORDS, unk_token="[PAD]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="$A [SEP]", pair="$A [SEP] $B:1", special_tokens=[("[SEP]", 2)]
    )
    tokenizer.save(str(path / "tokenizer.json"))
    return path


async def test_a_cross_encoder_scores_each_text(tmp_path: Path) -> None:
    model = CrossEncoder(folder_of(tmp_path / "tiny", [0.5]))
    assert model.name == "local:tiny"
    texts = ["bad", "good", "bad good bad", *["good good"] * 20]
    assert await model.scores("question", texts) == pytest.approx(
        [sigmoid(1.5), sigmoid(0.5), sigmoid(3.5), *[sigmoid(1.0)] * 20]
    )
    assert await model.scores("question", []) == []
    await model.close()


async def test_of_two_logits_the_second_is_yes(tmp_path: Path) -> None:
    model = CrossEncoder(folder_of(tmp_path / "tiny", [-1.0, 1.0]))
    assert await model.scores("question", ["good"]) == pytest.approx([sigmoid(2)])
    await model.close()


async def test_long_texts_are_cut(tmp_path: Path) -> None:
    model = CrossEncoder(folder_of(tmp_path / "tiny", [0.001]))
    (score,) = await model.scores("question", ["good " * 5000])
    assert score == pytest.approx(sigmoid(0.001 * (512 - 2)))
    await model.close()


async def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"has no model\.onnx"):
        CrossEncoder(tmp_path)
    folder = folder_of(tmp_path / "broken", [1])
    (folder / "model.onnx").write_bytes(b"no model")
    model = CrossEncoder(folder)
    with pytest.raises(FaultError) as raised:
        await model.scores("question", ["good"])
    assert raised.value.fault.type == "model_failed"
    await model.close()


def remote(fake: FakeServer, **options: Any) -> RemoteReranker:
    given: dict[str, Any] = {"model": "", "key": None, "timeout_s": 10, **options}
    return RemoteReranker(fake.url, **given)


def ranked(*rows: tuple[int, float], key: str = "relevance_score") -> Any:
    return [{"index": index, key: score} for index, score in rows]


async def test_a_server_of_coheres_shape(fake: FakeServer) -> None:
    fake.answer((200, {"id": "1", "results": ranked((1, 0.9), (0, 0.2)), "meta": {}}))
    model = remote(fake, model="rerank-v3.5", key="secret")
    assert await model.scores("why?", ["a", "b"]) == [0.2, 0.9]
    assert fake.paths == ["/v1/rerank"]
    assert fake.headers[0]["authorization"] == "Bearer secret"
    assert fake.requests == [
        {"query": "why?", "documents": ["a", "b"], "top_n": 2, "model": "rerank-v3.5"}
    ]
    await model.close()


async def test_a_server_of_teis_shape(fake: FakeServer) -> None:
    rows = ranked((0, 0.1), (1, 0.8), key="score")
    fake.answer((422, {"error": "missing field `texts`"}), (200, rows))  # type: ignore[arg-type]
    model = remote(fake)
    assert await model.scores("why?", ["a", "b"]) == [0.1, 0.8]
    assert await model.scores("why?", ["a", "b"]) == [0.1, 0.8]
    assert [sorted(each) for each in fake.requests] == [
        ["documents", "query", "top_n"],
        ["query", "texts", "top_n"],
        ["query", "texts", "top_n"],
    ]
    assert "authorization" not in fake.headers[0]
    await model.close()


async def test_logits_become_scores_in_the_same_order(fake: FakeServer) -> None:
    fake.answer((200, {"results": ranked((0, -8.5), (1, 0.0), (2, 3.0))}))
    model = remote(fake)
    scores = await model.scores("why?", ["a", "b", "c"])
    assert scores == pytest.approx([sigmoid(-8.5), 0.5, sigmoid(3)])
    await model.close()


@pytest.mark.parametrize(
    "answer, said, retryable",
    [
        (failure(401, "no such key"), "401", False),
        (failure(503, "busy"), "503", True),
        ((200, {"results": ranked((0, 0.5))}), "1 scores for 2", False),
        ((200, {"results": ranked((0, 0.5), (7, 0.5))}), "range", False),
        ((200, {"results": ranked((0, 0.5), (1, float("nan")))}), "1 scores for 2", False),
        ((200, {"other": 1}), "results", False),
    ],
)
async def test_a_server_that_does_not_do_it(
    fake: FakeServer, answer: Any, said: str, retryable: bool
) -> None:
    fake.answer(answer)
    model = remote(fake)
    with pytest.raises(FaultError, match=said) as raised:
        await model.scores("why?", ["a", "b"])
    assert (raised.value.fault.type, raised.value.fault.retryable) == ("model_failed", retryable)
    await model.close()
