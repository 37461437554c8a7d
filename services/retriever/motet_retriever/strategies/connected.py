"""`graph` and `hybrid_graph`: through what connects the names in the question.

The graph agent proposes passages. Only their ids are taken: the passages themselves come from this
store, under the principal of the call and the request's filter, so that the graph can propose
nothing that a search would not find.
"""

from __future__ import annotations

from motet.errors import FaultError
from motet.messages import FaultType, GraphSearchRequest, GraphSearchResult
from motet_retriever.fusion import Candidate, Ranking
from motet_retriever.stores.port import Found
from motet_retriever.strategies.retrieval import REPLACEABLE, Retrieval, together

__all__ = ["graph", "hybrid_graph"]

SKILL = "graph.search"
MOST = 100
"""Passages that a graph search proposes at most."""
WITHOUT = "without the graph"
"""How a remark says that the graph was not asked."""


async def graph(retrieval: Retrieval) -> list[Candidate]:
    """What the graph agent proposes.

    Raises:
        FaultError: `unknown_skill` where no such agent lives; its own faults.
    """
    if not _lives(retrieval):
        raise FaultError.of(
            FaultType.UNKNOWN_SKILL,
            f"The strategy 'graph' needs the skill {SKILL}, and no agent that has it is running.",
        )
    return retrieval.fuse([await _proposed(retrieval)])


async def hybrid_graph(retrieval: Retrieval) -> list[Candidate]:
    """What the graph agent proposes, fused with a hybrid search; without it that alone."""
    if not _lives(retrieval):
        retrieval.notes.append(f"{WITHOUT}: no agent with {SKILL} is running")
        return retrieval.fuse(await _by_question(retrieval))
    rankings, connected = await together([_by_question(retrieval), _if_any(retrieval)])
    return retrieval.fuse([*rankings, *connected])


async def _by_question(retrieval: Retrieval) -> list[Ranking]:
    return await retrieval.search(await retrieval.probes([retrieval.question]))


async def _if_any(retrieval: Retrieval) -> list[Ranking]:
    """What the graph proposes; nothing, with a note, where it failed."""
    try:
        return [await _proposed(retrieval)]
    except FaultError as error:
        fault = error.fault
        if fault.type not in REPLACEABLE | {FaultType.UNKNOWN_SKILL, FaultType.INTERNAL}:
            raise
        retrieval.notes.append(f"{WITHOUT}: {fault.message}")
        return []


async def _proposed(retrieval: Retrieval) -> Ranking:
    request = GraphSearchRequest(
        query=retrieval.question, limit=min(retrieval.shared.candidates, MOST)
    )
    result = await retrieval.caller.delegate(SKILL, request, GraphSearchResult, step="graph")
    seen = await retrieval.fetch([each.id for each in result.passages])
    return Ranking(
        "graph",
        [Found(seen[each.id], each.score) for each in result.passages if each.id in seen],
    )


def _lives(retrieval: Retrieval) -> bool:
    return any(
        f"{card.name}.{skill.name}" == SKILL
        for card in retrieval.caller.cards()
        for skill in card.skills
    )
