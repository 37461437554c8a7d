"""Checks an answer against what is right: the same rules for every system that is measured.

Only the answer's text is looked at. What is right is a text, or a list of which each element must
be there; an element may itself be a list, of which one is enough. `None` means that the documents
hold no answer.

- A **number** is found by value, however it is written (`1,126`, `1.126`, `1126`, `1.1 thousand`,
  `twelve`), more digits are fine where they round to it, and its unit must not be another one:
  `120 dollars` is not `120 €`, `12 %` not `12 days`. A unit may be left out.
- A **date** or a **time** is found in any usual form; the year may be left out where the question
  names it.
- A **name** is found as a whole, without regard to case, accents and punctuation. Of a text of more
  than five words four fifths of the words are enough, if all its numbers are among them. A word of
  up to three letters, such as `Yes`, must begin a sentence.
- Where one number or date is asked for, another one **contradicts** it, and the answer is wrong:
  one of the same unit, that neither the question nor the documents with the answer have, and that
  is no operand or result in a calculation that is shown. The number must also stand where an
  answer does, in the first or the last sentence that has one of its unit: a table read out is no
  answer.
- `forbidden` elements must not be in the answer: other rows of a table where some are asked for.
- Of `choices` exactly one must be chosen: the only one that is named, else the only one in the
  first sentence that names just one.
- An answer **abstains** if its first sentence says that the documents do not tell, or if a later
  one does and the text has no number that the question lacks. The patterns are in
  `abstentions.json`. A question without an answer is done right by abstaining, and by nothing else.
  In other answers what is said in an abstaining sentence does not count, but a number that was
  wanted.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sentencex import segment

from benchmarks.planning.quantities import (
    CALENDAR,
    Day,
    Quantity,
    days_in,
    plain,
    quantities_in,
    spelled_in,
    times_in,
)

__all__ = ["Expected", "Verdict", "abstains", "check"]

PATTERNS = Path(__file__).with_name("abstentions.json")
LONG_NAME = 5
"""Words of a name over which most of them are enough."""
ENOUGH = 0.8
SHORT_WORD = 3


@dataclass(frozen=True)
class Expected:
    """What is right for one question."""

    question: str
    elements: tuple[tuple[str, ...], ...] | None
    """Each must be there, in one of its forms; None where the documents hold no answer."""
    forbidden: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    context: str = ""
    """The documents with the answer; what they say cannot contradict it."""
    languages: tuple[str, ...] = ("en",)
    """Languages that an answer may be written in."""

    @classmethod
    def of(cls, answer: object) -> tuple[tuple[str, ...], ...] | None:
        """The elements of an answer as files have it."""
        if answer is None or answer in ("", []):
            return None
        elements = answer if isinstance(answer, list) else [answer]
        return tuple(
            tuple(str(form) for form in each) if isinstance(each, list) else (str(each),)
            for each in elements
        )


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is right, and why not."""

    right: bool
    reason: str = ""


def check(answer: str, expected: Expected) -> Verdict:
    """Checks an answer; see the module."""
    if expected.elements is None:
        right = abstains(answer, expected)
        return Verdict(right, "" if right else "answers what the documents do not tell")
    stated = " ".join(
        sentence for sentence in _sentences(answer) if not _abstaining(sentence, expected.languages)
    )
    for forms in expected.elements:
        if not any(_holds(form, answer, stated, expected) for form in forms):
            return Verdict(False, f"lacks {' or '.join(forms)}")
    for form in expected.forbidden:
        if _holds(form, stated, stated, expected):
            return Verdict(False, f"has {form}")
    if expected.choices:
        chosen = _chosen(stated, expected)
        right = any(chosen == form for form in expected.elements[0])
        return Verdict(right, "" if right else f"chooses {chosen or 'none or several'}")
    if len(expected.elements) == 1 and (other := _contradiction(stated, expected)):
        return Verdict(False, f"has {other} beside what is right")
    return Verdict(True)


def abstains(answer: str, expected: Expected) -> bool:
    """Whether an answer says that the documents do not tell."""
    sentences = _sentences(answer)
    said = [_abstaining(sentence, expected.languages) for sentence in sentences]
    if not any(said):
        return False
    if said[0]:
        return True
    asked = spelled_in(expected.question, expected.languages)
    return all(
        any(asked_for.gives(each) for asked_for in asked)
        for each in quantities_in(answer, expected.languages)
    )


# Elements


def _holds(form: str, answer: str, stated: str, expected: Expected) -> bool:
    languages = expected.languages
    if re.fullmatch(r"\d{1,2}:\d{2}", form):
        return times_in(form) <= times_in(answer)
    if (day := _day(form, languages)) is not None:
        return any(_same_day(day, found, expected) for found in days_in(answer, languages))
    if (wanted := _quantity(form, languages)) is not None:
        # A year, or a number that the question has as well, must be stated, not just named.
        asked = any(each.gives(wanted) for each in quantities_in(expected.question, languages))
        text = stated if asked else answer
        counted = not wanted.units and any(word[0].isalpha() for word in _words(form))
        return any(
            found.gives(wanted)
            for found in spelled_in(text, languages)
            if not (counted and found.units)  # 15 minutes are not 15 characters
        )
    return _named(form, stated)


