"""The retriever's own settings, `MOTET_RETRIEVER_...`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import SettingsConfigDict

from motet.settings import ServiceSettings, Settings
from motet_retriever.chunking import Chunking, Way
from motet_retriever.fusion import Fusion
from motet_retriever.parsing import Bounds

__all__ = ["RetrieverSettings"]


class RetrieverSettings(ServiceSettings):
    """What only the retriever reads."""

    model_config = SettingsConfigDict(env_prefix="MOTET_RETRIEVER_")

    url: str | None = Field(default=None, pattern=r"^https?://[^/\s]+")
    """Address of a Qdrant server, such as `http://qdrant:6333`, which several retrievers may share;
    None keeps passages in a folder of the service's own."""
    api_key: SecretStr | None = None
    """Key of that server; None sends none. Over `http://` it travels in the clear."""
    collection: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_.-]{1,255}$")
    """The server's name of the passages; None takes MOTET_NAMESPACE."""
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
    candidates: int = Field(default=50, ge=1, le=10_000)
    """Passages that each branch proposes to a fused search; as many as are asked for at least."""
    fusion_k: int = Field(default=10, ge=1, le=1000)
    """The constant of reciprocal rank fusion: the larger, the less the first ranks stand out."""
    dense_weight: float = Field(default=1.0, ge=0)
    """How much the comparison of embeddings counts in a fused search."""
    sparse_weight: float = Field(default=1.0, ge=0)
    """How much BM25 counts in a fused search."""

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
        """The key of the Qdrant server."""
        return None if self.api_key is None else self.api_key.get_secret_value()

    def cutting(self) -> Chunking:
        """How documents are cut."""
        return Chunking(self.chunk_tokens, self.chunk_overlap, self.chunking)

    def bounds(self) -> Bounds:
        """What parsing may take."""
        return Bounds(self.parsers, self.parser_memory_bytes, self.parser_timeout_s)

    def fusion(self) -> Fusion:
        """How the branches of a search become one list."""
        return Fusion({"dense": self.dense_weight, "sparse": self.sparse_weight}, self.fusion_k)
