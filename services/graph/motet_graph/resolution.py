"""Resolution: which entity a name means, in each document.

A passage may state that a name stands for another: `Name (ABC)`, `Name, also known as Other`, a
title `Name (what tells it apart)`. The stated name is the long one, the other stands for it.

Invariants:

- Names are joined only because a passage states it. Initials and likeness join nothing.
- Two names are never joined by way of a third that stands for both: such a third is ambiguous. In a
  document that states what it stands for it means that, elsewhere it is an entity of its own.
- The outcome does not depend on the order of documents, and a document that leaves takes what it
  stated along.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from motet_graph import names
from motet_graph.statements import StoredPassage

__all__ = ["Resolution", "resolve"]

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Resolution:
    """Entities by number, and which of them a key means."""

    names: tuple[tuple[str, ...], ...]
    """The names of each entity, the canonical one first."""
    keys: tuple[tuple[str, ...], ...]
    """The keys that are of this entity alone."""
    meanings: Mapping[str, tuple[int, ...]]
    """The entities that a key may mean; more than one where it is ambiguous."""
    _places: Mapping[str, int]
    _here: Mapping[tuple[str, str], str]

    def entity(self, document: str, key: str) -> int:
        """The entity that a key means in a document that mentions it."""
        return self._places[self._here.get((document, key), key)]


def resolve(stored: Sequence[StoredPassage]) -> Resolution:
    """The entities of what passages mention and state."""
    stated: dict[str, set[Pair]] = defaultdict(set)
    for each in stored:
        stated[each.passage.source].update(each.aliases)
    mentioned = {mention.key for each in stored for mention in each.mentions}
    every = {pair for pairs in stated.values() for pair in pairs if mentioned.issuperset(pair)}
    root, ambiguous = _joined(mentioned, every)
    here = dict(_meant_here(stated, root, ambiguous))

    spelled: dict[str, Counter[str]] = defaultdict(Counter)
    lent: dict[str, set[str]] = defaultdict(set)
    for each in stored:
        for mention in each.mentions:
            long = here.get((each.passage.source, mention.key))
            if long is None:
                spelled[mention.key][mention.name] += 1
            else:
                lent[root[long]].add(mention.name)
    groups: dict[str, list[str]] = defaultdict(list)
    for key in sorted(spelled):
        groups[root[key]].append(key)
    order = {each: place for place, each in enumerate(sorted(groups))}
    places = {key: order[root[key]] for key in spelled}
    meanings: dict[str, tuple[int, ...]] = {key: (place,) for key, place in places.items()}
    for short, longs in ambiguous.items():
        own = [places[short]] if short in places else []
        others = {places[long] for long in longs if long in places}
        meanings[short] = tuple(dict.fromkeys([*own, *sorted(others)]))
    return Resolution(
        tuple(_named(groups[each], spelled, lent[each]) for each in order),
        tuple(tuple(groups[each]) for each in order),
        {key: each for key, each in meanings.items() if each},
        places,
        here,
    )


def _joined(
    keys: Iterable[str], pairs: Iterable[Pair]
) -> tuple[dict[str, str], dict[str, set[str]]]:
    """The root of each key, and what ambiguous keys stand for.

    A key is joined with what it stands for where that is one entity; joining may make it one.
    """
    longs: dict[str, set[str]] = defaultdict(set)
    for long, short in pairs:
        longs[short].add(long)
    root = names.components(keys, ())
    while True:
        certain = [
            (short, long)
            for short, each in longs.items()
            if len({root[long] for long in each}) == 1
            for long in each
        ]
        joined = names.components(root, certain)
        if joined == root:
            break
        root = joined
    return root, {
        short: each for short, each in longs.items() if len({root[long] for long in each}) > 1
    }


def _meant_here(
    stated: Mapping[str, set[Pair]],
    root: Mapping[str, str],
    ambiguous: Mapping[str, set[str]],
) -> Iterable[tuple[tuple[str, str], str]]:
    """By document and ambiguous key, the name that it stands for where the document states one."""
    for document, pairs in stated.items():
        longs: dict[str, set[str]] = defaultdict(set)
        for long, short in pairs:
            if short in ambiguous and long in root and long not in ambiguous:
                longs[short].add(long)
        for short, each in longs.items():
            if len({root[long] for long in each}) == 1:
                yield (document, short), min(each)


def _named(
    keys: Iterable[str], spelled: Mapping[str, Counter[str]], lent: Iterable[str]
) -> tuple[str, ...]:
    """Its own names, then those that it shares with others."""
    own = names.canonical(sum((spelled[key] for key in keys), Counter[str]()))
    return tuple(dict.fromkeys([*own, *sorted(lent)]))
