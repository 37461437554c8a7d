"""The port of extraction.

Invariants, whichever way it is done:

- Every name of a statement or an alias is among the names.
- No name is without a letter or digit; none is over 200 characters.
- The same passage gives the same extraction, as far as the model allows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from motet.messages import GraphPassage
from motet_graph import names
from motet_graph.extraction.aliases import qualified, stated_aliases
from motet_graph.statements import Alias, Extraction, Statement

__all__ = ["Extractor", "aliases_of", "extraction_of", "given"]

MAX_NAME = 200
"""Characters; what is longer is a clause and not a name."""


class Extractor(Protocol):
    """Reads passages."""

    @property
    def name(self) -> str:
        """How it reads, with its version: part of a document's fingerprint."""
        ...

    async def extract(self, passage: GraphPassage) -> Extraction:
        """What the passage says.

        Raises:
            FaultError: The model failed, or the budget is used up.
        """
        ...


def extraction_of(
    found: Iterable[str], statements: Iterable[Statement], aliases: Iterable[Alias]
) -> Extraction:
    """An extraction for which the invariants of this module hold."""
    kept = tuple(
        dict.fromkeys(
            each
            for each in statements
            if _is_name(each.subject)
            and _is_name(each.object)
            and names.key(each.subject) != names.key(each.object)
        )
    )
    stated = tuple(
        dict.fromkeys(each for each in aliases if _is_name(each.name) and _is_name(each.other))
    )
    every = [
        *found,
        *(name for each in kept for name in (each.subject, each.object)),
        *(name for each in stated for name in (each.name, each.other)),
    ]
    return Extraction(tuple(dict.fromkeys(filter(_is_name, every))), kept, stated)


def given(passage: GraphPassage) -> Extraction:
    """The extraction of a passage that brings its triples along."""
    statements = [
        Statement(each.subject, each.predicate, each.object) for each in passage.triples or ()
    ]
    return extraction_of([passage.title] if passage.title else [], statements, aliases_of(passage))


def aliases_of(passage: GraphPassage, language: str | None = None) -> list[Alias]:
    """What a passage states to be names of one entity, its title included."""
    found = [Alias(*pair) for pair in stated_aliases(passage.text, language)]
    title = passage.title.strip()
    bare = qualified(title)
    if bare is not None and bare in passage.text:
        found.append(Alias(title, bare))
    return found


def _is_name(name: str) -> bool:
    return len(name) <= MAX_NAME and bool(names.key(name))
