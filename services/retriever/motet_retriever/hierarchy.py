"""Hierarchy: the document above its sections above its passages, each findable by itself.

A document or a section that is one passage is found by that passage. Others have an entry of their
own: its vector is the normalised mean of its passages' vectors (the centroid of what is said in
it), its words are title and headings with all of its text, for BM25.

A document's sections are told by the outermost headings that divide it: where everything is under
one heading, its title, by those below that. Neighbours under the same heading are one section.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import groupby
from uuid import UUID, uuid5

import numpy as np

from motet.messages import Passage
from motet_retriever.documents import PreparedDocument, context
from motet_retriever.stores.port import IndexedPassage, Level, Vector

__all__ = ["embedded_anew", "indexed"]

PARENTS = UUID("c1a8e5d2-3b0f-4f6e-9a57-0f4f6c2d7b19")
"""Namespace of the ids of sections and documents, which are made from their first passage's."""


def indexed(
    prepared: PreparedDocument, words: Sequence[str], vectors: Vector
) -> list[IndexedPassage]:
    """The passages of a document, then its sections and itself where these have entries.

    Args:
        prepared: The document.
        words: For each passage its words.
        vectors: For each passage its embedding.
    """
    passages = prepared.passages
    levels: list[list[Level]] = [["passage"] for _ in passages]
    parents: list[IndexedPassage] = []
    for first, end in _sections(passages):
        if end - first == 1:
            levels[first].append("section")
        else:
            parents.append(_parent(prepared, vectors, first, end, "section"))
    if len(passages) == 1:
        levels[0].append("document")
    elif passages:
        parents.append(_parent(prepared, vectors, 0, len(passages), "document"))
    return [
        *map(IndexedPassage, passages, words, vectors, map(tuple, levels)),
        *parents,
    ]


async def embedded_anew(
    entries: Sequence[IndexedPassage], embed: Callable[[Sequence[str]], Awaitable[Vector]]
) -> list[IndexedPassage]:
    """A document's entries with the vectors of another model, as `indexed` would give them.

    Raises:
        FaultError: From `embed`.
    """
    parts = [each for each in entries if "passage" in each.levels]
    wholes = [each for each in entries if "passage" not in each.levels]
    within = [[place for place, each in enumerate(parts) if _has(whole, each)] for whole in wholes]
    alone = [whole for whole, places in zip(wholes, within, strict=True) if not places]
    if not parts and not alone:
        return []
    vectors = await embed([each.words for each in (*parts, *alone)])
    rest = iter(vectors[len(parts) :])
    means = [_mean(vectors[places]) if places else next(rest) for places in within]
    return [
        replace(each, vector=vector)
        for each, vector in zip((*parts, *wholes), (*vectors[: len(parts)], *means), strict=True)
    ]


def _has(whole: IndexedPassage, part: IndexedPassage) -> bool:
    """Whether a section or a document has a passage."""
    outer, inner = whole.passage, part.passage
    return inner.position >= outer.position and inner.end <= outer.end


def _sections(passages: Sequence[Passage]) -> list[tuple[int, int]]:
    """The sections as their first passage and the one after their last."""
    if not passages:
        return []
    depth = len(_common([passage.section for passage in passages])) + 1
    found: list[tuple[int, int]] = []
    for _, group in groupby(passages, lambda passage: passage.section[:depth]):
        first = found[-1][1] if found else 0
        found.append((first, first + sum(1 for _ in group)))
    return found


def _common(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """What all of the paths begin with."""
    low, high = min(paths), max(paths)
    same = 0
    while same < min(len(low), len(high)) and low[same] == high[same]:
        same += 1
    return low[:same]


def _parent(
    prepared: PreparedDocument, vectors: Vector, first: int, end: int, level: Level
) -> IndexedPassage:
    passages = prepared.passages[first:end]
    section = _common([passage.section for passage in passages])
    passage = passages[0].model_copy(
        update={
            "id": str(uuid5(PARENTS, f"{level}\0{passages[0].id}")),
            "text": "",
            "section": section,
            "end": passages[-1].end,
            "end_s": passages[-1].end_s,
            "block": "text",
        }
    )
    text = prepared.text[passage.start : passage.end]
    return IndexedPassage(
        passage, f"{context(passage)}\n{text}", _mean(vectors[first:end]), (level,)
    )


def _mean(vectors: Vector) -> Vector:
    mean = vectors.mean(axis=0)
    length = float(np.linalg.norm(mean))
    # Vectors that cancel out have no direction: then the first stands for all.
    return (mean / length if length > 1e-6 else vectors[0]).astype(np.float32)
