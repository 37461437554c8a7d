"""Strategies: how passages are looked for, each by the name that a request gives.

A strategy is a function from a `Retrieval` to candidates, best first. It asks the store and the
models through the `Retrieval` only, which sees to access, filters, spans, budget and deadline.
"""

from __future__ import annotations

from collections.abc import Mapping

from motet.messages import Strategy
from motet_retriever.strategies.connected import graph, hybrid_graph
from motet_retriever.strategies.hierarchical import hierarchical
from motet_retriever.strategies.multi_hop import multi_hop
from motet_retriever.strategies.retrieval import Look, Retrieval
from motet_retriever.strategies.rewriting import hyde, multi_query
from motet_retriever.strategies.single import single

__all__ = ["FOLLOWING", "STRATEGIES", "Look", "Retrieval"]

STRATEGIES: Mapping[Strategy, Look] = {
    "basic": single,
    "hybrid": single,
    "multi_query": multi_query,
    "hyde": hyde,
    "hierarchical": hierarchical,
    "multi_hop": multi_hop,
    "graph": graph,
    "hybrid_graph": hybrid_graph,
}

FOLLOWING: frozenset[Strategy] = frozenset({"multi_hop", "graph", "hybrid_graph"})
"""What finds passages that need not resemble the question, so that reading question and passage
together would put them back: they are re-read only where the request names a reranker."""
