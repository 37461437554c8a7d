"""Ranking: from a question to passages, through what connects them.

The search of HippoRAG 2 (arXiv 2502.14802) with its constants, without its language model: the
statements nearest to the question give their nearness to their entities, divided by the number of
passages that mention the entity, for what is everywhere tells little; every passage gets a small
weight by how near it is in meaning and in words; personalised PageRank spreads both over the graph.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motet_graph.graph_map import GraphMap
from motet_graph.pagerank import personalised_pagerank

__all__ = ["Ranked", "Weights", "rank"]

LONGEST_NAME = 6
"""Words of a name that is looked for in a question."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What a search goes by; the settings say what each means."""

    facts: int = 5
    passages: float = 0.05
    damping: float = 0.5


@dataclass(frozen=True, slots=True)
class Ranked:
    """What a question leads to."""

    passages: tuple[tuple[int, float], ...]
    """Places of passages with their rank, best first."""
    entities: tuple[int, ...]
    """From which entities it set out, the heaviest first."""


def rank(
    graph: GraphMap, question: str, vector: NDArray[np.float32], limit: int, weights: Weights
) -> Ranked:
    """The passages for a question, best first.

    Args:
        graph: Where to look.
        question: The question.
        vector: Its embedding.
        limit: How many passages at most.
        weights: How to weigh.
    """
    if not graph.passages:
        return Ranked((), ())
    entities = _from_facts(graph, vector, weights.facts)
    if graph.partial or not entities.any():
        entities = np.maximum(entities, _from_names(graph, question))
    passages = _from_passages(graph, question, vector)
    seeds = np.concatenate([entities, passages * weights.passages])
    if not seeds.any():
        return Ranked((), ())
    ranks = personalised_pagerank(graph.transitions, seeds, weights.damping)[len(entities) :]
    order = np.argsort(-ranks, kind="stable")[:limit]
    heaviest = np.argsort(-entities, kind="stable")[:10]
    return Ranked(
        tuple((int(place), float(ranks[place])) for place in order if ranks[place] > 0),
        tuple(int(place) for place in heaviest if entities[place] > 0),
    )


def _from_facts(graph: GraphMap, vector: NDArray[np.float32], count: int) -> NDArray[np.float64]:
    """Weight of the entities of the statements nearest to the question."""
    weight = np.zeros(len(graph.entities))
    if not len(graph.facts):
        return weight
    nearness = _nearness(graph.fact_vectors, vector)
    times = np.zeros(len(graph.entities))
    for place in np.argsort(-nearness, kind="stable")[:count]:
        for entity in graph.fact_ends[place, :2]:
            said = max(len(graph.entities[entity].passages), 1)
            weight[entity] += max(float(nearness[place]), 0.0) / said
            times[entity] += 1
    return weight / np.maximum(times, 1)


def _from_names(graph: GraphMap, question: str) -> NDArray[np.float64]:
    """Weight of the entities that the question names, for what is without embeddings."""
    weight = np.zeros(len(graph.entities))
    words = question.split()
    for length in range(LONGEST_NAME, 0, -1):
        for first in range(len(words) - length + 1):
            for entity in graph.entities_of(" ".join(words[first : first + length])):
                weight[entity] = 1 / max(len(graph.entities[entity].passages), 1)
    return weight


def _from_passages(
    graph: GraphMap, question: str, vector: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Weight of the passages near to the question in meaning and in words."""
    nearness = _nearness(graph.passage_vectors, vector)
    if graph.partial and (known := graph.passage_vectors.any(axis=1)).any():
        # What has no vector is neither near nor far, so that its words tell.
        nearness[~known] = nearness[known].mean()
    likeness = _scaled(nearness) + _scaled(graph.words.scores(question))
    return _scaled(likeness).astype(np.float64)


def _nearness(vectors: NDArray[np.float32], vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosines; zeros where the graph has no vector of the model yet."""
    return vectors @ vector if vectors.shape[1] else np.zeros(len(vectors), np.float32)


def _scaled(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores moved and stretched to reach from 0 to 1; zeros where all are equal."""
    low, high = scores.min(), scores.max()
    return (scores - low) / (high - low) if high > low else np.zeros_like(scores)
