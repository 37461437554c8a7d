"""Words: the tokens of a text, their stems, and which of them are terms to search and compare by.

- Where a script parts words by spaces, Unicode's letters do; elsewhere (Chinese, Japanese, Thai)
  ICU's dictionaries do.
- What has digits in it is whole: `1.10.2`, `X-100`, `2025-04-01`. Other compounds are their parts.
- Terms of Chinese, Japanese and Korean are pairs of characters, as in Lucene's CJK analysis: where
  a word ends there is a matter of context, and two texts have to agree on it.
"""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any

import regex

from motet.text.folding import fold
from motet.text.icu_rules import word_boundaries
from motet.text.languages import base_language, language_of
from motet.text.numerals import is_numeral, plain_numeral

__all__ = [
    "Token",
    "common_words",
    "coverage",
    "fold",
    "language_for",
    "stem",
    "stemmed_languages",
    "stop_words",
    "term_list",
    "terms",
    "tokens",
    "words",
]

_CHUNK = regex.compile(r"[\p{L}\p{M}\p{N}_]+(?:[-.,:/’'٫٬+@&_][\p{L}\p{M}\p{N}_]+)*")
_PART = regex.compile(r"\p{N}+(?:[.,:’'٫٬]\p{N}+)*[\p{L}\p{M}]*|[\p{L}\p{M}\p{N}]+")
_IDENTIFIER = regex.compile(
    r"\p{L}[\p{L}\p{M}]*[-.:/_+]?\p{N}[\p{L}\p{N}\-.:/_+]*|\p{N}+(?:[-./:]\p{N}+)+"
)
_DIGIT = regex.compile(r"\p{N}")
_UNSPACED = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー々]+"
)
_PAIRED = regex.compile(r"[\p{Han}\p{Katakana}\p{Hangul}ー々]+")
_MARKS_TO_DROP = regex.compile(r"(?<=[\p{Latin}\p{Greek}])\p{Mn}+")
_PARTICLE = 2
"""Letters of a word that hardly says anything by itself."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a number or an identifier, where it stands."""

    text: str
    start: int
    end: int


def tokens(text: str) -> Iterator[Token]:
    """The tokens of a text, in order; `text[token.start : token.end] == token.text`."""
    for chunk in _CHUNK.finditer(text):
        if _DIGIT.search(chunk[0]) and _IDENTIFIER.fullmatch(chunk[0]):
            yield Token(chunk[0], chunk.start(), chunk.end())
            continue
        for part in _PART.finditer(text, chunk.start(), chunk.end()):
            yield from _segmented(part[0], part.start())


def words(text: str) -> list[str]:
    """The words, numbers and identifiers of a text as they are written, in order."""
    return [token.text for token in tokens(text)]


@lru_cache(maxsize=1 << 16)
def stem(word: str, language: str | None = None) -> str:
    """The stem of a word, folded; only folded where there is no stemmer for its language.

    Diacritics go after stemming, since stemmers need them; those of scripts in which they are
    letters of their own stay.
    """
    folded = fold(word)
    name = _stemmer_name(base_language(language))
    if name is not None and not _DIGIT.search(folded):
        folded = _stemmer(name).stemWord(folded)
    bare = _MARKS_TO_DROP.sub("", unicodedata.normalize("NFD", folded))
    return unicodedata.normalize("NFC", bare)


@cache
def stop_words(language: str | None) -> frozenset[str]:
    """Words of a language that say nothing by themselves, folded; empty where none are known.

    Negations and comparisons are among them: lists for search treat them so. Whoever compares
    meanings must not drop all of these.
    """
    base = base_language(language)
    if base is None:
        return frozenset()
    import stopwords
    import stopwordsiso

    known = {"nb": "no", "nn": "no"}.get(base, base)
    larger = {fold(word) for word in stopwordsiso.stopwords(known)}
    compact = {fold(word) for word in stopwords.safe_get_stopwords(known)}
    if not compact:
        return frozenset(larger)
    # The compact lists lack some particles, and the larger ones hold words that say much.
    return frozenset(compact | {word for word in larger if len(word) <= _PARTICLE})


