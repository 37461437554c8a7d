"""`basic` and `hybrid`: one step, by the branches that the request means."""

from __future__ import annotations

from dataclasses import replace

from motet_retriever.fusion import Candidate
from motet_retriever.strategies.retrieval import Retrieval

__all__ = ["DEPTHS", "deeper", "single"]

DEPTHS = (200, 1000)
"""Passages that each branch proposes to pages past the usual candidates, as far as they are needed.
The last is what offset and limit of a request reach at most."""


async def single(retrieval: Retrieval) -> list[Candidate]:
    """The question itself, asked of every branch."""
    return retrieval.fuse(await retrieval.search(await retrieval.probes([retrieval.question])))


async def deeper(retrieval: Retrieval, depth: int) -> list[Candidate]:
    """The same, with `depth` proposals of every branch."""
    probes = await retrieval.probes([retrieval.question])
    rankings = await retrieval.search([replace(each, limit=depth) for each in probes])
    return retrieval.fuse(rankings)
