"""Embeddings: texts as vectors.

Invariants:

- Vectors are float32 and have length 1, so that a dot product is the cosine.
- A vector depends on its text alone as far as the model allows; the order of the vectors is the
  order of the texts.
- A model on this machine works in a thread of its own, one batch at a time, so that a question
  waits for one batch of a long ingestion and not for all of it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from motet.errors import SetupError
from motet.messages import Usage
from motet.models import weights
from motet.models.cache import DiskCache, request_key
from motet.models.choice import LOCAL, ModelChoice
from motet.models.encoders import ENCODERS, PACKAGES
from motet.models.faults import model_failed
from motet.models.metering import paid
from motet.models.observation import Observation, observed
from motet.models.pricing import TokenCounts, cost_usd, warn_unpriced
from motet.settings import Settings
from motet.telemetry import names

if TYPE_CHECKING:
    import numpy as np
    from langchain_core.embeddings import Embeddings
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

Ask = Callable[[list[str]], Awaitable[list[list[float]]]]
"""How a provider is asked for vectors."""

_QUESTIONS = 2048
"""Questions whose vectors are kept in memory, 3 MB at 384 dimensions."""

__all__ = ["CachedEmbedder", "Embedder", "LocalEmbedder", "RemoteEmbedder", "embedder"]


class Embedder(Protocol):
    """A model that turns texts into vectors."""

    @property
    def name(self) -> str:
        """The model, as `provider:name`; vectors of models with other names do not compare."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector. Of a remote model it is known once it has embedded something."""
        ...

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """A row for each text, in order: shape (number of texts, dimension), L2-normalised.

        Raises:
            FaultError: `model_failed`, or what the meter raises.
        """
        ...

    async def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """The same for questions, which some models are asked for in another way."""
        ...


def embedder(settings: Settings) -> Embedder:
    """The embedding model that the settings mean.

    Raises:
        SetupError: Its weights have not been pulled, its key or its package is missing.
    """
    provider, _, name = settings.embedding_model.partition(":")
    choice = ModelChoice(provider=provider.replace("-", "_").lower(), name=name)
    made: Embedder
    if choice.provider == LOCAL:
        made = LocalEmbedder(name, weights.path(name, *settings.weights_dirs))
    else:
        if find_spec("numpy") is None:
            raise SetupError("Embeddings need numpy: install `motet[embeddings]`.")
        from motet.models.providers import embeddings_of

        made = RemoteEmbedder(choice, embeddings_of(choice), timeout_s=settings.model_timeout_s)
    if not settings.model_cache:
        return made
    return CachedEmbedder(made, DiskCache(settings.cache_dir / "embeddings.sqlite3"))


