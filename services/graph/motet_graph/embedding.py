"""What of a document is embedded, and by which model.

Invariants:

- The texts follow from what is stored, so a document can be embedded anew, by another model, as it
  was when it was ingested, without reading a passage again.
- A document, or an entity, has vectors of one model, and that model's name; vectors that another
  model made are never compared with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from motet.models import Embedder
from motet_graph import names
from motet_graph.statements import DocumentPart, StoredPassage, Vector
from motet_graph.stores.port import EntityRecord, GraphStore

__all__ = ["embedded", "mentioned", "spellings", "stated", "without_vectors"]

BATCH = 256
"""Texts that the model is asked for at once."""


async def embedded(
    store: GraphStore, embedder: Embedder, tenant: str, parts: Sequence[DocumentPart]
) -> tuple[list[DocumentPart], dict[str, EntityRecord]]:
    """Documents with vectors of a model, and by key the entities that they mention, also with such.

    Raises:
        FaultError: From the model or the store.
    """
    spelled = _names(parts)
    there = await store.entities(tenant, sorted(spelled))
    records = {each.key: each for each in there if each.model == embedder.name}
    # What is there keeps its name.
    spelled.update((each.key, each.name) for each in there)
    missing = {key: name for key, name in spelled.items() if key not in records}
    wanted = dict.fromkeys(text for part in parts for text in _texts(part))
    vectors = await _vectors(embedder, list(wanted | dict.fromkeys(missing.values())))
    for key, name in missing.items():
        records[key] = EntityRecord(key, name, vectors[name], embedder.name)
    return [_with(part, vectors, embedder.name) for part in parts], records


def mentioned(part: DocumentPart) -> set[str]:
    """Keys of the entities that a document mentions."""
    return {each.key for stored in part.passages for each in stored.mentions}


def without_vectors(part: DocumentPart) -> DocumentPart:
    """A document as if nothing in it had been embedded."""
    return _with(part, {}, part.model)


def stated(spelled: Mapping[str, str], subject: str, predicate: str, obj: str) -> str:
    """The line that is embedded of a statement for which no other is stored.

    Args:
        spelled: What `spellings` says of its passage.
        subject: Key of the subject.
        predicate: What holds between the two.
        obj: Key of the object.
    """
    return f"{spelled.get(subject, subject)} {predicate} {spelled.get(obj, obj)}"


def spellings(stored: StoredPassage) -> dict[str, str]:
    """For each key that a passage mentions the first of its spellings, in whatever order."""
    return {each.key: each.name for each in sorted(stored.mentions, reverse=True)}


async def _vectors(embedder: Embedder, texts: Sequence[str]) -> dict[str, Vector]:
    vectors: dict[str, Vector] = {}
    for first in range(0, len(texts), BATCH):
        batch = texts[first : first + BATCH]
        vectors.update(zip(batch, await embedder.embed(batch), strict=True))
    return vectors


def _names(parts: Sequence[DocumentPart]) -> dict[str, str]:
    """For each key the canonical of its spellings."""
    spelled: dict[str, Counter[str]] = {}
    for part in parts:
        for stored in part.passages:
            for each in stored.mentions:
                spelled.setdefault(each.key, Counter())[each.name] += 1
    return {key: names.canonical(counts)[0] for key, counts in spelled.items()}


def _texts(part: DocumentPart) -> Iterator[str]:
    """What is embedded of a document beside names."""
    for stored in part.passages:
        yield _words(stored)
        yield from _lines(stored)


def _words(stored: StoredPassage) -> str:
    passage = stored.passage
    headings = [passage.title if stored.titled else "", *passage.section]
    return "\n".join([*(heading for heading in headings if heading), passage.text])


def _lines(stored: StoredPassage) -> list[str]:
    spelled = spellings(stored)
    return [
        each.text or stated(spelled, each.subject, each.predicate, each.object)
        for each in stored.statements
    ]


def _with(part: DocumentPart, vectors: Mapping[str, Vector], model: str | None) -> DocumentPart:
    return replace(
        part,
        model=model,
        passages=tuple(
            replace(
                stored,
                vector=vectors.get(_words(stored)),
                statements=tuple(
                    each._replace(vector=vectors.get(line))
                    for each, line in zip(stored.statements, _lines(stored), strict=True)
                ),
            )
            for stored in part.passages
        ),
    )
