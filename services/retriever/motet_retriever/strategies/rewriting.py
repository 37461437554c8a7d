"""`multi_query` and `hyde`: the question asked otherwise, for texts that are worded otherwise.

With a chat model, that words it; without one, by pseudo-relevance feedback: what the first search
finds is taken for relevant, and lends its words and its place in the space of meanings.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pydantic import BaseModel, Field

from motet_retriever.fusion import Candidate
from motet_retriever.phrases import clauses, names_in, phrases_in, remaining, terms
from motet_retriever.prompts import fenced
from motet_retriever.stores.port import Vector
from motet_retriever.strategies.retrieval import Retrieval

__all__ = ["hyde", "multi_query"]

QUESTION = 2_000
"""Characters of a question that a model is shown."""
VARIANTS = 4
"""Further questions at most."""
VARIANT_WEIGHT = 0.3
"""How much the list of another wording counts, where the question's own counts 1."""
TITLES = 2
"""Best passages whose titles lend their words."""

FEEDBACK = 3
"""Best passages that move the question."""
ALPHA = 1.0
BETA = 0.75
"""Rocchio's formula: `ALPHA` times the question's vector and `BETA` times the mean of those of the
passages, without a share for what is not relevant (Rocchio 1971; the values are those of Manning,
Raghavan and Schütze, "Introduction to information retrieval", 2008, section 9.1.1)."""


class Variants(BaseModel):
    """What a model is asked for."""

    questions: list[str] = Field(min_length=1, max_length=VARIANTS)


class Likely(BaseModel):
    """What a model is asked for."""

    passage: str = Field(min_length=1, max_length=2_000)


async def multi_query(retrieval: Retrieval) -> list[Candidate]:
    """The question and other wordings of it, each asked, their lists fused."""
    own = await retrieval.search(await retrieval.probes([retrieval.question]))
    said = await retrieval.told(
        "variants", Variants, max_tokens=300, question=fenced(retrieval.question, QUESTION)
    )
    if said is None:
        wordings = _wordings(retrieval.question, retrieval.fuse(own)[:TITLES])
    else:
        wordings = said.questions
    questions = _new(retrieval.question, wordings)
    probes = await retrieval.probes(questions, weight=VARIANT_WEIGHT)
    retrieval.queries += questions
    return retrieval.fuse([*own, *await retrieval.search(probes)])


async def hyde(retrieval: Retrieval) -> list[Candidate]:
    """Asked by a passage that might be the answer.

    With a model, the embedding of a passage that it writes and that of the question are averaged
    (Gao et al., "Precise zero-shot dense retrieval without relevance labels", ACL 2023); without
    one, the question's is moved towards those of the best passages. BM25 is asked the question.
    """
    (own,) = await retrieval.probes([retrieval.question])
    assert own.vector is not None  # noqa: S101  # a strategy asks both branches
    said = await retrieval.told(
        "passage", Likely, max_tokens=250, question=fenced(retrieval.question, QUESTION)
    )
    if said is not None:
        (likely,) = await retrieval.passage_vectors([said.passage])
        vector, query = _unit(own.vector + likely), said.passage
        retrieval.queries.append(said.passage)
    else:
        (dense,) = await retrieval.search([replace(own, words=None, vectors=True)])
        near = [each.vector for each in dense.found[:FEEDBACK] if each.vector is not None]
        if not near:
            return retrieval.fuse(await retrieval.search([own]))
        vector = _unit(ALPHA * own.vector + BETA * np.mean(near, axis=0))
        query = f"more like the {len(near)} nearest"
    moved = replace(own, words=None, vector=vector, query=query)
    return retrieval.fuse(await retrieval.search([moved, replace(own, vector=None)]))


def _unit(vector: Vector) -> Vector:
    unit: Vector = (vector / max(float(np.linalg.norm(vector)), 1e-12)).astype(np.float32)
    return unit


def _new(question: str, others: list[str]) -> list[str]:
    """Wordings that differ from the question and from each other."""
    known = {" ".join(question.casefold().split())}
    new: list[str] = []
    for each in others:
        key = " ".join(each.casefold().split())
        if key and key not in known:
            known.add(key)
            new.append(each.strip())
    return new[:VARIANTS]


def _wordings(question: str, best: list[Candidate]) -> list[str]:
    """Other wordings without a model: under the titles of the best passages, then by its parts."""
    titles = dict.fromkeys(each.passage.title for each in best)
    under = [f"{title} {remaining(question, [title])}".strip() for title in titles]
    parts = [*clauses(question), *phrases_in(question), *names_in(question)]
    return [*under, *(each for each in parts if terms(each) < terms(question))]
