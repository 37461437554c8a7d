"""Alignment: a statement laid beside a sentence or a table's row, and what is left over.

In order as far as the order agrees (a longest common subsequence), and beyond that wherever the
same item stands. Of the evidence is left over what stands among the words that agree, or hangs on
to them: a sentence may go on to say other things.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations, pairwise

from motet.text.items import Item, items_of, same
from motet.text.sentences import sentences

__all__ = ["Alignment", "Stretch", "align", "nearest", "stretches"]

_NEAREST = 6
"""Stretches of the evidence that a statement is laid beside; they have most of its items."""
_LONG = 8
"""Items of content of a statement for each one that may be left over."""
_FRAGMENT = 3
"""Items of a clause under which it hangs on to its neighbour."""
_MOST_TURNED = 24
"""Items of a statement that are looked at for their order."""


@dataclass(frozen=True)
class Stretch:
    """A sentence of the evidence, two that follow each other, or a row of a table."""

    text: str
    items: list[Item]
    is_row: bool = False

    @cached_property
    def keys(self) -> frozenset[str]:
        """The stems of its words."""
        return frozenset(item.key for item in self.items if item.quantity is None)

    @cached_property
    def figures(self) -> list[Item]:
        """Its quantities."""
        return [item for item in self.items if item.quantity is not None]

    def shares(self, stated: Sequence[Item]) -> int:
        """How many items of a statement it has, as far as stems tell."""
        return sum(
            item.key in self.keys
            if item.quantity is None
            else any(same(item, other) for other in self.figures)
            for item in stated
        )


@dataclass(frozen=True)
class Alignment:
    """Which item of a statement is which of a stretch of evidence, by their places."""

    stated: Sequence[Item]
    given: Sequence[Item]
    pairs: dict[int, int]
    """From places in `stated` to places in `given`."""
    is_row: bool = False
    in_order: frozenset[int] = field(default_factory=frozenset[int])
    """Places in `stated` of those that stand in the same order."""

    @cached_property
    def taken(self) -> frozenset[int]:
        """Places in `given` that agree with one in `stated`."""
        return frozenset(self.pairs.values())

    @cached_property
    def left(self) -> list[Item]:
        """Items of the statement that the stretch has not."""
        return [item for place, item in enumerate(self.stated) if place not in self.pairs]

    def is_little(self, known: Sequence[Item]) -> bool:
        """Whether the stretch has less than half of it, and nothing but what was known."""
        content = [place for place, item in enumerate(self.stated) if item.content]
        found = [place for place in content if place in self.pairs]
        is_new = any(not _is_known(self.stated[place], known) for place in found)
        return 2 * len(found) < len(content) and not is_new

    def turned(self) -> tuple[Item, Item] | None:
        """Two items of content that stand the other way round about a third."""
        if len(self.in_order) == len(self.pairs):
            return None
        places = sorted(self.pairs)[:_MOST_TURNED]
        for first, middle, last in combinations(places, 3):
            ends = self.stated[first], self.stated[last]
            reversed_ = self.pairs[first] > self.pairs[middle] > self.pairs[last]
            if reversed_ and all(end.content or end.text[:1].isupper() for end in ends):
                return ends
        return None

    def unsaid(self, known: Sequence[Item]) -> list[Item]:
        """Items of the statement that neither the stretch has nor what is known."""
        left = [
            item
            for place, item in enumerate(self.stated)
            if place not in self.pairs and not any(same(item, other) for other in known)
        ]
        words = [item for item in left if item.content and item.quantity is None]
        if len(words) == len(left) <= self._spare:
            return []
        return left

    @property
    def _spare(self) -> int:
        """Words that a statement may have for itself: a verb, where a row has only one figure."""
        figures = [item for item in self.given if item.quantity is not None and not item.label]
        if self.is_row and len(figures) == 1 and len(self.pairs) > 1:
            return 1
        return sum(item.content for item in self.stated) // _LONG

    def is_enclosed(self, item: Item) -> bool:
        """Whether items on both sides of one of the statement's agree."""
        place = self.stated.index(item)
        return place - 1 in self.pairs and place + 1 in self.pairs

    def is_by_figure(self, item: Item) -> bool:
        """Whether an item of the statement stands beside a figure that agrees."""
        place = self.stated.index(item)
        return any(
            beside in self.pairs and self.stated[beside].quantity is not None
            for beside in (place - 1, place + 1, place + 2)
        )

    def rivals(self, known: Sequence[Item]) -> list[tuple[Item, Item]]:
        """Items of the statement that are left over, each with what stands there instead."""
        found: list[tuple[Item, Item]] = []
        for place, item in enumerate(self.stated):
            if place in self.pairs:
                continue
            for other in self._instead_of(place):
                if other not in self.taken and not _is_known(self.given[other], known):
                    found.append((item, self.given[other]))
                    break
        return found

    def _instead_of(self, place: int) -> Iterator[int]:
        """Places in the stretch where an item would stand that it has not."""
        if self.is_row:
            touched = {self.given[other].clause for other in self.taken if self.given[other].label}
            yield from (
                other
                for other, item in enumerate(self.given)
                if item.label and item.clause in touched
            )
            return
        before = max((each for each in self.pairs if each < place), default=None)
        after = min((each for each in self.pairs if each > place), default=None)
        if before is not None and after is not None:
            yield from range(self.pairs[before] + 1, self.pairs[after])
        elif after is not None:
            # Nothing before it agrees: as many places as the statement has there.
            yield from self._beside(self.pairs[after], -1, after)
        elif before is not None:
            yield from self._beside(self.pairs[before], 1, len(self.stated) - 1 - before)

    def _beside(self, place: int, step: int, count: int) -> Iterator[int]:
        """Up to `count` places beside one, in its clause."""
        for other in range(place + step, place + step * (count + 1), step):
            inside = 0 <= other < len(self.given)
            if not inside or self.given[other].clause != self.given[place].clause:
                return
            yield other

    def added(self, known: Sequence[Item]) -> list[Item]:
        """Items of the stretch that limit or change what the statement has of it."""
        if not self.taken:
            return []
        places = self._cells() if self.is_row else self._hanging()
        first, last = min(self.taken), max(self.taken)
        found: list[Item] = []
        for place in sorted(places - self.taken):
            item = self.given[place]
            # A word that limits counts among the words that agree, even when the question has it.
            free = any(same(item, other) for other in known)
            if not item.label and not (free and (item.content or not first < place < last)):
                found.append(item)
        return found

    def _cells(self) -> set[int]:
        touched = {self.given[place].clause for place in self.taken}
        return {place for place, item in enumerate(self.given) if item.clause in touched}

    def _hanging(self) -> set[int]:
        touched = {self.given[place].clause for place in self.taken}
        first, last = min(self.taken), max(self.taken)
        within = range(first, last + 1)
        if len(touched) > 1 and self.has_figure:
            # A figure of one clause with the name of another one: all that they say counts.
            within = range(len(self.given))
        found = {at for at in within if self.given[at].clause in touched}
        for step, place in ((-1, first), (1, last)):
            # Words before and behind that hang on: `not all of ...`, `... for members`.
            at = place + step
            while 0 <= at < len(self.given) and self.given[at].closed:
                if self.given[at].clause != self.given[place].clause:
                    break
                found.add(at)
                at += step
        for at, item in enumerate(self.given):
            if item.spans and (at in self.taken) != (at - 1 in self.taken):
                found |= {at - 1, at}
        return found | self._fragments(touched)

    @property
    def has_figure(self) -> bool:
        """Whether a figure of the statement is in the stretch."""
        return any(self.stated[place].quantity is not None for place in self.pairs)

    def _fragments(self, touched: set[int]) -> set[int]:
        """Clauses of a few items beside those that agree.

        One may limit (`, except interns`). Where one is a name and another one a figure, figures
        and names may be listed apart (`Ann and Ben got 12 and 15 euros`).
        """
        found: set[int] = set()
        named: set[int] = set()
        counted: set[int] = set()
        for clause in {each + step for each in touched for step in (-1, 1)} - touched:
            places = [at for at, item in enumerate(self.given) if item.clause == clause]
            if not 0 < len(places) < _FRAGMENT:
                continue
            if len(places) > 1 and self.given[places[0]].closed:
                found |= set(places)
            has_figure = any(self.given[at].quantity is not None for at in places)
            (counted if has_figure else named).update(places)
        return found | named | counted if self.has_figure and named and counted else found


