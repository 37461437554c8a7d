"""Names: when two spellings are one name, and which names are of one entity.

Invariants:

- `key` depends on the spelling alone, so whoever reads a name anywhere finds the same node: workers
  need no agreement, only a unique constraint on the key.
- Which keys are of one entity is computed from what the graph holds, and never written into it: it
  does not depend on the order in which documents came, and a document that leaves takes its aliases
  along.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

__all__ = [
    "canonical",
    "components",
    "is_acronym",
    "key",
    "stated_aliases",
]

_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"))
_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'})
_ARTICLE = re.compile(r"^(?:the|a|an)\s+(?=\S)")
_POSSESSIVE = re.compile(r"'s?(?=\s|$)")
_NOT_A_WORD = re.compile(r"[^\w\s&+#%$€£/-]+")
_SPACED_DASH = re.compile(r"\s*-\s*")
_ACRONYM = re.compile(r"^(?:[A-Z]\.?){2,8}$")
_SMALL = frozenset(
    {"of", "the", "and", "for", "in", "de", "la", "le", "du", "des", "on", "to", "&"}
)
_PARENTHESIS = re.compile(
    r"\b(?P<name>(?:[A-Z][\w'.&-]{0,40})(?:\s+(?:(?:of|the|and|for|in|de|la|&)\s+){0,2}[A-Z][\w'.&-]{0,40}){0,7})"
    r"\s*\(\s*(?:or\s+|the\s+|abbreviated\s+|also\s+)?[\"'“]?(?P<other>[A-Z][\w.&-]{1,9})[\"'”]?\s*[),;]"
)
_KNOWN_AS = re.compile(
    r"\b(?P<name>(?:[A-Z][\w'.&-]{0,40})(?:\s+[A-Z][\w'.&-]{0,40}){0,5})\s*,?\s*\(?"
    r"(?:(?:better|also|formerly|originally|commonly|professionally|popularly)\s+)"
    r"(?:known|called|referred to|credited)\s+(?:as|to as)?\s*[\"'“]?"
    r"(?P<other>(?:[A-Z][\w'.&-]{0,40})(?:\s+[A-Z][\w'.&-]{0,40}){0,5})"
)


def key(name: str) -> str:
    """The key of the entity that a name means by itself; empty where it has no letter or digit.

    Letter case, articles, possessives, punctuation, accents' encoding and spaces are no
    difference: `The United States'` and `united  states` have one key.
    """
    text = unicodedata.normalize("NFKC", name).translate(_DASHES).translate(_QUOTES).casefold()
    text = _SPACED_DASH.sub("-", text).strip()
    text = _POSSESSIVE.sub("", _ARTICLE.sub("", text))
    text = " ".join(_NOT_A_WORD.sub(" ", text).split()).strip("-/ ")
    return text[:256] if any(character.isalnum() for character in text) else ""


def is_acronym(name: str) -> bool:
    """Whether a name is capital letters only, such as `WHO` or `U.N.`."""
    return _ACRONYM.match(name) is not None


def stated_aliases(text: str) -> list[tuple[str, str]]:
    """Pairs of names that a text says are of one entity: `X (Y)`, `X, also known as Y`.

    In brackets only an abbreviation of the name before counts: letters of `Y` in order in `X`, its
    first letter at the beginning of a word (Schwartz and Hearst, 2003).
    """
    found: list[tuple[str, str]] = []
    for match in _PARENTHESIS.finditer(text):
        name, other = match["name"].strip(), match["other"].strip()
        if is_acronym(other) and (long := _long_form(name, other)):
            found.append((long, other))
    found += [(match["name"].strip(), match["other"].strip()) for match in _KNOWN_AS.finditer(text)]
    return [(name, other) for name, other in found if key(name) and key(name) != key(other)]


def _long_form(name: str, short: str) -> str | None:
    """The shortest end of `name` that `short` abbreviates."""
    letters = [letter.lower() for letter in short if letter.isalnum()]
    words = name.split()
    for first in range(len(words) - 1, -1, -1):
        candidate = " ".join(words[first:])
        if candidate[0].lower() != letters[0]:
            continue
        rest = iter(candidate.lower())
        if len(words) - first >= 2 and all(letter in rest for letter in letters):
            return candidate
    return None


def components(keys: Iterable[str], pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """For each key, the smallest key of those that `pairs` connect it with."""
    parent = {each: each for each in keys}

    def root(each: str) -> str:
        while parent[each] != each:
            parent[each] = parent[parent[each]]
            each = parent[each]
        return each

    for one, other in pairs:
        if one in parent and other in parent:
            first, second = sorted((root(one), root(other)))
            parent[second] = first
    return {each: root(each) for each in parent}


def canonical(spellings: Mapping[str, int]) -> list[str]:
    """The spellings of one entity, its canonical name first.

    That is the most frequent one that is no acronym, and among those the longest.
    """
    return sorted(
        spellings,
        key=lambda name: (is_acronym(name), -spellings[name], -len(name), name),
    )
