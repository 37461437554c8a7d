"""Grammar: the classes of a language's common words, as far as data tells them.

`grammar_words.json` has four classes for a dozen languages. In other languages they are empty, and
what asks for them must then be the stricter.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Literal

from motet.text.folding import fold
from motet.text.languages import base_language

__all__ = ["function_words", "grammar_words"]


@cache
def grammar_words(
    kind: Literal["grammar", "limiting", "asking", "personal"], language: str | None
) -> frozenset[str]:
    """Words of one class, folded: for grammar alone, limiting, asking, or personal pronouns."""
    text = files("motet.text").joinpath("grammar_words.json").read_text(encoding="utf-8")
    words: str = json.loads(text)[kind].get(_listed_as(language), "")
    return frozenset(map(fold, words.split()))


@cache
def function_words(language: str | None) -> frozenset[str]:
    """Words that every text has, folded; a large list, for which one too many is but a doubt."""
    import stopwordsiso

    return frozenset(fold(word) for word in stopwordsiso.stopwords(_listed_as(language)))


def _listed_as(language: str | None) -> str:
    base = base_language(language) or ""
    return {"nb": "no", "nn": "no"}.get(base, base)
