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

import regex

__all__ = [
    "canonical",
    "components",
    "is_acronym",
    "key",
]

_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"))
_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'})
_ARTICLE = re.compile(r"^(?:the|a|an)\s+(?=\S)")
_POSSESSIVE = re.compile(r"'s?(?=\s|$)")
_NOT_A_WORD = re.compile(r"[^\w\s&+#%$€£/-]+")
_SPACED_DASH = re.compile(r"\s*-\s*")
_ACRONYM = regex.compile(r"(?:\p{Lu}\.?){2,8}")


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
    return _ACRONYM.fullmatch(name) is not None


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
