"""The graph's own settings, `MOTET_GRAPH_...`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from motet.models import choose
from motet.settings import ServiceSettings, Settings
from motet_graph.atlas import MAPS
from motet_graph.ranking import Weights

__all__ = ["GraphSettings"]


class GraphSettings(ServiceSettings):
    """What only the graph reads."""

    model_config = SettingsConfigDict(env_prefix="MOTET_GRAPH_")

    url: str | None = None
    """Address of a graph server, `bolt://` or `neo4j://`; None has the service run its own, an
    ArcadeDB that ends with it."""
    user: str = "neo4j"
    """User of that server, who may write."""
    password: SecretStr | None = None
    """Password of that user; None connects without."""
    reader_user: str | None = None
    """Another user, who may only read, for `graph.query`; None takes the same. ArcadeDB needs one,
    for Neo4j keeps transactions that read from writing."""
    reader_password: SecretStr | None = None
    """Password of that user."""
    database: str = Field(default="neo4j", min_length=1)
    """The server's name of the graph; a Neo4j of the Community Edition has only `neo4j`."""
    dir: Path | None = None
    """Folder of the embedded server; None takes `graph` under MOTET_DATA_DIR. One process has it
    open."""
    heap_mb: int = Field(default=256, ge=96, le=65_536)
    """Megabytes of heap that the embedded server may take."""
    extraction: Literal["auto", "offline", "model"] = "auto"
    """How passages are read: `offline` by spelling, `model` by the chat model; `auto` takes the
    model unless it runs on this machine, where it would take seconds a passage."""
    facts: int = Field(default=5, ge=1, le=1000)
    """Statements nearest to a question from which a search sets out."""
    passage_weight: float = Field(default=0.05, gt=0, le=100)
    """How much a search sets out from passages near to the question, where a statement counts 1."""
    damping: float = Field(default=0.5, gt=0, lt=1)
    """The share of PageRank that follows an edge; the rest returns to where the search set out."""
    refresh_s: float = Field(default=2, ge=0)
    """Seconds after which a search looks whether another process has changed the graph."""
    maps: int = Field(default=MAPS, ge=1, le=10_000)
    """Tenants whose graphs are in memory at once; the one used longest ago makes room, and is read
    again when it is next asked for."""

    @field_validator("dir")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return None if path is None else path.expanduser().absolute()

    def folder(self, settings: Settings) -> Path:
        """Where the embedded server keeps the graph."""
        return self.dir or settings.data_dir / "graph"

    def writer(self) -> tuple[str, str] | None:
        """User and password for writing."""
        return None if self.password is None else (self.user, self.password.get_secret_value())

    def reader(self) -> tuple[str, str] | None:
        """User and password for queries; None where they are those for writing."""
        if self.reader_user is None or self.reader_password is None:
            return None
        return self.reader_user, self.reader_password.get_secret_value()

    def reads_by_model(self, settings: Settings) -> bool:
        """Whether passages are read by the chat model."""
        if self.extraction == "auto":
            return choose(settings).remote
        return self.extraction == "model"

    def weights(self) -> Weights:
        """How a search weighs what it finds."""
        return Weights(self.facts, self.passage_weight, self.damping)
