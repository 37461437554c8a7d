"""Aliases: names that a text itself says are of one entity.

- `Name (ABC)`, where that abbreviates the name: its letters stand in it in order, the first at the
  beginning of a word (Schwartz and Hearst, 2003).
- `Name, also known as Other` and the like, by the cues of the text's language (`cues`).
- `Name (formerly Other)`, `Name, formerly Other,`. Between commas a name with small words in it is
  left out: `Ada Brown, formerly Head of Sales,` tells what she was.
- `Name (1850-1910)`: who lived then, so that others of that name are others.

The second name of a pair stands for the first. No name goes on over the end of a sentence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise

import regex

from motet.text.languages import language_of
from motet.text.names import name_spans
from motet.text.sentences import sentences
from motet.text.words import Token, fold, stop_words
from motet_graph import names
from motet_graph.extraction.cues import cues_of

__all__ = ["qualified", "stated_aliases"]

_OPENED = regex.compile(r"[\s,]*[(（]\s*(?:\p{L}+\s+){0,2}[\"“'«„]?")
"""Between a name and what is in brackets after it, with a word or two such as `short`."""
_CLOSED = regex.compile(r"[\"”'»“]?\s*[)）,;，；、]")
_BRACKET = regex.compile(r"\s*[(（]([^()（）]{3,60})[)）]")
_YEAR = regex.compile(r"(?<!\d)\d{3,4}(?!\d)")
_DASH = regex.compile(r"\s*[-–—]\s*")
_BEFORE = regex.compile(
    r"[\"”'»」』]?(?:\s*[(（][^()（）]*[)）])?(?:\s*[,，、(（:–—-]\s*|\s+((?:\p{Ll}+\s+){0,2})|)"
)
"""Between a name and a cue: something in brackets, then a stop or small words such as `was`."""
_AFTER = regex.compile(r"[\s:]*((?:\p{Ll}+\s+)?)[\"“„«「『']?")
_ENDS = regex.compile(r"[\"”“»」』']?\s*([)）,，、.。;；:!?]|$)")
_TITLE = regex.compile(r"(?P<name>[^()（）]{2,})\s*[(（](?P<what>[^()（）]+)[)）]")


def stated_aliases(text: str, language: str | None = None) -> list[tuple[str, str]]:
    """Pairs of names that a text says are of one entity; the second stands for the first."""
    language = language or language_of(text)
    found: list[tuple[str, str]] = []
    for sentence in _sentences(text, language):
        spans = name_spans(sentence, language, eager=True)
        found += _abbreviated(sentence, spans)
        found += _called(sentence, spans, language)
        found += _lived(sentence, spans)
    return list(
        dict.fromkeys(
            (name, other)
            for name, other in found
            if names.key(name) and names.key(other) and names.key(name) != names.key(other)
        )
    )


def qualified(title: str) -> str | None:
    """The bare name of a title that tells it from others: `Ada Brown` of `Ada Brown (poet)`."""
    match = _TITLE.fullmatch(title.strip())
    return match["name"].strip() if match else None


def _sentences(text: str, language: str | None) -> list[str]:
    """Sentences, none of which ends with a cue: `a.k.a.` ends none."""
    found: list[str] = []
    for sentence in sentences(text, language):
        if found and any(m.end() == len(found[-1]) for m in _cue(language).finditer(found[-1])):
            found[-1] += f" {sentence}"
        else:
            found.append(sentence)
    return found


def _abbreviated(sentence: str, spans: Sequence[Token]) -> Iterator[tuple[str, str]]:
    for first, second in pairwise(spans):
        if not _OPENED.fullmatch(sentence, first.end, second.start):
            continue
        if not _CLOSED.match(sentence, second.end):
            continue
        if names.is_acronym(second.text) and (long := _long_form(first.text, second.text)):
            yield long, second.text


def _long_form(name: str, short: str) -> str | None:
    """The shortest end of `name` that `short` abbreviates."""
    letters = [fold(letter) for letter in short if letter.isalnum()]
    words = name.split()
    for first in range(len(words) - 2, -1, -1):
        candidate = " ".join(words[first:])
        rest = iter(fold(candidate))
        if fold(candidate[0]) == letters[0] and all(letter in rest for letter in letters):
            return candidate
    return None


def _called(
    sentence: str, spans: Sequence[Token], language: str | None
) -> Iterator[tuple[str, str]]:
    ignored = stop_words(language)
    articles = frozenset(cues_of(language).article)
    for match in _cue(language).finditer(sentence):
        before = next((each for each in reversed(spans) if each.end <= match.start()), None)
        after = _AFTER.match(sentence, match.end())
        if before is None or after is None or not _only(after[1], articles):
            continue
        between = _BEFORE.fullmatch(sentence, before.end, match.start())
        if between is None or not _only(between[1] or "", ignored):
            continue
        start = after.end()
        span = next((each for each in spans if each.start <= start < each.end), None)
        if span is None:
            continue
        other = sentence[start : span.end]
        if match["formerly"] is None or _was_named(sentence, before, span, match.start()):
            yield before.text, other


def _was_named(sentence: str, name: Token, other: Token, cue: int) -> bool:
    """Whether `formerly` stands before a former name, and not before what somebody was."""
    ends = _ENDS.match(sentence, other.end)
    if ends is None:
        return False
    if any(bracket in sentence[name.end : cue] for bracket in "(（"):
        return ends[1] in {")", "）"}
    return not any(word.islower() for word in other.text.split())


def _lived(sentence: str, spans: Sequence[Token]) -> Iterator[tuple[str, str]]:
    for span in spans:
        bracket = _BRACKET.match(sentence, span.end)
        if bracket is None or not _DASH.search(bracket[1]):
            continue
        years = [int(year) for year in _YEAR.findall(bracket[1])]
        if len(years) == 2 and years[0] < years[1] <= years[0] + 120:
            yield f"{span.text} ({years[0]}–{years[1]})", span.text


def _only(words: str, ignored: frozenset[str]) -> bool:
    """Whether all of some words say nothing by themselves."""
    return all(fold(word) in ignored for word in words.split())


@cache
def _cue(language: str | None) -> regex.Pattern[str]:
    """Finds the cues of a language; the group `formerly` has those that may tell something else."""
    cues = cues_of(language)

    def either(words: Sequence[str]) -> str:
        return (
            "|".join(regex.escape(word) for word in sorted(words, key=len, reverse=True)) or "(?!)"
        )

    # Where words are not parted by spaces, letters stand next to a cue.
    letter = r"[\p{L}--[\p{Han}\p{Hiragana}\p{Katakana}]]"
    either_kind = f"(?P<called>{either(cues.called)})|(?P<formerly>{either(cues.formerly)})"
    return regex.compile(
        f"(?<!{letter})(?:{either_kind})(?!{letter})", regex.IGNORECASE | regex.VERSION1
    )
