"""Names: proper names, acronyms and identifiers, told by how they are written.

In a script with capital letters a name has one that does not come from where the word stands. In
German, which writes every noun so, single words are no names unless they are written in capitals or
with digits. In scripts without capitals, what is quoted, written in Latin letters or (in Japanese)
in a run of Katakana is found.
"""

from __future__ import annotations

from functools import cache

import regex

from motet.text.languages import base_language, language_of
from motet.text.sentences import sentences
from motet.text.words import Token, common_words, fold, stop_words, tokens

__all__ = ["capitalises_nouns", "name_spans", "names"]

_UPPER = regex.compile(r"\p{Lu}")
_LETTER = regex.compile(r"\p{L}")
_DIGIT = regex.compile(r"\p{N}")
_UNCASED = regex.compile(r"\p{Lo}")
_KATAKANA = regex.compile(r"[\p{Katakana}ー]{2,}(?:・[\p{Katakana}ー]+)*")
_KANJI = regex.compile(r"[\p{Han}\p{Katakana}ー々]{2,}")
_QUOTED = regex.compile(r"[「『《〈«“]([^「」『』《》〈〉«»“”]{1,60})[」』》〉»”]")
_UNTOLD = "en"
"""The language of what is too short to tell it, as in `motet.text.sentences`."""
_GAP = regex.compile(r"[ \u00a0&.'’-]{0,3}")


def names(text: str, language: str | None = None) -> list[str]:
    """The names in a text, each once, in the order in which they first stand there.

    A name is a literal part of the text, of one word or several: `Alfa Ltd`, `NASA`, `X-100`.
    """
    return list(dict.fromkeys(span.text for span in name_spans(text, language)))


def name_spans(text: str, language: str | None = None, *, eager: bool = False) -> list[Token]:
    """The names in a text where they stand, in order; none within another.

    Args:
        text: Where to look.
        language: Its language; None to find out.
        eager: Whether to take also what only may be a name: a lone word at the beginning of a
            sentence, a German noun, a run of Chinese characters in a Japanese text.
    """
    language = base_language(language) or language_of(text) or _UNTOLD
    inside = _capitalised_inside(text, language)
    capitalised: list[Token] = []
    begin = 0
    for sentence in sentences(text, language):
        begin = text.index(sentence, begin)
        capitalised += (
            Token(sentence[start:end], begin + start, begin + end)
            for start, end in _in_sentence(sentence, language, inside, eager)
        )
        begin += len(sentence)
    uncased = _UNCASED.search(text) is not None
    runs = [
        _matches(_QUOTED, text) if uncased or eager else [],
        _matches(_KATAKANA, text) if uncased else [],
        _matches(_KANJI, text) if uncased and eager and language == "ja" else [],
    ]
    first, *others = runs if eager else [[], *runs]
    return _apart(first, capitalised, *others)


def _matches(pattern: regex.Pattern[str], text: str) -> list[Token]:
    group = pattern.groups
    return [Token(m[group], *m.span(group)) for m in pattern.finditer(text) if m[group].strip()]


def _apart(*found: list[Token]) -> list[Token]:
    """Those of each list that do not touch what an earlier one has, in order."""
    taken: list[Token] = []
    for spans in found:
        taken += [
            span
            for span in spans
            if all(span.end <= each.start or each.end <= span.start for each in taken)
        ]
    return sorted(taken, key=lambda span: span.start)


def _in_sentence(
    sentence: str, language: str | None, inside: frozenset[str], eager: bool
) -> list[tuple[int, int]]:
    all_tokens = list(tokens(sentence))
    ignored = stop_words(language)
    marked: list[bool] = []
    for index, token in enumerate(all_tokens):
        if _is_certain(token.text):
            marked.append(True)
            continue
        capital = _is_capitalised(token.text) and fold(token.text) not in ignored
        if eager and _is_initial(sentence, token):
            capital = True
        elif index == 0 and capital:
            following = all_tokens[1] if len(all_tokens) > 1 else None
            joined = following is not None and _is_capitalised(following.text)
            joined = joined and _touch(sentence, token, following)
            capital = joined or token.text in inside
            capital = capital or (eager and fold(token.text) not in common_words(language))
        marked.append(capital)
    return _runs(sentence, all_tokens, marked, language, eager)