class CachedEmbedder:
    """A model whose vectors are kept, so that an equal text is not embedded again.

    On disk those of passages; in memory those of the latest questions.
    """

    def __init__(self, model: Embedder, disk: DiskCache) -> None:
        self._model = model
        self._disk = disk
        self._questions: OrderedDict[str, Vectors] = OrderedDict()

    @property
    def name(self) -> str:
        """See `Embedder.name`."""
        return self._model.name

    @property
    def dimension(self) -> int:
        """See `Embedder.dimension`."""
        return self._model.dimension

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder.embed`."""
        import numpy as np

        keys = [request_key(model=self.name, text=text) for text in texts]
        kept = await self._disk.get(list(dict.fromkeys(keys)))
        new = {
            key: text for key, text in zip(keys, texts, strict=True) if key not in kept
        }  # each text once
        if new or not texts:
            vectors = await self._model.embed(list(new.values()))
            if not texts:
                return vectors
            made = {key: row.tobytes() for key, row in zip(new, vectors, strict=True)}
            await self._disk.put(made)
            kept |= made
        return np.stack([np.frombuffer(kept[key], np.float32) for key in keys])

    async def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder.embed_queries`."""
        import numpy as np

        new = list(dict.fromkeys(text for text in texts if text not in self._questions))
        if new or not texts:
            vectors = await self._model.embed_queries(new)
            if not texts:
                return vectors
            self._questions.update(zip(new, vectors, strict=True))
        found = []
        for text in texts:
            self._questions.move_to_end(text)
            found.append(self._questions[text])
        while len(self._questions) > _QUESTIONS:
            self._questions.popitem(last=False)
        return np.stack(found)


class LocalEmbedder:
    """A model in this process; costs nothing and is not metered."""

    def __init__(self, name: str, model: Path) -> None:
        """`model` is the model's own file; its other files lie beside it."""
        try:
            self._how = ENCODERS[name]
        except KeyError:
            raise SetupError(
                f"MOTET_EMBEDDING_MODEL={LOCAL}:{name} is no embedding model; there is "
                f"{', '.join(f'{LOCAL}:{each}' for each in ENCODERS)}."
            ) from None
        self.dimension = self._how.dimension
        missing = [package for package in PACKAGES if find_spec(package) is None]
        if missing:
            raise SetupError(
                f"Embeddings on this machine need {' and '.join(missing)}: "
                "install `motet[embeddings]`."
            )
        self._choice = ModelChoice(provider=LOCAL, name=name)
        self._encoder = self._how.load(model)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embeddings")

    @property
    def name(self) -> str:
        """See `Embedder.name`."""
        return self._choice.id

    async def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder.embed_queries`."""
        return await self.embed([self._how.question + text for text in texts])

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder.embed`."""
        import numpy as np

        vectors = np.empty((len(texts), self.dimension), np.float32)
        loop = asyncio.get_running_loop()
        with observed(names.OPERATION_EMBEDDINGS, self._choice, {}) as observation:
            tokens = 0
            # Texts of like length share a batch, so that little of it is padding.
            by_length = sorted(range(len(texts)), key=lambda index: len(texts[index]))
            for first in range(0, len(by_length), self._how.batch):
                rows = by_length[first : first + self._how.batch]
                batch = [texts[row] for row in rows]
                vectors[rows], read = await loop.run_in_executor(self._thread, self._embed, batch)
                tokens += read
            _observe(observation, self.dimension, Usage(input_tokens=tokens))
        return vectors

    def _embed(self, texts: list[str]) -> tuple[Vectors, int]:
        """Vectors of one batch, and how many tokens it had. Only ever called in the thread."""
        vectors, tokens = self._encoder.encode(texts)
        return _normalised(vectors), tokens


class RemoteEmbedder:
    """An embedding model of a provider, through LangChain."""

    def __init__(self, choice: ModelChoice, model: Embeddings, *, timeout_s: float) -> None:
        self._choice = choice
        self._model = model
        self._timeout_s = timeout_s
        self._dimension: int | None = None

    @property
    def name(self) -> str:
        """See `Embedder.name`."""
        return self._choice.id

    @property
    def dimension(self) -> int:
        """See `Embedder.dimension`."""
        if self._dimension is None:
            raise RuntimeError(f"{self.name} has embedded nothing yet")
        return self._dimension

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder.embed`. LangChain tells no usage, so that tokens are estimated."""
        return await self._paid(texts, self._model.aembed_documents)

    async def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder.embed_queries`."""

        async def ask(questions: list[str]) -> list[list[float]]:
            return list(await asyncio.gather(*map(self._model.aembed_query, questions)))

        return await self._paid(texts, ask)

    async def _paid(self, texts: Sequence[str], ask: Ask) -> Vectors:
        tokens = sum(len(text) for text in texts) // 4 + len(texts)
        usage = self._usage(tokens)
        async with paid(usage, usage) as room:
            with observed(names.OPERATION_EMBEDDINGS, self._choice, {}) as observation:
                vectors = await self._vectors(texts, ask)
                _observe(observation, self.dimension, usage)
                room.spent = usage
        return vectors

    async def _vectors(self, texts: Sequence[str], ask: Ask) -> Vectors:
        import numpy as np

        try:
            async with asyncio.timeout(self._timeout_s):
                rows = await ask(list(texts))
        except TimeoutError:
            late = TimeoutError(f"it did not answer within {self._timeout_s:g} s.")
            raise model_failed(late, self._choice.where) from None
        except Exception as error:  # every provider raises exceptions of its own
            raise model_failed(error, self._choice.where) from error
        if rows:
            self._dimension = len(rows[0])
        return _normalised(np.array(rows, np.float32).reshape(len(rows), -1))

    def _usage(self, tokens: int) -> Usage:
        cost = cost_usd(self._choice, TokenCounts(input=tokens), [self._choice.name])
        if cost is None:
            warn_unpriced(self._choice.id)
        return Usage(input_tokens=tokens, cost_usd=cost or 0.0)


def _observe(observation: Observation, dimension: int, usage: Usage) -> None:
    observation.usage = usage
    observation.span.set_attributes(
        {
            names.GEN_AI_EMBEDDING_DIMENSIONS: dimension,
            names.GEN_AI_INPUT_TOKENS: usage.input_tokens,
            names.COST_USD: usage.cost_usd,
        }
    )


def _normalised(vectors: Vectors) -> Vectors:
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    normalised: Vectors = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return normalised
