"""Rerankers: models that read a question and a text together.

Invariants:

- A score is from 0 to 1, larger for a better text, and comparable within one request only.
- A model on this machine works in a thread of its own, one batch at a time.
- What goes wrong is a `SetupError` where a reranker is made, and the fault `model_failed` where it
  is asked.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from motet.errors import SetupError
from motet.messages import Usage
from motet.models.choice import LOCAL, ModelChoice
from motet.models.faults import model_failed
from motet.models.metering import paid
from motet.models.observation import observed
from motet.telemetry import names

if TYPE_CHECKING:
    import httpx

__all__ = ["CrossEncoder", "RemoteReranker", "Reranker"]

_BATCH = 8
_MAX_TOKENS = 512
"""Of question and text together: what BERT's positions reach."""
_UNPROCESSABLE = 422
_PACKAGES = ("numpy", "onnxruntime", "tokenizers")


class Reranker(Protocol):
    """A model that says how well texts answer a question."""

    @property
    def name(self) -> str:
        """The model, as `provider:name`."""
        ...

    async def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """A score for each text, in order.

        Raises:
            FaultError: `model_failed`, or what the meter raises.
        """
        ...

    async def close(self) -> None:
        """Lets go of what it holds."""
        ...


class CrossEncoder:
    """A cross-encoder as ONNX, in this process; costs nothing and is not metered.

    Its folder holds `model.onnx` and `tokenizer.json`, as sentence-transformers exports them. Of
    one logit the sigmoid is the score, of two the softmax of the second.
    """

    def __init__(self, folder: Path) -> None:
        """Looks whether everything is there; the model is loaded with the first question.

        Raises:
            SetupError: A file or a package is missing.
        """
        for file in ("model.onnx", "tokenizer.json"):
            if not (folder / file).is_file():
                raise SetupError(f"The cross-encoder's folder {folder} has no {file}.")
        missing = [package for package in _PACKAGES if find_spec(package) is None]
        if missing:
            raise SetupError(
                f"A cross-encoder needs {' and '.join(missing)}: install `motet[embeddings]`."
            )
        self._folder = folder
        self._choice = ModelChoice(provider=LOCAL, name=folder.name)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reranker")
        self._loaded: tuple[Any, Any] | None = None

    @property
    def name(self) -> str:
        """See `Reranker.name`."""
        return self._choice.id

    async def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """See `Reranker.scores`."""
        scores = [0.0] * len(texts)
        loop = asyncio.get_running_loop()
        with observed(names.OPERATION_RERANK, self._choice, {}) as observation:
            tokens = 0
            # Texts of like length share a batch, so that little of it is padding.
            by_length = sorted(range(len(texts)), key=lambda place: len(texts[place]))
            for first in range(0, len(by_length), _BATCH):
                places = by_length[first : first + _BATCH]
                pairs = [(question, texts[place]) for place in places]
                try:
                    found, read = await loop.run_in_executor(self._thread, self._read, pairs)
                except Exception as error:  # ONNX Runtime raises exceptions of its own
                    raise model_failed(error, self._choice.where) from error
                tokens += read
                for place, score in zip(places, found, strict=True):
                    scores[place] = score
            observation.usage = Usage(input_tokens=tokens)
        return scores

    async def close(self) -> None:
        """See `Reranker.close`."""
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)

    def _read(self, pairs: list[tuple[str, str]]) -> tuple[list[float], int]:
        """Scores of one batch, and how many tokens it had; only ever called in the thread."""
        import numpy as np

        if self._loaded is None:
            self._loaded = self._load()
        session, tokenizer = self._loaded
        encodings = tokenizer.encode_batch(pairs)
        given = {
            "input_ids": np.array([each.ids for each in encodings], np.int64),
            "attention_mask": np.array([each.attention_mask for each in encodings], np.int64),
            "token_type_ids": np.array([each.type_ids for each in encodings], np.int64),
        }
        wanted = {each.name for each in session.get_inputs()}
        outputs = session.run(None, {key: value for key, value in given.items() if key in wanted})
        logits = np.asarray(outputs[0], np.float64).reshape(len(pairs), -1)
        margins = logits[:, 0] if logits.shape[1] == 1 else logits[:, -1] - logits[:, 0]
        return [_sigmoid(float(each)) for each in margins], int(given["attention_mask"].sum())

    def _load(self) -> tuple[Any, Any]:
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.enable_cpu_mem_arena = False  # it would keep the largest batch's memory
        # Threads that wait for work sleep instead of spinning: others use these cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(
            self._folder / "model.onnx", options, providers=["CPUExecutionProvider"]
        )
        tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
        tokenizer.enable_truncation(_MAX_TOKENS, strategy="longest_first")
        tokenizer.enable_padding()  # to the longest of the batch
        return session, tokenizer