def _runs(
    sentence: str, all_tokens: list[Token], marked: list[bool], language: str | None, eager: bool
) -> list[tuple[int, int]]:
    """Names of marked words that follow each other, joined by `of` and its like in between."""
    links = frozenset[str]() if capitalises_nouns(language) else _links(language)
    keep = list(marked)
    for index in range(1, len(all_tokens) - 1):
        sides = (index - 1, index + 1)
        is_between = all(marked[side] and not _is_certain(all_tokens[side].text) for side in sides)
        if is_between and not marked[index] and all_tokens[index].text in links:
            keep[index] = True
    runs: list[list[Token]] = []
    for index, token in enumerate(all_tokens):
        if not keep[index]:
            continue
        joined = runs and index and keep[index - 1] and _touch(sentence, runs[-1][-1], token)
        if joined and "." in sentence[runs[-1][-1].end : token.start]:
            # An initial, or a form of address; elsewhere an abbreviation ends a name: `Alfa Ltd.`
            joined = len(runs[-1][-1].text) == 1 or len(runs[-1]) == 1
        if joined:
            runs[-1].append(token)
        else:
            runs.append([token])
    several = [
        run
        for run in runs
        if eager or len(run) > 1 or not capitalises_nouns(language) or _is_certain(run[0].text)
    ]
    return [(run[0].start, run[-1].end) for run in several]


def _touch(sentence: str, first: Token, second: Token | None) -> bool:
    """Whether nothing that ends a name stands between two words."""
    if second is None:
        return False
    between = sentence[first.end : second.start]
    ends = "." in between and len(first.text) > 3
    return _GAP.fullmatch(between) is not None and not ends


def _is_initial(sentence: str, token: Token) -> bool:
    """Whether a word is a first letter, as in `J. Smith`."""
    is_letter = len(token.text) == 1 and _is_capitalised(token.text)
    return is_letter and sentence.startswith(".", token.end)


def _is_capitalised(word: str) -> bool:
    return _UPPER.match(word) is not None


def _is_certain(word: str) -> bool:
    """Whether a word is an acronym, an identifier, or has a capital inside."""
    letters = _LETTER.search(word)
    if letters is None:
        return False
    if _DIGIT.search(word):
        return _UPPER.search(word) is not None or not _LETTER.match(word[-1])
    return _UPPER.search(word, 1) is not None


def _capitalised_inside(text: str, language: str | None) -> frozenset[str]:
    """Words that are written with a capital where a sentence does not begin."""
    return frozenset(
        token.text
        for sentence in sentences(text, language)
        for index, token in enumerate(tokens(sentence))
        if index and _is_capitalised(token.text)
    )


@cache
def capitalises_nouns(language: str | None) -> bool:
    """Whether a language writes every noun with a capital; CLDR's names of units show it."""
    from babel import Locale, UnknownLocaleError

    try:
        locale = Locale.parse(language or "en")
    except (UnknownLocaleError, ValueError):
        return False
    units = ("duration-month", "duration-day", "length-meter", "mass-kilogram")
    shown = [str(locale.unit_display_names.get(unit, {}).get("long", "")) for unit in units]
    return all(_UPPER.match(name) for name in shown)


@cache
def _links(language: str | None) -> frozenset[str]:
    """Words in lower case within the names of countries, such as `of`, but those for `and`."""
    from babel import Locale, UnknownLocaleError

    try:
        locale = Locale.parse(language or "en")
    except (UnknownLocaleError, ValueError):
        return frozenset()
    lists = " ".join(
        str(part)
        for style in ("standard", "or", "unit")
        for part in locale.list_patterns.get(style, {}).values()
    )
    listing = set(regex.findall(r"[\p{L}]+", lists))
    inner = (
        word
        for name in locale.territories.values()
        for word in regex.findall(r"(?<=\p{Lu}[\p{L}\p{M}]* )\p{Ll}+(?= \p{Lu})", name)
    )
    return frozenset(inner) - listing