def align(stated: Sequence[Item], stretch: Stretch) -> Alignment:
    """Lays a statement beside a stretch of evidence."""
    given = stretch.items
    pairs = dict(_in_order(stated, given))
    ordered = frozenset(pairs)
    taken = set(pairs.values())
    for place, item in enumerate(stated):
        if place in pairs:
            continue
        free = [at for at, other in enumerate(given) if at not in taken and same(item, other)]
        if free:
            middle = sum(taken) / len(taken) if taken else 0
            pairs[place] = min(free, key=lambda at: abs(at - middle))
            taken.add(pairs[place])
    return Alignment(stated, given, pairs, stretch.is_row, ordered)


def stretches(evidence: str, language: str | None) -> list[Stretch]:
    """The sentences and rows of evidence, then the pairs of sentences that follow each other."""
    single = list(_single(evidence, language))
    double = [
        _joined(first, second)
        for first, second in pairwise(single)
        if not first.is_row and not second.is_row
    ]
    return [*single, *double]


def nearest(stated: Sequence[Item], among: Sequence[Stretch]) -> list[Stretch]:
    """The stretches that have most of a statement's items, best first; none that has nothing.

    Of those that have as much, single sentences come first.
    """
    ranked = [(stretch.shares(stated), stretch) for stretch in among]
    ranked.sort(key=lambda each: -each[0])
    return [stretch for count, stretch in ranked[:_NEAREST] if count]


