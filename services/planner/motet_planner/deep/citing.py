"""Citing: the marks in a model's text become numbered citations, each held to its passage.

A mark that names no passage of the task is taken out. Whether a passage has the numbers and names
of the words before its mark is decided as in the strategy `plan`, by `support`, without a model;
where it has not, the citation stays and says so (`supported`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from motet.messages import Citation
from motet_planner.deep.tools import mark_of
from motet_planner.evidence import lines_of
from motet_planner.state import PassageData
from motet_planner.support import Support, support_of
from motet_planner.words import coverage

__all__ = ["cited"]

_MARK = re.compile(r"p[0-9a-f]{6}")
_MARKS = re.compile(r"[ \t]*[\[(]((?:p[0-9a-f]{6})(?:[\],;\s\[]+p[0-9a-f]{6})*)[\])]")
_CLAUSE = re.compile(r"[.!?:]\s+|\n+|[\])]")


def cited(
    text: str, passages: Mapping[str, PassageData], goal: str, computed: str = ""
) -> tuple[str, tuple[Citation, ...]]:
    """The text with numbers for marks, and what they stand for, in the order of first use.

    What is in the goal, or was `computed`, need not be in a passage.
    """
    by_mark = {mark_of(key): passage for key, passage in passages.items()}
    order: list[str] = []
    said: dict[str, list[str]] = {}
    parts: list[str] = []
    last = 0
    for found in _MARKS.finditer(text):
        before = text[last : found.start()]
        clause = _CLAUSE.split(before.rstrip(" .!?"))[-1].strip() or (parts[-2:] or [""])[0]
        parts += [before, ""]
        last = found.end()
        for mark in dict.fromkeys(_MARK.findall(found[1])):
            if mark not in by_mark:
                continue
            if mark not in order:
                order.append(mark)
            said.setdefault(mark, []).append(clause)
            parts[-1] += f"[{order.index(mark) + 1}]"
        if parts[-1]:
            parts[-1] = f" {parts[-1]}"
    citations = (
        _citation(number, by_mark[mark], said[mark], f"{goal} {computed}")
        for number, mark in enumerate(order, 1)
    )
    return ("".join(parts) + text[last:]).strip(), tuple(citations)


def _citation(number: int, passage: PassageData, clauses: list[str], known: str) -> Citation:
    words = " ".join((passage["title"], *passage.get("section", ()), passage["text"]))
    lines = lines_of([passage])
    best = max(lines, key=lambda line: coverage(" ".join(clauses), line.shown), default=None)
    return Citation(
        number=number,
        passage_id=passage["id"],
        source=passage["source"],
        title=passage["title"],
        quote=passage["text"] if best is None else best.quote,
        start=passage.get("start", 0),
        end=passage.get("end", 0),
        start_s=passage.get("start_s"),
        end_s=passage.get("end_s"),
        supported=all(support_of(each, words, known) != Support.WRONG for each in clauses),
    )
