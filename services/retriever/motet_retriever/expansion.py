"""Expansion: the section or the document around a passage, as one text.

Invariants:

- What is read, is read as one of those whose documents were searched, so nothing that a search
  would hide.
- The passages around are joined by their offsets: what two of them share stands there once.
- A context has at most so many characters; it grows from the passage in both directions by whole
  passages, and holds the passage itself wherever that fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from motet.messages import AllOf, AnyOf, Condition, Filter, Passage, Principal
from motet_retriever.stores.port import PassageStore

__all__ = ["around", "joined", "with_context"]

REACH = 40
"""Passages to each side that are read at most."""


async def with_context(
    store: PassageStore,
    readers: Sequence[Principal],
    passages: Sequence[Passage],
    kind: Literal["section", "document"],
    characters: int,
) -> list[Passage]:
    """The passages, each with what is around it; those whose document changed meanwhile without.

    `readers` are those whose documents were searched.
    """
    contexts: dict[str, str] = {}
    others = list(passages)
    for place, reader in enumerate(readers, start=1):
        own = others
        if place < len(readers):  # two may have documents of one source
            found = await store.get(reader, [each.id for each in others])
            own = [each for each in others if each.id in found]
            others = [each for each in others if each.id not in found]
        contexts |= await _contexts(store, reader, own, kind, characters)
    return [each.model_copy(update={"context": contexts.get(each.id, "")}) for each in passages]


async def _contexts(
    store: PassageStore,
    reader: Principal,
    passages: Sequence[Passage],
    kind: Literal["section", "document"],
    characters: int,
) -> dict[str, str]:
    """What is around each passage, by its id."""
    places: dict[str, list[int]] = {}
    for each in passages:
        places.setdefault(each.source, []).append(each.position)
    near: dict[str, list[Passage]] = {
        source: await store.read(reader, source, where=_near(positions), limit=10_000)
        for source, positions in places.items()
    }
    return {each.id: around(each, near[each.source], kind, characters) for each in passages}


def _near(positions: Sequence[int]) -> Filter:
    windows = tuple(
        AllOf(
            all_of=(
                Condition(field="position", op="gte", value=position - REACH),
                Condition(field="position", op="lte", value=position + REACH),
            )
        )
        for position in sorted(set(positions))
    )
    return windows[0] if len(windows) == 1 else AnyOf(any_of=windows)


def around(
    passage: Passage,
    near: Sequence[Passage],
    kind: Literal["section", "document"],
    characters: int,
) -> str:
    """The text around a passage; empty where it is not among `near`.

    A section is the passages beside it under the same headings, or under headings below them.
    """
    ordered = sorted(near, key=lambda each: each.position)
    places = {each.id: place for place, each in enumerate(ordered)}
    if passage.id not in places:
        return ""
    first = last = places[passage.id]

    def fits(place: int, beside: int) -> bool:
        if not 0 <= place < len(ordered):
            return False
        one, other = ordered[place], ordered[beside]
        if abs(one.position - other.position) != 1:
            return False
        if kind == "section" and not _belongs(one, passage):
            return False
        span = max(one.end, ordered[last].end) - min(one.start, ordered[first].start)
        return span <= characters

    before = after = True
    while before or after:
        after = after and fits(last + 1, last)
        last += after
        before = before and fits(first - 1, first)
        first -= before
    return joined(ordered[first : last + 1])[:characters]


def _belongs(other: Passage, passage: Passage) -> bool:
    """Whether another passage stands under the same headings; without any, under none."""
    above = passage.section
    return other.section[: len(above)] == above if above else not other.section


def joined(passages: Sequence[Passage]) -> str:
    """Passages of one document in order, as one text without repetitions.

    Only whitespace lies between neighbours: a paragraph's end where there are two characters of it
    or more, else one space.
    """
    text, end = "", 0
    for each in passages:
        if each.end <= end:
            continue
        gap = each.start - end
        between = "" if not text or gap <= 0 else " " if gap == 1 else "\n\n"
        text += between + each.text[max(end - each.start, 0) if text else 0 :]
        end = each.end
    return text