@cache
def common_words(language: str | None) -> frozenset[str]:
    """Words that are no names, folded: stop words, and what else is frequent in any text."""
    base = base_language(language)
    if base is None:
        return frozenset()
    import stopwordsiso

    known = {"nb": "no", "nn": "no"}.get(base, base)
    return stop_words(base) | {fold(word) for word in stopwordsiso.stopwords(known)}


def language_for(text: str, language: str | None) -> str | None:
    """The language to take a text apart in: the one given, else the one that it seems to be in."""
    return base_language(language) or language_of(text)


def term_list(text: str, language: str | None = None) -> list[str]:
    """The terms of a text in order, each as often as it stands there.

    A term is the stem of a word that is no stop word, an identifier, or a number in its plainest
    form (`1,850.50` is `1850.5`); of Chinese, Japanese and Korean a pair of characters.
    """
    language = language_for(text, language)
    ignored = stop_words(language)
    found: list[str] = []
    for run in _runs(text):
        if len(run) > 1 or _PAIRED.fullmatch(run[0].text):
            found += _pairs("".join(token.text for token in run))
            continue
        token = run[0].text
        if is_numeral(token):
            found.append(plain_numeral(token, language))
        elif fold(token) not in ignored:
            found.append(stem(token, language))
    return found


def terms(text: str, language: str | None = None) -> frozenset[str]:
    """The terms of a text (`term_list`), each once."""
    return frozenset(term_list(text, language))


def coverage(question: str, text: str, language: str | None = None) -> float:
    """The share of a question's terms that a text has, from 0 to 1; 1 where it has no terms."""
    language = base_language(language) or language_of(text) or language_of(question)
    asked = terms(question, language)
    return len(asked & terms(text, language)) / len(asked) if asked else 1.0


def _segmented(part: str, start: int) -> Iterator[Token]:
    """A run of letters and digits, cut where its script does not part words by spaces."""
    place = 0
    for run in _UNSPACED.finditer(part):
        if run.start() > place:
            yield Token(part[place : run.start()], start + place, start + run.start())
        for begin, end in pairwise(word_boundaries(run[0])):
            yield Token(run[0][begin:end], start + run.start() + begin, start + run.start() + end)
        place = run.end()
    if place < len(part):
        yield Token(part[place:], start + place, start + len(part))


def _runs(text: str) -> Iterator[list[Token]]:
    """Tokens; those that follow each other without a space in Chinese or Japanese together."""
    together: list[Token] = []
    for token in tokens(text):
        pairs = _PAIRED.fullmatch(token.text) is not None
        if together and (not pairs or together[-1].end != token.start):
            yield together
            together = []
        if pairs:
            together.append(token)
        else:
            yield [token]
    if together:
        yield together


def _pairs(run: str) -> Iterable[str]:
    folded = fold(run)
    return [folded] if len(folded) == 1 else [a + b for a, b in pairwise(folded)]


@cache
def _stemmer_name(language: str | None) -> str | None:
    """The name that Snowball has for a language."""
    if language is None:
        return None
    import snowballstemmer
    from babel import Locale

    name = (Locale("en").languages.get(language) or "").casefold()
    known: list[str] = snowballstemmer.algorithms()
    return next((word for word in name.split() if word in known), None)


@cache
def stemmed_languages() -> tuple[str, ...]:
    """The languages that there is a stemmer for, one code for each stemmer."""
    from babel import Locale

    codes: dict[str, str] = {}
    for code in sorted(Locale("en").languages, key=lambda code: (len(code), code)):
        if code.isalpha() and (name := _stemmer_name(code)) is not None:
            codes.setdefault(name, code)
    return tuple(sorted(codes.values()))


_stemmers = threading.local()
"""Stemmers hold the word they work at, so that every thread has its own."""


def _stemmer(name: str) -> Any:
    import snowballstemmer

    own: dict[str, Any] = _stemmers.__dict__.setdefault("by_name", {})
    if name not in own:
        own[name] = snowballstemmer.stemmer(name)
    return own[name]