class RemoteReranker:
    """A server with `POST {base}/rerank`: Cohere, Jina, vLLM and others; or TEI.

    It is given `{"model", "query", "documents", "top_n"}` and answers with `results`, or a bare
    list, of `index` and `relevance_score` or `score`. TEI calls the documents `texts`: a server
    that refuses the one with status 422 is given the other from then on.
    """

    def __init__(self, url: str, *, model: str, key: str | None, timeout_s: float) -> None:
        """Opens nothing yet.

        Args:
            url: The base, such as `https://api.cohere.com/v2`.
            model: The server's name of the model; empty sends none.
            key: Sent as a bearer token; None sends none.
            timeout_s: Seconds that one request may take.

        Raises:
            SetupError: A package is missing.
        """
        if find_spec("httpx") is None:
            raise SetupError("A remote reranker needs httpx: install `motet[models]`.")
        import httpx

        self._choice = ModelChoice(provider="rerank", name=model or "default", url=url)
        self._model = model
        self._client = httpx.AsyncClient(
            timeout=timeout_s, headers={} if key is None else {"Authorization": f"Bearer {key}"}
        )
        self._url = f"{url.rstrip('/')}/rerank"
        self._field = "documents"

    @property
    def name(self) -> str:
        """See `Reranker.name`."""
        return self._choice.id

    async def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """See `Reranker.scores`. Servers hardly tell usage, so tokens are estimated."""
        tokens = sum(len(question) + len(text) for text in texts) // 4 + len(texts)
        usage = Usage(input_tokens=tokens)
        async with paid(usage, usage) as room:
            with observed(names.OPERATION_RERANK, self._choice, {}) as observation:
                try:
                    raw = await self._asked(question, texts)
                except Exception as error:  # what a server says may be anything
                    raise model_failed(error, self._choice.where) from error
                observation.usage = room.spent = usage
        # Some give logits; a sigmoid brings these between 0 and 1 and changes no order.
        within = all(0 <= each <= 1 for each in raw)
        return raw if within else [_sigmoid(each) for each in raw]

    async def close(self) -> None:
        """See `Reranker.close`."""
        await self._client.aclose()

    async def _asked(self, question: str, texts: Sequence[str]) -> list[float]:
        answer = await self._post(self._field, question, texts)
        if answer.status_code == _UNPROCESSABLE and self._field == "documents":
            answer = await self._post("texts", question, texts)
            if answer.is_success:
                self._field = "texts"
        if answer.is_error:
            raise _RefusedError(answer.status_code, answer.text)
        said: Any = answer.json()
        rows: Any = said["results"] if isinstance(said, dict) else said
        scores = [math.nan] * len(texts)
        for row in rows:
            score = row["relevance_score"] if "relevance_score" in row else row["score"]
            scores[int(row["index"])] = float(score)
        known = sum(map(math.isfinite, scores))
        if known != len(texts):
            raise ValueError(f"it gave {known} scores for {len(texts)} texts")
        return scores

    async def _post(self, field: str, question: str, texts: Sequence[str]) -> httpx.Response:
        body: dict[str, Any] = {"query": question, field: list(texts), "top_n": len(texts)}
        if self._model:
            body["model"] = self._model
        return await self._client.post(self._url, json=body)


class _RefusedError(Exception):
    """A server's refusal, with the status that tells whether to try again."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"it answered {status}: {text[:200]}")
        self.status_code = status


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-min(max(value, -60.0), 60.0)))