def _day(form: str, languages: Sequence[str]) -> Day | None:
    found = days_in(form, languages)
    if len(found) == 1 and len(_words(form)) <= 4:
        return min(found[0], key=lambda each: (each.month, each.day))
    return None


def _same_day(wanted: Day, found: frozenset[Day], expected: Expected) -> bool:
    for each in found:
        if (each.month, each.day) == (wanted.month, wanted.day):
            if wanted.year is None or each.year == wanted.year:
                return True
            if each.year is None and str(wanted.year) in expected.question:
                return True
    return False


def _quantity(form: str, languages: Sequence[str]) -> Quantity | None:
    if len(_words(form)) > LONG_NAME:
        return None
    found = quantities_in(form, languages)
    begins = re.match(r"\W*\d|[^\W\d]{3}\s?\d", form) is not None
    if not found and (found := spelled_in(form, languages)):
        begins = spelled_in(form.split(maxsplit=1)[0], languages) != []
    return found[0] if len(found) == 1 and begins else None


def _named(form: str, text: str) -> bool:
    wanted = _words(form)
    if not wanted:
        return False
    if len(wanted) == 1 and len(wanted[0]) <= SHORT_WORD and wanted[0].isalpha():
        return any(_words(sentence)[:1] == wanted for sentence in _sentences(text))
    words = _words(text)
    if any(not _spaced(word) for word in wanted):
        return "".join(wanted) in "".join(words)
    if any(words[at : at + len(wanted)] == wanted for at in range(len(words) - len(wanted) + 1)):
        return True
    if len(wanted) <= LONG_NAME:
        return False
    there = set(words)
    numbers = [word for word in wanted if word[0].isdigit()]
    share = sum(word in there for word in wanted) / len(wanted)
    return share >= ENOUGH and all(word in there for word in numbers)


def _words(text: str) -> list[str]:
    """The words of a text without case, accents and punctuation."""
    letters = unicodedata.normalize("NFKD", plain(text)).casefold()
    letters = "".join(each for each in letters if not unicodedata.combining(each))
    return re.findall(r"[^\W_]+", letters)


def _spaced(word: str) -> bool:
    """Whether a word's script puts spaces between words."""
    return not any(
        unicodedata.name(each, "").startswith(("CJK", "HIRAGANA", "KATAKANA", "THAI"))
        for each in word
    )


# Contradictions and choices


def _contradiction(stated: str, expected: Expected) -> str | None:
    languages = expected.languages
    forms = (expected.elements or ((),))[0]
    known = f"{expected.question}\n{expected.context}"
    days = [_day(form, languages) for form in forms]
    if any(day is not None for day in days):
        allowed = {each for found in days_in(known, languages) for each in found}
        allowed |= {day for day in days if day is not None}
        bare = {(each.month, each.day) for each in allowed}
        for found in days_in(stated, languages):
            if not any((each.month, each.day) in bare for each in found):
                each = min(found, key=lambda day: (day.month, day.day))
                return f"{each.day}/{each.month}"
        return None
    wanted = [each for form in forms if (each := _quantity(form, languages)) is not None]
    if not wanted:
        return None
    if not _concluding(stated, wanted, languages):
        return "other numbers"
    allowed_numbers = spelled_in(known, languages)
    for found in quantities_in(stated, languages):
        if found.calculated or CALENDAR in found.units:
            continue
        if not any(found.rivals(each) for each in wanted):
            continue
        if any(found.gives(each) or each.gives(found) for each in wanted):
            continue
        if not any(each.gives(found) for each in allowed_numbers):
            return str(min(found.values))
    return None


def _concluding(stated: str, wanted: Sequence[Quantity], languages: Sequence[str]) -> bool:
    """Whether a wanted number stands in the first or the last sentence with one of its unit."""
    having = [
        found
        for sentence in _sentences(stated)
        if (
            found := [
                each
                for each in spelled_in(sentence, languages)
                if any(each.rivals(other) for other in wanted)
            ]
        )
    ]
    return not having or any(
        each.gives(other) for found in (having[0], having[-1]) for each in found for other in wanted
    )


def _chosen(text: str, expected: Expected) -> str | None:
    def named(part: str) -> list[str]:
        return [choice for choice in expected.choices if _holds(choice, part, part, expected)]

    if len(only := named(text)) == 1:
        return only[0]
    for sentence in _sentences(text):
        if len(only := named(sentence)) == 1:
            return only[0]
    return None


# Sentences


def _sentences(text: str) -> list[str]:
    return [
        sentence.strip()
        for line in text.splitlines()
        for sentence in segment("en", re.sub(r"(?<=[\u3002\uff01\uff1f])", " ", line))
        if sentence.strip()
    ]


def _abstaining(sentence: str, languages: Sequence[str]) -> bool:
    said = plain(sentence).casefold()
    return any(pattern.search(said) for pattern in _patterns(tuple(languages)))


@cache
def _patterns(languages: tuple[str, ...]) -> list[re.Pattern[str]]:
    by_language = json.loads(PATTERNS.read_text())
    return [re.compile(each) for language in languages for each in by_language.get(language, [])]
