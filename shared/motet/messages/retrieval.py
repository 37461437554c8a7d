"""Retrieval: what the `retriever` agent takes to search, and gives."""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, JsonValue, StringConstraints, model_validator

from motet.messages.base import Message, Timestamp, Value
from motet.messages.filters import CustomFields, Filter, conditions
from motet.messages.principal import Label

__all__ = [
    "STRATEGIES",
    "BranchScore",
    "Passage",
    "SearchRequest",
    "SearchResult",
    "Strategy",
]

ADVANCED: dict[str, JsonValue] = {"x-motet-advanced": True}
"""Marks in the schema of a skill's input what a planner is not shown: what users set by hand."""

Strategy = Literal[
    "basic",
    "hybrid",
    "multi_query",
    "hyde",
    "hierarchical",
    "multi_hop",
    "graph",
    "hybrid_graph",
]
"""How passages are looked for.

`basic` compares embeddings, `hybrid` words too. `multi_query` asks in several ways, `hyde` by a
passage that might be the answer, `hierarchical` among documents, then their sections, then their
passages, and `multi_hop` goes on from what it has found. `graph` goes by what connects the names in
the question, through the graph agent, and `hybrid_graph` joins that with `hybrid`.
"""
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)


class BranchScore(Value):
    """What one branch of a search said of a passage."""

    branch: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    """`dense` compares embeddings (cosine); `sparse` is BM25; `graph` spreads from entities;
    `document` and `section` are what the passage is a part of, looked for as wholes; `rerank` has
    read question and passage together."""
    query: str | None = None
    """What it was asked, where that is not the question itself."""
    rank: int = Field(ge=1)
    """Place in the branch's own list, from 1."""
    score: float
    """The branch's own score, comparable only within the branch."""


class Passage(Value):
    """A piece of a document."""

    id: str
    """Stable as long as the document's content is unchanged."""
    source: str
    """The document's source."""
    title: str
    """The document's title."""
    text: str
    """The passage itself."""
    section: tuple[str, ...] = ()
    """The headings above it, outermost first."""
    position: int = Field(ge=0)
    """Its place in the document, from 0."""
    start: int = Field(ge=0)
    """Offset of its first character in the document's text."""
    end: int = Field(ge=0)
    """Offset after its last character."""
    start_s: float | None = Field(default=None, ge=0)
    """Where it begins in a recording, in seconds; None for what was written."""
    end_s: float | None = Field(default=None, ge=0)
    """Where it ends in a recording."""
    page: int | None = Field(default=None, ge=1)
    """The page, slide or sheet that it begins on, from 1; None for what has none."""
    block: Literal["text", "table", "code"] = "text"
    """What it is made of."""
    media_type: str = ""
    """How its document was read."""
    language: str | None = None
    """Its document's language as a BCP 47 tag."""
    time: Timestamp | None = None
    """The moment that its document speaks of or was written at."""
    ingested_at: Timestamp | None = None
    """When this version of its document was stored."""
    labels: tuple[Label, ...] = ()
    """Its document's access labels."""
    fields: CustomFields = Field(default_factory=dict)
    """Its document's own fields."""
    score: float = 0.0
    """The score that it is ordered by; higher is better."""
    branches: tuple[BranchScore, ...] = ()
    """Rank and score in each branch that found it."""
    reason: str = ""
    """Why it is here, in words."""
    context: str = ""
    """The section or document around it, where the request asked for that."""


class SearchRequest(Message):
    """Finds passages for a question."""

    query: str = Field(min_length=1, max_length=4000)
    """What to look for, in plain words."""
    limit: int = Field(default=5, ge=1, le=100)
    """How many passages at most."""
    offset: int = Field(default=0, ge=0, le=900, json_schema_extra=ADVANCED)
    """How many of the best to leave out: the next page."""
    strategy: Strategy | None = None
    """How to look; None takes `mode`, and without one the retriever's default."""
    mode: Literal["hybrid", "dense", "sparse"] | None = Field(
        default=None, json_schema_extra=ADVANCED
    )
    """Which branches to ask, for a search of one step; None leaves it to the strategy."""
    sources: tuple[str, ...] = Field(default=(), max_length=1000, json_schema_extra=ADVANCED)
    """Only passages of these documents; empty means all."""
    scope: Literal["all", "tenant", "task"] = Field(default="all", json_schema_extra=ADVANCED)
    """Whose documents: the tenant's, those of the task that the call is made in, or both."""
    filter: Filter | None = Field(default=None, json_schema_extra=ADVANCED)
    """Only passages for which this holds."""
    fusion: Literal["rrf", "dbsf"] | None = Field(default=None, json_schema_extra=ADVANCED)
    """How lists become one: by weighted ranks (`rrf`), or by scores that are scaled by mean and
    deviation (`dbsf`); None takes the retriever's default."""
    weights: dict[
        Literal["dense", "sparse", "graph"],
        Annotated[float, Field(ge=0, allow_inf_nan=False)],
    ] = Field(default_factory=dict, json_schema_extra=ADVANCED)
    """How much a branch counts, 0 or more; the retriever's default for those left out."""
    diversity: float = Field(default=0.0, ge=0, le=1, json_schema_extra=ADVANCED)
    """Maximal marginal relevance: how much a passage that says what another says is put back; 0
    looks at relevance alone."""
    per_document: int | None = Field(default=None, ge=1, le=100, json_schema_extra=ADVANCED)
    """How many passages of one document at most; None sets no limit."""
    half_life_days: float | None = Field(default=None, gt=0, le=36_500, json_schema_extra=ADVANCED)
    """Days in which a document's age halves its score; None does not look at age. One without a
    time is as old as its ingestion."""
    rerank: Literal["auto", "none", "cross_encoder", "api", "model"] = Field(
        default="auto", json_schema_extra=ADVANCED
    )
    """Who reads question and passages together: `auto` takes what the retriever is set up with."""
    expand: Literal["none", "section", "document"] = Field(
        default="none", json_schema_extra=ADVANCED
    )
    """What around each passage is given as its `context`."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.filter is not None:
            conditions(self.filter)
        if self.strategy is not None and self.mode is not None:
            raise ValueError("give 'strategy' or 'mode', not both")
        if self.weights and not any(self.weights.values()):
            raise ValueError("give at least one weight above 0")
        return self


class SearchResult(Message):
    """Passages, best first."""

    passages: tuple[Passage, ...]
    strategy: Strategy | None = None
    """How they were found."""
    queries: tuple[str, ...] = ()
    """What was asked besides the question, in order."""
    more: bool = False
    """Whether there is another page."""