def _single(evidence: str, language: str | None) -> Iterator[Stretch]:
    head: list[str] | None = None
    for piece in sentences(evidence, language):
        if not piece.startswith("|"):
            head = None
            yield Stretch(piece, items_of(piece, language))
        elif not any(character.isalnum() for character in piece):
            continue
        elif head is None:
            head = _cells(piece)
            yield Stretch(piece, items_of(piece, language), is_row=True)
        else:
            yield Stretch(piece, _row_items(head, _cells(piece), language), is_row=True)


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().strip("|").split("|")]


def _row_items(head: Sequence[str], cells: Sequence[str], language: str | None) -> list[Item]:
    """Each cell behind the name of its column; a name and a cell are a clause each."""
    items: list[Item] = []
    for index, cell in enumerate(cells):
        for text, label in ((head[index] if index < len(head) else "", True), (cell, False)):
            clause = items[-1].clause + 1 if items else 0
            items += items_of(text, language, first_clause=clause, label=label)
    return items


def _joined(first: Stretch, second: Stretch) -> Stretch:
    clause = first.items[-1].clause + 1 if first.items else 0
    moved = [replace(item, clause=item.clause + clause) for item in second.items]
    return Stretch(f"{first.text} {second.text}", [*first.items, *moved])


def _is_known(item: Item, known: Sequence[Item]) -> bool:
    """Whether a word of the evidence is the question's; words that limit are always looked at."""
    return item.content and any(same(item, other) for other in known)


def _in_order(first: Sequence[Item], second: Sequence[Item]) -> Iterator[tuple[int, int]]:
    """The places of a longest common subsequence."""
    alike = [[same(one, other) for other in second] for one in first]
    lengths = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i in range(len(first) - 1, -1, -1):
        for j in range(len(second) - 1, -1, -1):
            lengths[i][j] = (
                lengths[i + 1][j + 1] + 1
                if alike[i][j]
                else max(lengths[i + 1][j], lengths[i][j + 1])
            )
    i = j = 0
    while i < len(first) and j < len(second):
        if alike[i][j] and lengths[i][j] == lengths[i + 1][j + 1] + 1:
            yield i, j
            i, j = i + 1, j + 1
        elif lengths[i + 1][j] >= lengths[i][j + 1]:
            i += 1
        else:
            j += 1
