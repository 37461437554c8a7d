"""Names in scripts without capital letters: Arabic, Chinese, Hebrew, Korean, Thai, ...

Nothing in the spelling of such a text says what is a name. So what connects its passages is told by
themselves: words in a row that several of them have (`shared`). A name that only one has connects
nothing; it is found in the text when somebody asks for it (`with_literal`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import regex

from motet.text.languages import language_of
from motet.text.sentences import sentences
from motet.text.words import Token, fold, stop_words, tokens
from motet_graph import names
from motet_graph.graph_map import Entity, Fact, GraphMap
from motet_graph.statements import Mention, StoredPassage, StoredStatement

__all__ = ["shared", "with_literal"]

MOST_PASSAGES = 20_000
"""Of more, what they share is not looked for: it would take minutes."""
LONGEST = 5
"""Words of a name."""
COMMON = 0.1
"""The share of passages from which on a single word is common, and no name."""
FEW = 5
"""In so many passages a word is not common yet."""

_UNCASED = regex.compile(r"\p{Lo}")
_LETTER = regex.compile(r"\p{L}")
_UNSPACED = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー々]"
)

_Sentence = tuple[str, list[Token]]


def shared(stored: Sequence[StoredPassage]) -> list[StoredPassage]:
    """Passages with mentions of what several of them name, and statements between these."""
    uncased = [place for place, each in enumerate(stored) if _is_uncased(each.passage.text)]
    if not 1 < len(uncased) <= MOST_PASSAGES:
        return [*stored]
    read = {place: _read(stored[place].passage.text) for place in uncased}
    held: dict[str, set[int]] = defaultdict(set)
    for place, (language, found) in read.items():
        for sentence, words in found:
            for name, _, _ in _rows(sentence, words, stop_words(language)):
                held[name].add(place)
    kept = _kept(held, len(uncased))
    return [
        _with_shared(each, read[place][1], kept) if place in read else each
        for place, each in enumerate(stored)
    ]


def with_literal(graph: GraphMap, name: str) -> GraphMap:
    """The map with a name as an entity, where passages have it letter by letter.

    A name that is known, that has capital letters, or that no passage has changes nothing.
    """
    if names.key(name) in graph.meanings or not _UNCASED.search(name) or len(name.strip()) < 2:
        return graph
    pattern = _literal(name.strip())
    holding = [place for place, each in enumerate(graph.passages) if pattern.search(each.text)]
    if not holding:
        return graph
    own = len(graph.entities)
    facts = [fact for place in holding for fact in _stated(graph, own, pattern, place)]
    around = [list(each) for each in graph.around] + [[]]
    for number, fact in enumerate(facts, start=len(graph.facts)):
        around[fact.subject].append(number)
        around[fact.object].append(number)
    return replace(
        graph,
        entities=(*graph.entities, Entity((name.strip(),), (), tuple(holding))),
        facts=(*graph.facts, *facts),
        around=tuple(map(tuple, around)),
        meanings={**graph.meanings, names.key(name): (own,)},
    )


def _is_uncased(text: str) -> bool:
    return 2 * len(_UNCASED.findall(text)) > len(_LETTER.findall(text))


def _read(text: str) -> tuple[str | None, list[_Sentence]]:
    language = language_of(text)
    return language, [(each, list(tokens(each))) for each in sentences(text, language)]


def _rows(
    sentence: str, words: Sequence[Token], ignored: frozenset[str]
) -> Iterator[tuple[str, int, int]]:
    """Words in a row that may be a name, and where they begin and end."""
    for first, begins in enumerate(words):
        if fold(begins.text) in ignored or not _LETTER.search(begins.text):
            continue
        for last in range(first, min(first + LONGEST, len(words))):
            ends = words[last]
            if last > first and sentence[words[last - 1].end : ends.start].strip(" ") != "":
                break
            name = sentence[begins.start : ends.end]
            if len(name) > 1 and fold(ends.text) not in ignored and _LETTER.search(ends.text):
                yield name, begins.start, ends.end


def _kept(held: Mapping[str, set[int]], passages: int) -> set[str]:
    """What is in several passages, less what is only ever a part of something longer."""
    often = {name: places for name, places in held.items() if len(places) > 1}
    parts = {
        part
        for name, places in often.items()
        for part in _parts(name)
        if part in often and often[part] == places
    }
    most = max(FEW, COMMON * passages)
    return {name for name, places in often.items() if name not in parts and len(places) <= most}


def _parts(name: str) -> Iterator[str]:
    words = list(tokens(name))
    for first, begins in enumerate(words):
        for ends in words[first:]:
            if (begins.start, ends.end) != (0, len(name)):
                yield name[begins.start : ends.end]


def _with_shared(
    stored: StoredPassage, found: Iterable[_Sentence], kept: set[str]
) -> StoredPassage:
    mentions: list[Mention] = []
    statements: list[StoredStatement] = []
    for sentence, words in found:
        spans = _apart(
            (start, end, name)
            for name, start, end in _rows(sentence, words, frozenset())
            if name in kept
        )
        mentions += (Mention(names.key(name), name) for _, _, name in spans)
        for (_, end, subject), (start, _, obj) in pairwise(spans):
            pair = names.key(subject), names.key(obj)
            if pair[0] != pair[1]:
                statements.append(StoredStatement(pair[0], sentence[end:start], pair[1], None))
    return replace(
        stored,
        mentions=tuple(dict.fromkeys([*stored.mentions, *mentions])),
        statements=(*stored.statements, *statements),
    )


def _apart(spans: Iterable[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Of spans that overlap the longest, in order."""
    taken: list[tuple[int, int, str]] = []
    for span in sorted(spans, key=lambda each: (each[0] - each[1], each[0])):
        if all(span[1] <= start or end <= span[0] for start, end, _ in taken):
            taken.append(span)
    return sorted(taken)


def _literal(name: str) -> regex.Pattern[str]:
    """Finds a name; as whole words where these are parted by spaces."""
    text = regex.escape(name)
    if not _UNSPACED.search(name):
        text = rf"(?<![\p{{L}}\p{{M}}]){text}(?![\p{{L}}\p{{M}}])"
    return regex.compile(text)


def _stated(graph: GraphMap, own: int, pattern: regex.Pattern[str], place: int) -> Iterator[Fact]:
    """What the sentences with a name say of it and of the other entities of their passage."""
    others = [int(entity) for passage, entity in graph.mentions if passage == place]
    for sentence in sentences(graph.passages[place].text):
        match = pattern.search(sentence)
        if match is None:
            continue
        for other in others:
            spelled = graph.entities[other].names
            at = next((sentence.find(each) for each in spelled if each in sentence), -1)
            if at < 0:
                continue
            end = at + max(len(each) for each in spelled if sentence.startswith(each, at))
            if match.end() <= at:
                yield Fact(own, sentence[match.end() : at].strip(), other, place)
            elif end <= match.start():
                yield Fact(other, sentence[end : match.start()].strip(), own, place)
