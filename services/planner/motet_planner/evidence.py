"""Evidence: passages as skills give them and as a model reads them.

A passage is shown whole, under its document's title and headings, within one fence that its text
cannot close. Each has a mark by which the model cites it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, NotRequired, TypedDict, cast

from motet.text.fencing import fence

__all__ = ["PassageData", "heading_of", "mark_of", "passages_of", "shown_passages"]


class PassageData(TypedDict):
    """A passage as a skill gave it; see `motet.messages.Passage`."""

    id: str
    source: str
    title: str
    text: str
    section: NotRequired[list[str]]
    start: NotRequired[int]
    end: NotRequired[int]
    start_s: NotRequired[float | None]
    end_s: NotRequired[float | None]
    time: NotRequired[str | None]


def passages_of(output: Any) -> list[PassageData] | None:
    """The passages of a skill's output; None for an output that is not evidence."""
    passages = output.get("passages") if isinstance(output, Mapping) else None
    if not isinstance(passages, list):
        return None
    kept = PassageData.__annotations__
    return [
        cast("PassageData", {key: each[key] for key in kept if key in each})
        for each in cast("list[dict[str, Any]]", passages)
        if {"id", "source", "title", "text"} <= each.keys()
    ]


def mark_of(passage: str) -> str:
    """The mark of a passage by its id: the same, whoever found the passage first."""
    return "p" + hashlib.sha256(passage.encode()).hexdigest()[:6]


def heading_of(passage: PassageData) -> str:
    """The document's title, the headings above the passage, and the date that it tells of."""
    heading = " > ".join(dict.fromkeys((passage["title"], *passage.get("section", ()))))
    moment = passage.get("time")
    return f"{heading} ({moment[:10]})" if moment else heading


def shown_passages(passages: Iterable[tuple[str, PassageData]]) -> str:
    """Passages with their marks, within one fence.

    Args:
        passages: Pairs of a mark and a passage, in the order in which they are shown.
    """
    told = "\n\n".join(
        f"[{mark}] {heading_of(passage)}\n{passage['text'].strip()}" for mark, passage in passages
    )
    return fence(told, label="passages")
