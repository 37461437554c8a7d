"""Extraction by the chat model, with constrained output.

What the model writes is held to the passage: a name of which the passage and its title have no word
is left out. The names and aliases that can be read without a model are added, so that an entity is
found also where the model passed it by.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pydantic import BaseModel, Field

from motet.messages import GraphPassage, Triple
from motet.text.fencing import fence
from motet_graph import names
from motet_graph.extraction.offline import OfflineExtractor
from motet_graph.extraction.port import extraction_of
from motet_graph.prompts import PROMPTS
from motet_graph.statements import Extraction, Statement

__all__ = ["ModelExtractor"]

MAX_TOKENS = 900
MAX_TRIPLES = 24


class Statements(BaseModel):
    """What the model is asked for."""

    statements: list[Triple] = Field(max_length=MAX_TRIPLES)


class Model(Protocol):
    """What is needed of a chat model."""

    @property
    def provider(self) -> str:
        """Who runs it."""
        ...

    @property
    def name(self) -> str:
        """The provider's name of it."""
        ...

    async def structured(
        self,
        messages: Sequence[tuple[str, str]],
        schema: type[Statements],
        *,
        name: str,
        max_tokens: int,
    ) -> Statements:
        """An answer in a form."""
        ...


class ModelExtractor:
    """Statements as a model finds them."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._prompt = PROMPTS.load("extract")
        self._offline = OfflineExtractor()

    @property
    def name(self) -> str:
        """See `Extractor.name`."""
        return (
            f"{self._prompt.name}.v{self._prompt.version}:{self._model.provider}:{self._model.name}"
        )

    async def extract(self, passage: GraphPassage) -> Extraction:
        """See `Extractor.extract`."""
        found = await self._model.structured(
            self._prompt.messages(
                passage=fence(passage.text, label="passage", title=passage.title or None)
            ),
            Statements,
            name="statements",
            max_tokens=MAX_TOKENS,
        )
        statements = [
            Statement(each.subject, each.predicate, each.object)
            for each in found.statements
            if _is_said(each.subject, passage) and _is_said(each.object, passage)
        ]
        by_spelling = self._offline.read(passage)
        return extraction_of(by_spelling.names, statements, by_spelling.aliases)


def _is_said(name: str, passage: GraphPassage) -> bool:
    """Whether the passage has a word of the name."""
    there = f"{passage.title} {passage.text}".casefold()
    return any(word in there for word in names.key(name).split() if len(word) > 1)
