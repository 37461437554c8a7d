"""The graph as arrays, for what looks at all of it: ranking and paths.

Invariants:

- A map does not change; a change of the graph makes another one.
- A node of the map is an entity with all its names: what passages state to be one entity is one
  node (`motet_graph.resolution`).
- Two maps of graphs with the same content are equal, in whatever order documents came.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motet.messages import Passage
from motet_graph import names
from motet_graph.lexical import Bm25
from motet_graph.pagerank import Transitions
from motet_graph.resolution import Resolution, resolve
from motet_graph.statements import DocumentPart, StoredPassage, Vector
from motet_graph.stores.port import EntityRecord

__all__ = ["Entity", "Fact", "GraphMap", "build"]

Matrix = NDArray[np.float32]

NEAR = 0.8
"""Cosine of two names from which they are joined by an edge (HippoRAG's threshold, arXiv
2405.14831, appendix)."""
MENTION_WEIGHT = 1.0
STATEMENT_WEIGHT = 1.0


@dataclass(frozen=True, slots=True)
class Entity:
    """An entity with its names, the canonical one first."""

    names: tuple[str, ...]
    keys: tuple[str, ...]
    passages: tuple[int, ...]
    """The passages that mention it, those that do most first."""

    @property
    def name(self) -> str:
        """Its canonical name."""
        return self.names[0]


@dataclass(frozen=True, slots=True)
class Fact:
    """A statement of one passage."""

    subject: int
    predicate: str
    object: int
    passage: int


@dataclass(frozen=True)
class GraphMap:
    """The graph at one moment. Nodes are entities, then passages."""

    passages: tuple[Passage, ...]
    entities: tuple[Entity, ...]
    facts: tuple[Fact, ...]
    meanings: Mapping[str, tuple[int, ...]]
    """Places of the entities that a key may mean; more than one where it is ambiguous."""
    passage_vectors: Matrix
    fact_vectors: Matrix
    fact_ends: NDArray[np.int64]
    """Rows of subject, object and passage of each fact."""
    name_vectors: Matrix
    name_entities: NDArray[np.int64]
    """The entity of each row of `name_vectors`."""
    mentions: NDArray[np.int64]
    """Rows of passage and entity."""
    transitions: Transitions
    words: Bm25
    around: tuple[tuple[int, ...], ...]
    """The facts of each entity."""
    partial: bool
    """Whether there are passages, and so their statements, without vectors."""

    def entities_of(self, name: str) -> tuple[int, ...]:
        """The entities that a name may mean, those that most passages mention first."""
        meant = self.meanings.get(names.key(name), ())
        return tuple(sorted(meant, key=lambda place: (-len(self.entities[place].passages), place)))


def build(
    parts: Sequence[tuple[DocumentPart, Sequence[Counter[str]]]],
    records: Mapping[str, EntityRecord],
) -> GraphMap:
    """A map of the graph.

    Args:
        parts: Its documents, each with the words of its passages.
        records: Its entities, by key.
    """
    parts = sorted(parts, key=lambda each: each[0].source)
    stored = [passage for part, _ in parts for passage in part.passages]
    dimension = next((len(each.vector) for each in stored if each.vector is not None), 0)
    found = resolve(stored)
    mentions = np.array(
        [
            (place, entity)
            for place, each in enumerate(stored)
            for entity in sorted({found.entity(each.passage.source, m.key) for m in each.mentions})
        ],
        np.int64,
    ).reshape(-1, 2)
    facts, fact_vectors = _facts(stored, found, dimension)
    ends = np.array([(f.subject, f.object, f.passage) for f in facts], np.int64).reshape(-1, 3)
    name_vectors, name_entities = _name_vectors(found, records, dimension)
    around: list[list[int]] = [[] for _ in found.names]
    for place, fact in enumerate(facts):
        around[fact.subject].append(place)
        around[fact.object].append(place)
    return GraphMap(
        passages=tuple(each.passage for each in stored),
        entities=_entities(found, mentions, len(stored)),
        facts=tuple(facts),
        meanings=found.meanings,
        passage_vectors=_stacked([each.vector for each in stored], dimension),
        fact_vectors=fact_vectors,
        fact_ends=ends,
        name_vectors=name_vectors,
        name_entities=name_entities,
        mentions=mentions,
        transitions=_transitions(
            len(found.names), len(stored), ends, mentions, near(name_vectors, name_entities)
        ),
        words=Bm25([words for _, each in parts for words in each]),
        around=tuple(tuple(each) for each in around),
        partial=any(each.vector is None for each in stored),
    )


def _entities(found: Resolution, mentions: NDArray[np.int64], passages: int) -> tuple[Entity, ...]:
    held: list[list[int]] = [[] for _ in found.names]
    weight = np.bincount(mentions[:, 0], minlength=passages) if len(mentions) else np.zeros(0)
    for passage, entity in mentions:
        held[entity].append(int(passage))
    return tuple(
        Entity(
            found.names[place],
            found.keys[place],
            # A passage that mentions little else says most of it.
            tuple(sorted(held[place], key=lambda each: (int(weight[each]), each))),
        )
        for place in range(len(found.names))
    )


def _facts(
    stored: Sequence[StoredPassage], found: Resolution, dimension: int
) -> tuple[list[Fact], Matrix]:
    facts: list[Fact] = []
    vectors: list[Vector | None] = []
    for place, each in enumerate(stored):
        for stated in each.statements:
            subject = found.entity(each.passage.source, stated.subject)
            obj = found.entity(each.passage.source, stated.object)
            if subject != obj:
                facts.append(Fact(subject, stated.predicate, obj, place))
                vectors.append(stated.vector)
    return facts, _stacked(vectors, dimension)


def _name_vectors(
    found: Resolution, records: Mapping[str, EntityRecord], dimension: int
) -> tuple[Matrix, NDArray[np.int64]]:
    having = [
        (key, entity)
        for key, entity in sorted(
            (key, entity) for entity, keys in enumerate(found.keys) for key in keys
        )
        if key in records and records[key].vector is not None
    ]
    vectors = _stacked([records[key].vector for key, _ in having], dimension)
    return vectors, np.array([entity for _, entity in having], np.int64)


def near(
    vectors: Matrix, entities: NDArray[np.int64], threshold: float = NEAR
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Pairs of entities with names of like meaning, and how like they are."""
    pairs: list[NDArray[np.int64]] = [np.empty((0, 2), np.int64)]
    weights: list[NDArray[np.float64]] = [np.empty(0)]
    block = 1024
    for first in range(0, len(vectors), block):
        likeness = vectors[first : first + block] @ vectors.T
        rows, columns = np.nonzero(likeness >= threshold)
        later = columns > rows + first
        rows, columns = rows[later], columns[later]
        joined = np.stack([entities[rows + first], entities[columns]], axis=1)
        apart = joined[:, 0] != joined[:, 1]
        pairs.append(joined[apart])
        weights.append(likeness[rows, columns][apart].astype(np.float64))
    return np.concatenate(pairs), np.concatenate(weights)


def _transitions(
    entities: int,
    passages: int,
    ends: NDArray[np.int64],
    mentions: NDArray[np.int64],
    alike: tuple[NDArray[np.int64], NDArray[np.float64]],
) -> Transitions:
    pairs, weights = alike
    one = np.concatenate([ends[:, 0], mentions[:, 1], pairs[:, 0]])
    other = np.concatenate([ends[:, 1], mentions[:, 0] + entities, pairs[:, 1]])
    weight = np.concatenate(
        [
            np.full(len(ends), STATEMENT_WEIGHT),
            np.full(len(mentions), MENTION_WEIGHT),
            weights,
        ]
    )
    return Transitions(entities + passages, one, other, weight)


def _stacked(vectors: Sequence[NDArray[np.float32] | None], dimension: int) -> Matrix:
    """Vectors as rows; zeros where there is none."""
    rows = np.zeros((len(vectors), dimension), np.float32)
    for place, vector in enumerate(vectors):
        if vector is not None and len(vector) == dimension:
            rows[place] = vector
    return rows
