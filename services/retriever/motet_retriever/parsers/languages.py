"""The language of a document, guessed from its prose (`motet.text.languages`)."""

from __future__ import annotations

import re

from motet.text.languages import language_of
from motet_retriever.parsers.parsed import Parsed, language_tag

__all__ = ["guessed"]

_WORD = re.compile(r"(?<![\w@/.])[^\W\d_]+(?:['’-][^\W\d_]+)*(?![\w@/])")
"""Words, and not names of files, addresses, or codes."""

SAMPLE = 4000
"""Characters that are looked at."""
MIN_LETTERS = 40
"""Of fewer, every guess is one."""


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
    language = language_of(sample)
    return language_tag(language) if language else None
