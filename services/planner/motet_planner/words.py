"""Words: comparing texts by their content words, numbers and names, without a model.

Everything here is deterministic and language-light: words are folded, common English words are
left out, and two words match when they share a stem.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from decimal import Decimal, InvalidOperation

__all__ = [
    "FIGURE",
    "coverage",
    "matches",
    "months",
    "names",
    "numbers",
    "quantities",
    "terms",
    "years",
]

_WORD = re.compile(r"[^\W_]+(?:[.,'’-][^\W_]+)*")
_STOP = frozenset(
    """
    a about above after again all also am amount an and any are as at be been before being below
    between both but by can could did do does doing done down during each few for from further
    get give given had has have having he her here hers him his how i if in into is it its
    itself just know let many may me more most much must my name need new no nor not now number
    of off on once one only or other our out over own per please same say says shall she should
    so some such tell than that the their them then there these they this those through to
    together too under until up us use used using very want was we were what when where which
    while who whom whose why will with would yes you your
    """.split()  # noqa: SIM905 - as a list it would have a line a word
)
"""Words that say nothing of what a question is about."""
_SUFFIXES = (
    "ations",
    "ation",
    "ings",
    "ing",
    "ies",
    "ied",
    "edly",
    "ed",
    "ers",
    "er",
    "es",
    "ly",
    "s",
    "e",
)


def _fold(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(char for char in decomposed if not unicodedata.combining(char)).casefold()


def _stem(word: str) -> str:
    word = re.sub(r"['’]s?$", "", word)
    if word.isascii() and word.isalpha():
        for suffix in _SUFFIXES:
            if word.endswith(suffix) and len(word) - len(suffix) >= 3:
                return word[: -len(suffix)]
    return word


def terms(text: str) -> set[str]:
    """Stems of the content words and numbers of a text."""
    folded = _fold(text)
    words = (part for word in _WORD.findall(folded) for part in _parts(word))
    return {
        _stem(word) for word in words if word not in _STOP and (len(word) > 1 or word.isdigit())
    }


def _parts(word: str) -> list[str]:
    if any(char.isdigit() for char in word):
        return [word.replace(",", "").replace("'", "")]
    return [part for part in re.split(r"[-.,]", word) if part]


def matches(term: str, words: Collection[str]) -> bool:
    """Whether a stem is among stems, or shares a long beginning with one of them."""
    if term in words:
        return True
    if len(term) < 5 or not term.isalpha():
        return False
    return any(len(word) >= 5 and (word[:5] == term[:5]) for word in words)


def coverage(question: str, text: str) -> float:
    """The share, 0 to 1, of a question's terms that a text has; 1 for a question without any."""
    wanted, have = terms(question), terms(text)
    return sum(matches(term, have) for term in wanted) / len(wanted) if wanted else 1.0


_SCALES = {
    "hundred": Decimal(100),
    "thousand": Decimal(1000),
    "k": Decimal(1000),
    "million": Decimal(10) ** 6,
    "millions": Decimal(10) ** 6,
    "mn": Decimal(10) ** 6,
    "billion": Decimal(10) ** 9,
    "bn": Decimal(10) ** 9,
    "trillion": Decimal(10) ** 12,
}
_SPELLED = {
    word: Decimal(value)
    for value, word in enumerate(
        (
            *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
            *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen"),
            *("seventeen", "eighteen", "nineteen", "twenty"),
        )
    )
}
FIGURE = rf"(?:\d[\d,.]*|\b(?:{'|'.join(_SPELLED)})\b)"
"""Pattern of one number, in digits or spelled."""
_QUANTITY = re.compile(
    r"""
    (?<![\w.]) (?P<sign> [-\u2212](?=\d) | minus\s )?
    (?P<digits> \d+(?:[,'\u2019\s]\d{3})+(?!\d)(?:\.\d+)? | \d+(?:\.\d+)? )
    (?: \s* (?P<scale> hundred|thousand|millions?|billion|trillion|mn|bn|k )\b )?
    | \b(?P<word> WORDS )\b (?: \s+ (?P<wscale> hundred|thousand|million|billion )\b )?
    """.replace("WORDS", "|".join(_SPELLED)),
    re.IGNORECASE | re.VERBOSE,
)


def quantities(text: str) -> list[Decimal]:
    """The numbers of a text in order, also spelled ones up to twenty; `2 million` is 2000000."""
    found: list[Decimal] = []
    for match in _QUANTITY.finditer(text):
        if word := match["word"]:
            value = _SPELLED[word.lower()]
        else:
            try:
                value = Decimal(re.sub(r"[^\d.]", "", match["digits"]))
            except InvalidOperation:  # pragma: no cover - the pattern yields numbers only
                continue
        scale = (match["scale"] or match["wscale"] or "").lower()
        value *= _SCALES.get(scale, Decimal(1))
        found.append(-value if match["sign"] else value)
    return found


def numbers(text: str) -> set[Decimal]:
    """The distinct numbers of a text, without their sign."""
    return {abs(value).normalize() for value in quantities(text)}


def names(text: str) -> set[str]:
    """Folded capitalised words that do not begin a sentence, and words with inner capitals."""
    found: set[str] = set()
    for match in re.finditer(r"[^\W\d_][\w’'-]*", text):
        word = match.group()
        before = text[: match.start()].rstrip("\"'(“‘*_ ")
        begins = not before or before[-1] in ".!?:\n]"
        if (word[0].isupper() and not begins and word != "I") or any(c.isupper() for c in word[1:]):
            found.add(_stem(_fold(word)))
    return found


_YEAR = re.compile(r"(?<![\d,.])(?:1\d|20|21)\d\d(?![\d]|[.,]\d)")
_MONTH = re.compile(
    r"\b(january|february|march|april|may|june|july|august|september|october|november|december)\b",
    re.IGNORECASE,
)


def years(text: str) -> set[str]:
    """The years from 1000 to 2199 of a text, which are numbers without a thousands separator."""
    return set(_YEAR.findall(text))


def months(text: str) -> set[str]:
    """The English months that a text names together with a number, such as a day or a year."""
    return {
        match.group().casefold()
        for match in _MONTH.finditer(text)
        if re.search(r"\d\D{0,3}$", text[: match.start()])
        or re.match(r"\D{0,3}\d", text[match.end() :])
    }
