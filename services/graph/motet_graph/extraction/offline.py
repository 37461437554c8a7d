"""Extraction without a model: names by their spelling, statements by what stands between them.

A name is what `motet.text.names` finds (capitals, initials, quotation marks, runs of Chinese
characters in Japanese), a date, or a number; a noun phrase is a run of words in lower case that are
no common words of the language. Two names that follow each other in a sentence make a statement
whose predicate is the words between them. A sentence that begins with `it` speaks of what the one
before spoke of, one that begins with `she` of the title. It is meant to be fast (a few milliseconds
a passage) and to miss little; what it states is a guess at what a model would.

In scripts without capital letters (Arabic, Chinese, Hebrew, ...) only what is quoted is told by
its spelling; the rest is found when the graph is looked at, see `motet_graph.uncased`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence, Set
from typing import NamedTuple

import regex

from motet.messages import GraphPassage
from motet.text.languages import language_of
from motet.text.names import name_spans
from motet.text.sentences import sentences
from motet.text.words import Token, common_words, fold, tokens
from motet_graph import names
from motet_graph.extraction.cues import cues_of
from motet_graph.extraction.port import aliases_of, extraction_of
from motet_graph.statements import Extraction, Statement

__all__ = ["OfflineExtractor"]

_NUMBER = regex.compile(r"(?<![\p{L}\p{N}])\p{Nd}[\p{Nd}.,]*(?:\s?%)?(?![\p{L}\p{N}])")
_DATE_PART = regex.compile(r"[ \u00a0]{1,2}")
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

    name = "offline.v2"

    async def extract(self, passage: GraphPassage) -> Extraction:
        """See `Extractor.extract`."""
        return self.read(passage)

    def read(self, passage: GraphPassage) -> Extraction:
        """What the passage says."""
        title = passage.title.strip()
        language = language_of(passage.text)
        found: list[str] = [title] if title else []
        statements: list[Statement] = []
        subject = title
        for sentence, spans in _read(passage.text, title, language):
            found += [span.name for span in spans]
            subject = _subject(sentence, spans, title, subject, language)
            statements += _stated(sentence, spans, title, subject, language)
        known = {names.key(name) for name in found}
        phrases = _noun_phrases(passage.text, known, language)
        if title:
            known = {names.key(each.object) for each in statements}
            known |= {names.key(each.subject) for each in statements}
            statements += [
                Statement(title, "", name)
                for name in dict.fromkeys(found)
                if names.key(name) not in known and names.key(name) != names.key(title)
            ]
        return extraction_of([*found, *phrases], statements, aliases_of(passage, language))


def _read(text: str, title: str, language: str | None) -> Iterator[tuple[str, list[_Found]]]:
    """The sentences, each with its names in order, none within another."""
    every = name_spans(text, language, eager=True)
    titled = {span.text for span in name_spans(title, language)}
    begin = 0
    for sentence in sentences(text, language):
        begin = text.index(sentence, begin)
        end = begin + len(sentence)
        inside = [
            _untied(Token(span.text, span.start - begin, span.end - begin), titled)
            for span in every
            if begin <= span.start and span.end <= end
        ]
        yield sentence, _found(sentence, title, inside)
        begin = end


def _untied(span: Token, titled: Set[str]) -> Token:
    """A name without the word that begins its sentence, where the title has the rest as a name.

    That word has a capital whatever it is: `Building Lyra cost a million`.
    """
    rest = span.text.partition(" ")[2]
    if span.start or rest not in titled:
        return span
    return Token(rest, span.end - len(rest), span.end)


def _found(sentence: str, title: str, spans: Sequence[Token]) -> list[_Found]:
    found: list[_Found] = []
    taken = bytearray(len(sentence))

    def take(start: int, end: int) -> None:
        if end > start and not any(taken[start:end]):
            taken[start:end] = b"\1" * (end - start)
            found.append(_Found(start, end, sentence[start:end].strip(" ,.'’")))

    if title and (at := sentence.casefold().find(title.casefold())) >= 0:
        take(at, min(len(sentence), at + len(title)))
    for start, end in _with_numbers(sentence, spans):
        take(start, end)
    return sorted(each for each in found if len(each.name) > 1)


def _with_numbers(sentence: str, spans: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """Names and numbers, those that touch as one: `12 January 1960`, `Henry 8`."""
    pieces = sorted(
        [(span.start, span.end) for span in spans]
        + [
            match.span()
            for match in _NUMBER.finditer(sentence)
            if not any(span.start < match.end() and match.start() < span.end for span in spans)
        ]
    )
    together: tuple[int, int] | None = None
    for start, end in pieces:
        if together and _DATE_PART.fullmatch(sentence, together[1], start):
            together = together[0], end
            continue
        if together:
            yield together
        together = start, end
    if together:
        yield together


def _subject(
    sentence: str, spans: list[_Found], title: str, before: str, language: str | None
) -> str:
    """What a sentence speaks of: `it` is what the one before spoke of, a person is the title."""
    cues = cues_of(language)
    opening = next(tokens(sentence), None)
    word = fold(opening.text) if opening else ""
    if opening is None or word in cues.thing:
        return before
    if title and word in (*cues.person, *cues.article):
        directly = spans and sentence[opening.end : spans[0].start].isspace()
        return spans[0].name if directly and word in cues.article else title
    return spans[0].name if spans else before


def _stated(
    sentence: str, spans: list[_Found], title: str, subject: str, language: str | None
) -> Iterator[Statement]:
    """Statements between neighbours, and between the sentence's subject and the rest."""
    if not spans:
        return
    subject = subject or spans[0].name
    context = (f"{title}: {sentence}" if title else sentence)[:MAX_CONTEXT]
    if subject != spans[0].name:
        cues = cues_of(language)
        opening = next(tokens(sentence), None)
        stands_for = opening and fold(opening.text) in (*cues.person, *cues.thing)
        begin = max(opening.end if opening and stands_for else 0, spans[0].start - MAX_BETWEEN)
        yield Statement(subject, _between(sentence[begin : spans[0].start]), spans[0].name, context)
    for before, after in itertools.pairwise(spans):
        predicate = _between(sentence[max(before.end, after.start - MAX_BETWEEN) : after.start])
        yield Statement(before.name, predicate, after.name, context)
        begin = max(spans[0].end, after.start - MAX_BETWEEN)
        if before.name != subject:
            yield Statement(subject, _between(sentence[begin : after.start]), after.name, context)


def _between(text: str) -> str:
    return " ".join(text.strip(" ,.;:()\"'").split()[-MAX_PREDICATE:])


def _noun_phrases(text: str, known: set[str], language: str | None) -> list[str]:
    """Runs of two to four words in lower case that are no common words."""
    ignored = common_words(language)
    found: dict[str, None] = {}
    run: list[str] = []
    end = 0
    for token in tokens(text):
        joined = token.start - end == 1
        end = token.end
        says = token.text.islower() and token.text.isalpha() and fold(token.text) not in ignored
        if not joined or not says:
            _keep(run, found, known)
            run = []
        if says:
            run.append(token.text)
    _keep(run, found, known)
    return list(found)[:MAX_PHRASES]


def _keep(run: list[str], found: dict[str, None], known: set[str]) -> None:
    phrase = " ".join(run[-4:])
    if len(run) >= 2 and names.key(phrase) not in known:
        found.setdefault(phrase)
