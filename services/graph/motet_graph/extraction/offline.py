"""Extraction without a model: names by their spelling, statements by what stands between them.

A name is a run of capitalised words (small words within allowed), an acronym, a date, a number with
its unit, or what is in quotation marks; a noun phrase is a run of words that are no function words.
Two names that follow each other in a sentence make a statement whose predicate is the words
between them. A sentence that begins with `it` speaks of what the one before spoke of, one that
begins with `she` of the title. It is meant to be fast (about a millisecond a passage) and to miss
little; what it states is a guess at what a model would.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import NamedTuple

from motet.messages import GraphPassage
from motet_graph import names
from motet_graph.extraction.port import extraction_of
from motet_graph.extraction.words import FUNCTION_WORDS, OPENERS
from motet_graph.statements import Alias, Extraction, Statement

__all__ = ["OfflineExtractor"]

_SENTENCE = re.compile(
    r"(?<!\b[A-Z])(?<!\b(?:Mr|Dr|St|Jr|Sr|vs|No))(?<!\b(?:Mrs|Col|Gen|Inc|Ltd|etc))[.!?]+[\"'”’)]*\s+(?=[A-Z0-9\"'“(])|\n{2,}"
)
_CAPITAL = r"(?:\b[A-ZÀ-ÖØ-ÞĀ-Ž][\w'’&-]{0,60}(?:\.(?=[A-Z\s]))?|[A-Z]\.)"
_NAME = re.compile(
    rf"{_CAPITAL}(?:(?:\s+|\s*[-–]\s*|,\s(?=Jr|Sr|Inc))(?:(?:of\s+the|de\s+la|of|and|de|la|le|du|von|van|der|di|da|del|al|for|&)\s+)?"
    rf"(?:{_CAPITAL}|\d{{1,4}}(?![\d.])))*"
)
_QUOTED = re.compile(r"[\"“]([^\"“”]{2,80})[\"”]|``\s?([^`']{2,80}?)\s?''")
_NUMBER = re.compile(
    r"(?:\d{1,2}\s+)?(?:January|February|March|April|May|June|July|August|September|October|November"
    r"|December)(?:\s+\d{1,2}(?!\d))?(?:,?\s+\d{4})?|\b\d[\d,.]*\d?(?:\s?(?:%|percent|million|billion|km|miles|m|kg|years?))?\b"
)
_WORD = re.compile(r"[^\W\d_][\w'’-]*")
_STANDS_FOR = re.compile(r"^(?:it|its|they|their|he|she|his|her)\b", re.IGNORECASE)
_PERSON = re.compile(r"^(?:he|she|his|her)\b", re.IGNORECASE)
_THING = re.compile(r"^(?:it|its|they|their|this|these)\b", re.IGNORECASE)
_THE = re.compile(r"^the\b", re.IGNORECASE)
MAX_PREDICATE = 10
"""Words that a predicate keeps, those next to the object."""
MAX_BETWEEN = 200
"""Characters before a name in which the predicate is looked for."""
MAX_CONTEXT = 1000
"""Characters of a sentence that a statement keeps."""
MAX_PHRASES = 12
"""Noun phrases that a passage gives."""


class _Found(NamedTuple):
    start: int
    end: int
    name: str


class OfflineExtractor:
    """Names by capitals, statements by nearness."""

    name = "offline.v1"

    async def extract(self, passage: GraphPassage) -> Extraction:
        """See `Extractor.extract`."""
        return self.read(passage)

    def read(self, passage: GraphPassage) -> Extraction:
        """What the passage says."""
        title = passage.title.strip()
        found: list[str] = [title] if title else []
        statements: list[Statement] = []
        subject = title
        for sentence in _sentences(passage.text):
            spans = _names_in(sentence, title)
            found += [span.name for span in spans]
            subject = _subject(sentence, spans, title, subject)
            statements += _stated(sentence, spans, title, subject)
        phrases = _noun_phrases(passage.text, {names.key(name) for name in found})
        if title:
            known = {names.key(each.object) for each in statements}
            known |= {names.key(each.subject) for each in statements}
            statements += [
                Statement(title, "", name)
                for name in dict.fromkeys(found)
                if names.key(name) not in known and names.key(name) != names.key(title)
            ]
        aliases = [Alias(*pair) for pair in names.stated_aliases(passage.text)]
        return extraction_of([*found, *phrases], statements, aliases)


def _sentences(text: str) -> Iterator[str]:
    for piece in _SENTENCE.split(text):
        if piece and (stripped := piece.strip()):
            yield stripped


def _names_in(sentence: str, title: str) -> list[_Found]:
    """The names of a sentence in order, none within another."""
    found: list[_Found] = []
    taken = bytearray(len(sentence))

    def take(start: int, end: int) -> None:
        if end > start and not any(taken[start:end]):
            taken[start:end] = b"\1" * (end - start)
            found.append(_Found(start, end, sentence[start:end].strip(" ,.'’")))

    if title and (at := sentence.casefold().find(title.casefold())) >= 0:
        take(at, min(len(sentence), at + len(title)))
    for match in _QUOTED.finditer(sentence):
        take(*match.span(1 if match[1] else 2))
    for match in _NUMBER.finditer(sentence):
        if not sentence[match.start() :].startswith("May ") or match.start() > 0:
            take(*match.span())
    for match in _NAME.finditer(sentence):
        start, end = match.span()
        while (opener := _WORD.match(sentence, start, end)) and _opens(opener[0], start == 0):
            start = opener.end()
            while start < end and not sentence[start].isalnum():
                start += 1
        take(start, end)
    return sorted(each for each in found if len(each.name) > 1)


def _opens(word: str, first: bool) -> bool:
    """Whether a capitalised word is no part of a name."""
    if len(word) > 1 and word.isupper():
        return False
    lower = word.casefold()
    return lower in FUNCTION_WORDS or (first and lower in OPENERS)


def _subject(sentence: str, spans: list[_Found], title: str, before: str) -> str:
    """What a sentence speaks of: `it` is what the one before spoke of, a person is the title."""
    if _THING.match(sentence):
        return before
    article = _THE.match(sentence)
    if title and (_PERSON.match(sentence) or article):
        names_it = article and spans and sentence[article.end() : spans[0].start].isspace()
        return spans[0].name if names_it else title
    return spans[0].name if spans else before


def _stated(sentence: str, spans: list[_Found], title: str, subject: str) -> Iterator[Statement]:
    """Statements between neighbours, and between the sentence's subject and the rest."""
    if not spans:
        return
    subject = subject or spans[0].name
    context = (f"{title}: {sentence}" if title else sentence)[:MAX_CONTEXT]
    if subject != spans[0].name:
        opening = _STANDS_FOR.match(sentence)
        begin = max(opening.end() if opening else 0, spans[0].start - MAX_BETWEEN)
        yield Statement(subject, _between(sentence[begin : spans[0].start]), spans[0].name, context)
    for before, after in itertools.pairwise(spans):
        predicate = _between(sentence[max(before.end, after.start - MAX_BETWEEN) : after.start])
        yield Statement(before.name, predicate, after.name, context)
        begin = max(spans[0].end, after.start - MAX_BETWEEN)
        if before.name != subject:
            yield Statement(subject, _between(sentence[begin : after.start]), after.name, context)


def _between(text: str) -> str:
    return " ".join(text.strip(" ,.;:()\"'").split()[-MAX_PREDICATE:])


def _noun_phrases(text: str, known: set[str]) -> list[str]:
    """Runs of two to four words that are no function words and no names."""
    found: dict[str, None] = {}
    run: list[str] = []
    end = 0
    for match in _WORD.finditer(text):
        word = match[0]
        joined = match.start() - end == 1
        end = match.end()
        if not joined or word[0].isupper() or word in FUNCTION_WORDS:
            _keep(run, found, known)
            run = []
        if word[0].islower() and word not in FUNCTION_WORDS:
            run.append(word)
    _keep(run, found, known)
    return list(found)[:MAX_PHRASES]


def _keep(run: list[str], found: dict[str, None], known: set[str]) -> None:
    while run and run[-1].endswith(("ed", "ing", "ly")):
        run.pop()
    while run and run[0].endswith("ly"):
        run.pop(0)
    phrase = " ".join(run[-4:])
    if len(run) >= 2 and names.key(phrase) not in known:
        found.setdefault(phrase)
