"""The retriever's own settings, `MOTET_RETRIEVER_...`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import SettingsConfigDict

from motet.errors import SetupError
from motet.messages import Strategy
from motet.models import choose
from motet.models.reranking import CrossEncoder, RemoteReranker, Reranker
from motet.settings import ServiceSettings, Settings
from motet_retriever.chunking import Chunking, Way
from motet_retriever.fusion import Fusion, Method
from motet_retriever.parsing import Bounds
from motet_retriever.reranking import Kind, ModelReranker, RankingModel, Rereading

__all__ = ["RetrieverSettings"]


class RetrieverSettings(ServiceSettings):
    """What only the retriever reads."""

    model_config = SettingsConfigDict(env_prefix="MOTET_RETRIEVER_")

    store: Literal["qdrant", "faiss", "chroma", "milvus"] = "qdrant"
    """What finds passages: `qdrant`, or `faiss`, `chroma` or `milvus` beside a catalogue in the
    folder, for one retriever only. Each of these three needs an extra of its name:
    `pip install 'motet-retriever[faiss]'`."""
    url: str | None = Field(default=None, pattern=r"^https?://[^/\s]+")
    """Address of a server of that store, such as `http://qdrant:6333`; several retrievers may share
    one of Qdrant's. None keeps all in a folder of the service's own."""
    api_key: SecretStr | None = None
    """Key of that server; None sends none. Over `http://` it travels in the clear."""
    collection: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_.-]{1,190}$")
    """The server's alias of the passages; None takes MOTET_NAMESPACE. In Chroma and Milvus names of
    collections begin with it, and end with an id."""
    store_dir: Path | None = None
    """Folder of the embedded store; None takes `retriever` under MOTET_DATA_DIR. One process has it
    open."""
    chunking: Way = "structure"
    """How documents are cut into passages: `structure` keeps tables and code apart and slides a
    window over prose, `window` slides over everything, `semantic` cuts prose where neighbouring
    sentences are least alike, and embeds each document twice. A change cuts a document anew when
    it is next ingested, as does one of the next two."""
    chunk_tokens: int = Field(default=200, ge=16, le=4000)
    """Tokens that a passage has at most, estimated; the embedding model must see them all beside
    title and headings (all-MiniLM-L6-v2 reads 256)."""
    chunk_overlap: int = Field(default=1, ge=0, le=20)
    """Sentences at most that a passage repeats from the one before."""
    max_document_bytes: int = Field(default=16 << 20, ge=1024)
    """Bytes of UTF-8 that a document's text may have; a larger one is reported as failed."""
    max_file_bytes: int = Field(default=64 << 20, ge=1024)
    """Bytes that a file may have which is parsed, such as a PDF; a larger one is not fetched."""
    parsers: int = Field(default=2, ge=1, le=64)
    """Files that are parsed at once, each in a process of its own, started when needed."""
    parser_memory_bytes: int = Field(default=1 << 30, ge=256 << 20)
    """Address space that such a process may take; a file that needs more is reported as failed."""
    parser_timeout_s: float = Field(default=60.0, gt=0, le=3600)
    """Seconds that a file may take to parse, of the clock and of the processor."""
    strategy: Strategy = "hybrid"
    """How passages are looked for where a search does not say: `basic`, `hybrid`, `multi_query`,
    `hyde`, `hierarchical`, `multi_hop`, `graph` or `hybrid_graph`."""
    candidates: int = Field(default=100, ge=1, le=1000)
    """Passages that each branch proposes to a search; pages that go further ask for more."""
    fusion: Method = "rrf"
    """How the branches' lists become one: `rrf` by weighted ranks, `dbsf` by scores that are scaled
    by mean and deviation."""
    fusion_k: int = Field(default=10, ge=1, le=1000)
    """The constant of reciprocal rank fusion: the larger, the less the first ranks stand out."""
    dense_weight: float = Field(default=1.0, ge=0)
    """How much the comparison of embeddings counts in a fused search."""
    sparse_weight: float = Field(default=0.7, ge=0)
    """How much BM25 counts in a fused search. With bge-small-en-v1.5, .7 is better than 1: nDCG@10
    of .761 against .756 on SciFact's training claims."""
    graph_weight: float = Field(default=1.0, ge=0)
    """How much the graph's proposals count in the strategy `hybrid_graph`."""
    model: Literal["off", "auto", "on"] = "auto"
    """Whether the chat model rewords and breaks up questions for the strategies `multi_query`,
    `hyde` and `multi_hop`, which do without one otherwise. `auto` asks it where it is a remote one;
    the small local model is asked only when this is `on`."""
    reranker: str | None = Field(default=None, pattern=r"^(local:.+|api|model)$")
    """Who reads question and passages together where a search leaves it to `auto`: `local:` and the
    folder of a cross-encoder (`model.onnx` and `tokenizer.json`), `api` for the server at
    MOTET_RETRIEVER_RERANKER_URL, or `model` for the chat model. None takes that server, if any."""
    reranker_url: str | None = Field(default=None, pattern=r"^https?://[^/\s]+")
    """Base URL of a server with `POST …/rerank` as Cohere, Jina, vLLM and TEI have it."""
    reranker_api_key: SecretStr | None = None
    """Key of that server; None sends none."""
    reranker_model: str = ""
    """That server's name of its model; empty sends none."""
    reranker_timeout_s: float = Field(default=10, gt=0)
    """Seconds that one request to that server may take."""
    rerank_candidates: int = Field(default=30, ge=1, le=1000)
    """Passages that are re-read."""
    task_ttl_s: float = Field(default=24 * 3600, ge=1)
    """Seconds that documents of a task are kept that has no deadline and is not known to have
    ended; others are erased with their task."""
    sweep_s: float = Field(default=60, ge=0.1)
    """Seconds between two looks for documents of tasks that have ended."""
    expand_characters: int = Field(default=4000, ge=100, le=100_000)
    """Characters that the section or document around a passage is given with at most."""

    @field_validator("store_dir")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return None if path is None else path.expanduser().absolute()

    @field_validator("sparse_weight")
    @classmethod
    def _some_weight(cls, weight: float, info: ValidationInfo) -> float:
        if weight == info.data.get("dense_weight") == 0:
            raise ValueError("it and MOTET_RETRIEVER_DENSE_WEIGHT cannot both be 0")
        return weight

    def store_path(self, settings: Settings) -> Path:
        """Where the passage store is."""
        return self.store_dir or settings.data_dir / "retriever"

    def key(self) -> str | None:
        """The key of the store's server."""
        return None if self.api_key is None else self.api_key.get_secret_value()

    def cutting(self) -> Chunking:
        """How documents are cut."""
        return Chunking(self.chunk_tokens, self.chunk_overlap, self.chunking)

    def bounds(self) -> Bounds:
        """What parsing may take."""
        return Bounds(self.parsers, self.parser_memory_bytes, self.parser_timeout_s)

    def fusing(self) -> Fusion:
        """How the branches of a search become one list."""
        weights = {
            "dense": self.dense_weight,
            "sparse": self.sparse_weight,
            "graph": self.graph_weight,
        }
        return Fusion(weights, self.fusion_k, self.fusion)

    def asks_model(self, settings: Settings) -> bool:
        """Whether the chat model is asked."""
        if self.model == "auto":
            return choose(settings).remote
        return self.model == "on"

    def rereading(self, model: RankingModel | None) -> Rereading:
        """Who can re-read; `model` is the chat model, where one is asked.

        Raises:
            SetupError: What the settings name is not there.
        """
        rerankers: dict[Kind, Reranker] = {}
        usual: Kind | None = None
        if model is not None:
            rerankers["model"] = ModelReranker(model)
        if self.reranker_url is not None:
            key = self.reranker_api_key
            rerankers["api"] = RemoteReranker(
                self.reranker_url,
                model=self.reranker_model,
                key=None if key is None else key.get_secret_value(),
                timeout_s=self.reranker_timeout_s,
            )
            usual = "api"
        match self.reranker:
            case None:
                pass
            case "api" | "model":
                usual = self.reranker
            case named:
                folder = Path(named.removeprefix("local:")).expanduser().absolute()
                rerankers["cross_encoder"] = CrossEncoder(folder)
                usual = "cross_encoder"
        if usual is not None and usual not in rerankers:
            needed = "RERANKER_URL" if usual == "api" else "MODEL=on"
            raise SetupError(f"MOTET_RETRIEVER_RERANKER={usual} needs MOTET_RETRIEVER_{needed}.")
        return Rereading(rerankers, usual, self.rerank_candidates)
