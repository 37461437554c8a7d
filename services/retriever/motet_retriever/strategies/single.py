"""`basic` and `hybrid`: one step, by the branches that the request means."""

from __future__ import annotations

from dataclasses import replace

from motet_retriever.fusion import Candidate
from motet_retriever.strategies.retrieval import Retrieval

__all__ = ["DEEPEST", "deeper", "single"]

DEEPEST = 1000
"""Passages that each branch proposes to a page past the usual candidates: what offset and limit
of a request reach at most."""


async def single(retrieval: Retrieval) -> list[Candidate]:
    """The question itself, asked of every branch."""
    return retrieval.fuse(await retrieval.search(await retrieval.probes([retrieval.question])))


async def deeper(retrieval: Retrieval) -> list[Candidate]:
    """The same, as deep as a request can page."""
    probes = await retrieval.probes([retrieval.question])
    rankings = await retrieval.search([replace(each, limit=DEEPEST) for each in probes])
    return retrieval.fuse(rankings)
