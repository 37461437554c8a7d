"""Text to be spoken: without the signs of its markup, and with what is abbreviated written out.

`unmarked` is for every voice: it takes Markdown's signs and the marks of citations away, and keeps
every word. `written_out` is for voices that read letter by letter: NVIDIA NeMo's grammars, in
kitten-text-processing, say how times, dates, amounts, titles and ordinals are read in a language.
What they do not know stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

__all__ = ["unmarked", "written_out"]

_CITATION = re.compile(r"\s*\[\^?\d+(?:\s*[,;\u2013-]\s*\d+)*\]")
"""`[1]`, `[2, 3]`, `[^4]`: which source a sentence is from."""
_ROMAN = re.compile(r"\b(?=[IVX]{2})X{0,3}(?:IX|IV|V?I{0,3})\b")
"""Roman numerals of two signs or more; one alone is a word or an initial."""
_SIGNS = {"I": 1, "V": 5, "X": 10}
_LONGEST = 250
"""Characters of a sentence that is written out; what the grammars take grows with its length."""


def unmarked(text: str) -> list[str]:
    """The paragraphs, headings, items and rows of a Markdown text, as plain lines."""
    lines: list[str] = []
    cells: list[str] | None = None
    marker = ""
    for token in _markdown().parse(text):
        if token.type == "list_item_open" and token.info:
            marker = f"{token.info}{token.markup} "
        elif token.type == "tr_open":
            cells = []
        elif token.type == "tr_close" and cells is not None:
            lines.append(", ".join(cells))
            cells = None
        elif token.type in ("inline", "fence"):
            plain = _plain(token.children) if token.type == "inline" else token.content
            found = [_clean(line) for line in plain.split("\n")]
            if cells is not None:
                cells += filter(None, found)
                continue
            lines += [f"{marker}{found[0]}", *found[1:]]
            marker = ""
    return [line for line in lines if line.strip()]


def written_out(line: str, language: str) -> Iterator[str]:
    """The sentences of a line, as they are read out.

    Args:
        line: Text without line breaks.
        language: ISO 639 code.
    """
    import sentencex

    found: list[str] = sentencex.segment(language, line)  # pyright: ignore[reportAttributeAccessIssue]  # compiled
    for sentence in found:
        plain = _ROMAN.sub(lambda numeral: str(_value(numeral[0])), sentence.strip())
        if plain:
            yield _normalized(plain, language)


def _normalized(sentence: str, language: str) -> str:
    from kitten_text_processing import normalize_text

    if len(sentence) > _LONGEST:
        return sentence
    try:
        return normalize_text(sentence, locale=language)
    except (RuntimeError, ValueError):  # no grammar of the language, or no reading by it
        return sentence


@cache
def _markdown() -> MarkdownIt:
    # Indented text is text; tags are no markup here, so that no word between `<` and `>` is lost.
    rules = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    return rules.disable("code")


def _plain(tokens: Iterable[Token] | None) -> str:
    parts: list[str] = []
    for token in tokens or ():
        if token.type in ("text", "code_inline"):
            parts.append(token.content)
        elif token.type == "image":
            parts.append(_plain(token.children))
        elif token.type == "softbreak":
            parts.append(" ")
        elif token.type == "hardbreak":
            parts.append("\n")
    return "".join(parts)


def _clean(line: str) -> str:
    return " ".join(_CITATION.sub("", line).split())


def _value(numeral: str) -> int:
    values = [_SIGNS[sign] for sign in numeral]
    following = [*values[1:], 0]
    return sum(-a if a < b else a for a, b in zip(values, following, strict=True))
