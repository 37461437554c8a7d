"""`hierarchical`: documents, then their sections, then the passages in them.

The best documents are looked for as wholes, the best sections within these, and the best passages
within the documents too. A passage then counts by its own branches and by the ranks of its document
and section, which are two more lists of the fusion: one of a good section is put forward, and one
in a section that said nothing can still be found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from motet_retriever.fusion import Candidate, Ranking
from motet_retriever.stores.port import Found
from motet_retriever.strategies.retrieval import Retrieval

__all__ = ["hierarchical"]

DOCUMENTS = 10
"""Documents that are looked into."""
SECTIONS = 20
"""Sections that put their passages forward."""
DOCUMENT_WEIGHT = 0.3
"""How much the rank of its document counts for a passage, where a branch counts 1."""
SECTION_WEIGHT = 0.3


async def hierarchical(retrieval: Retrieval) -> list[Candidate]:
    """See the module."""
    (probe,) = await retrieval.probes([retrieval.question])
    documents = retrieval.fuse(await retrieval.search([replace(probe, level="document")]))
    documents = documents[:DOCUMENTS]
    if not documents:
        return []
    sources = tuple(each.passage.source for each in documents)
    in_sections, in_passages = await retrieval.ask(
        [replace(probe, level="section", sources=sources), replace(probe, sources=sources)]
    )
    sections = retrieval.fuse(in_sections)[:SECTIONS]
    passages = retrieval.fuse(in_passages)
    lists = [
        _ranks("document", passages, [(_document(each), each) for each in documents]),
        _ranks("section", passages, [(_section(each), each) for each in sections]),
    ]
    return retrieval.fuse([*in_passages, *lists])


def _document(candidate: Candidate) -> tuple[str, ...]:
    return (candidate.passage.source,)


def _section(candidate: Candidate) -> tuple[str, ...]:
    return (candidate.passage.source, *candidate.passage.section)


def _ranks(
    branch: str,
    passages: Sequence[Candidate],
    wholes: Sequence[tuple[tuple[str, ...], Candidate]],
) -> Ranking:
    """The passages by the rank of what they are a part of: the nearest whole that was found."""
    places = {key: (rank, each) for rank, (key, each) in enumerate(wholes, start=1)}
    found: list[tuple[int, Found]] = []
    for passage in passages:
        path = _document(passage) if branch == "document" else _section(passage)
        while path not in places and len(path) > 2:  # one without headings is no section above
            path = path[:-1]
        if path in places:
            rank, whole = places[path]
            found.append((rank, Found(passage.passage, whole.score, passage.vector)))
    found.sort(key=lambda each: each[0])
    return Ranking(
        branch,
        [each for _, each in found],
        weight=DOCUMENT_WEIGHT if branch == "document" else SECTION_WEIGHT,
        ranks=[rank for rank, _ in found],
    )
