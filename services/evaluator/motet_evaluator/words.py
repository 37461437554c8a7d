"""Words: what of a text counts when two texts are compared.

Words are compared by stems, numbers by value. Nothing here knows a domain; the lists of words that
say nothing by themselves are English.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Set
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

__all__ = ["FUNCTION_WORDS", "NEGATIONS", "Figure", "Words", "share", "stem", "words_of"]

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?|\d+(?:[.,]\d+)*")
_FIGURE = re.compile(
    r"(?<![\w.])\d+(?:[.,]\d+)*(?:\s*(?P<scale>hundred|thousand|million|billion|bn|trillion)\b)?",
    re.IGNORECASE,
)
_VOWEL = re.compile(r"[aeiouy]")

_FUNCTION_WORDS = (
    "a about above after again all also am an and any are aren as at be because been before "
    "being below between both but by can could couldn d did didn do does doesn doing don down "
    "during each either else ever every few for from further get got had hadn has hasn have "
    "haven having he her here hers herself him himself his how however i if in indeed into is "
    "isn it its itself just ll m many may maybe me might mine more most much must my myself n "
    "need nor not now of off on once one only onto or other our ours ourselves out over own "
    "perhaps quite rather re really s same she should shouldn since so some such t than that "
    "the their theirs them themselves then there these they this those though through thus to "
    "too under until up upon us ve very was wasn we well were weren what when where whether "
    "which while who whom whose why will with within without won would wouldn yes yet you your "
    "yours yourself yourselves oh yeah ok okay hi hello no never none nothing nobody neither "
    "cannot "
)

FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
"""Words that carry grammar, talk or negation rather than a fact."""

_NEGATIONS = "no not never none nothing nobody neither nor without hardly barely"

NEGATIONS = frozenset(_NEGATIONS.split())

_PERSONAL = "i me my mine myself we us our ours ourselves you your yours"

PERSONAL = frozenset(_PERSONAL.split())
"""Words by which a text speaks of who writes or reads it, of whom no evidence tells."""

_UP_TO_TWENTY = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty"
)

NUMBER_WORDS = {word: float(value) for value, word in enumerate(_UP_TO_TWENTY.split())} | {
    "thirty": 30.0, "forty": 40.0, "fifty": 50.0, "sixty": 60.0, "seventy": 70.0,
    "eighty": 80.0, "ninety": 90.0, "hundred": 100.0, "thousand": 1000.0,
}  # fmt: skip

SCALES = {
    "hundred": 1e2,
    "thousand": 1e3,
    "million": 1e6,
    "billion": 1e9,
    "bn": 1e9,
    "trillion": 1e12,
}


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """A word without the endings of number, tense and degree.

    A light stemmer, after the S-stemmer of Harman, "How effective is suffixing?" (JASIS 42, 1991),
    with the endings -ed, -ing, -ly besides; it cuts nothing off a word that would be left short. A
    number in words is that number in digits.
    """
    if word in NUMBER_WORDS:
        return f"{NUMBER_WORDS[word]:g}"
    word = word.removesuffix("'s").removesuffix("’s")
    if len(word) > 4 and word.endswith("ies"):
        word = word[:-3] + "y"
    elif len(word) > 4 and word.endswith(("sses", "shes", "ches", "xes", "zes")):
        word = word[:-2]
    elif len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending, left in (("ing", 3), ("ed", 3), ("ly", 4)):
        rest = word[: -len(ending)]
        if word.endswith(ending) and len(rest) >= left and _VOWEL.search(rest):
            word = rest[:-1] if len(rest) > 3 and rest[-1] == rest[-2] not in "lsz" else rest
            break
    return word[:-1] if len(word) > 4 and word.endswith("e") else word


def words_of(text: str) -> list[str]:
    """The words and numbers of a text, in lower case, in order; `isn't` is `is` and `not`."""
    plain = text.lower().replace("’", "'").replace("n't", " not").replace("cannot", "can not")
    return _WORD.findall(plain)


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that a text gives in digits."""

    value: float
    step: float
    """The unit of its last digit: `12.5` has 0.1, `3 million` has 1,000,000."""
    scale: float = 1.0
    """What it was multiplied with: `3 million` has 1,000,000."""

    def states(self, other: float) -> bool:
        """Whether it is `other`, rounded to its own last digit."""
        return abs(self.value - other) <= self.step / 2 + 1e-9 * abs(other)


def figures_of(text: str) -> list[Figure]:
    """The numbers that a text gives in digits, with their scale: `1,250`, `12.5 %`, `3 million`."""
    found: list[Figure] = []
    for match in _FIGURE.finditer(text):
        digits = re.match(r"[\d.,]*\d", match[0])
        if digits is None:
            continue
        plain = re.sub(r",(?=\d{3}(?:\D|$))", "", digits[0]).replace(",", ".")
        if plain.count(".") > 1:  # a date or a version: its parts
            found += [Figure(float(part), 0.0) for part in plain.split(".")]
            continue
        scale = SCALES.get((match["scale"] or "").lower(), 1.0)
        decimals = len(plain.partition(".")[2])
        found.append(Figure(float(plain) * scale, scale * 10.0**-decimals, scale))
    return found


def numbers_of(text: str) -> set[float]:
    """The values of all numbers of a text, in digits and in words, with and without their scale."""
    figures = figures_of(text)
    found = {figure.value for figure in figures} | {
        figure.value / figure.scale for figure in figures
    }
    words = words_of(text)
    for word, after in pairwise((*words, "")):
        if word in NUMBER_WORDS:
            found |= {NUMBER_WORDS[word], NUMBER_WORDS[word] * SCALES.get(after, 1.0)}
    return found


@dataclass(frozen=True)
class Words:
    """A text, taken apart once."""

    text: str

    @cached_property
    def all(self) -> list[str]:
        """Its words, in order."""
        return words_of(self.text)

    @cached_property
    def stems(self) -> list[str]:
        """The stems of all its words, in order."""
        return [stem(word) for word in self.all]

    @cached_property
    def content(self) -> list[str]:
        """The stems of the words that say something, in order, each as often as it is said."""
        return [
            stem(word)
            for word in self.all
            if word not in FUNCTION_WORDS and word.partition("'")[0] not in FUNCTION_WORDS
        ]

    @cached_property
    def content_set(self) -> frozenset[str]:
        """The same, each once."""
        return frozenset(self.content)

    @cached_property
    def figures(self) -> list[Figure]:
        """The numbers that it gives in digits."""
        return figures_of(self.text)

    @cached_property
    def numbers(self) -> set[float]:
        """The values of all its numbers."""
        return numbers_of(self.text)

    @cached_property
    def negated(self) -> bool:
        """Whether it negates something; a `no` or `not really` before a statement does not."""
        words = self.all[1:] if self.all[:1] == ["no"] else self.all
        words = words[2:] if words[:2] == ["not", "really"] else words
        return any(word in NEGATIONS for word in words)

    @cached_property
    def personal(self) -> int:
        """How many of its words speak of who writes or reads it."""
        return sum(word.partition("'")[0] in PERSONAL for word in self.all)


def share(part: Iterable[str], whole: Set[str]) -> float:
    """The share of `part` that is in `whole`; 1 where there is nothing to look for."""
    looked_for = list(part)
    if not looked_for:
        return 1.0
    return sum(each in whole for each in looked_for) / len(looked_for)
