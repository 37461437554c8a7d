"""Personalised PageRank over a graph in memory.

`x = (1 - d) s + d A x`, with the seeds `s` and the transitions `A`, whose columns sum to 1; nodes
without an edge give back to the seeds. Power iteration (Page, Brin, Motwani and Winograd, 1999;
Haveliwala, 2002).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Transitions", "personalised_pagerank"]

Array = NDArray[np.float64]
TOLERANCE = 1e-6
"""The sum of all differences to the step before, below which it is done."""
MAX_ITERATIONS = 60


class Transitions:
    """Undirected weighted edges between `nodes` nodes, as shares of what leaves a node."""

    def __init__(
        self, nodes: int, one: NDArray[np.int64], other: NDArray[np.int64], weight: Array
    ) -> None:
        """Edge `i` joins `one[i]` and `other[i]`; several between two nodes add up."""
        self.nodes = nodes
        start = np.concatenate([one, other])
        end = np.concatenate([other, one])
        both = np.concatenate([weight, weight])
        leaving = np.bincount(start, both, minlength=nodes)
        order = np.argsort(end, kind="stable")
        self._start = start[order]
        self._ends, self._first = np.unique(end[order], return_index=True)
        """The nodes where something arrives, and the first edge to each."""
        self._share = (both / np.maximum(leaving[start], 1e-12))[order]
        self.dangling = leaving == 0

    def step(self, rank: Array) -> Array:
        """What arrives at each node when each gives all that it has."""
        arrived = np.zeros(self.nodes)
        if len(self._ends):
            given = rank[self._start] * self._share
            arrived[self._ends] = np.add.reduceat(given, self._first)
        return arrived


def personalised_pagerank(transitions: Transitions, seeds: Array, damping: float) -> Array:
    """The rank of every node; all of them sum to 1.

    Args:
        transitions: The graph.
        seeds: A weight for each node, none below 0, some above.
        damping: The share that follows an edge; the rest returns to the seeds.
    """
    seeds = seeds / seeds.sum()
    rank = seeds
    for _ in range(MAX_ITERATIONS):
        stuck = float(rank[transitions.dangling].sum())
        after = damping * (transitions.step(rank) + stuck * seeds) + (1 - damping) * seeds
        if np.abs(after - rank).sum() < TOLERANCE:
            return after
        rank = after
    return rank
