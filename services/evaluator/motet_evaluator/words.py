"""Words: what of a text counts when two texts are compared, by `motet.text`.

Words are compared by their stems in the text's language, quantities by value and unit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from functools import cached_property

from motet.text.folding import fold
from motet.text.grammar import function_words, grammar_words
from motet.text.languages import likely_language
from motet.text.numbers import quantities
from motet.text.quantity import Quantity
from motet.text.words import stem, tokens

__all__ = ["Words", "language_of_all", "share"]

_SAMPLE = 4000
"""Characters of each text by which a language is told."""


@dataclass(frozen=True)
class Words:
    """A text, taken apart once."""

    text: str
    language: str | None = None
    """None to find out."""

    @cached_property
    def quantities(self) -> list[Quantity]:
        """Its numbers with their units."""
        return quantities(self.text, self._language)

    @cached_property
    def stems(self) -> list[str]:
        """The stems of its words and the values and units of its quantities, in order."""
        return [stem for stem, _ in self._marked]

    @cached_property
    def content(self) -> list[str]:
        """Those that say something by themselves, in order, each as often as it is said."""
        return [stem for stem, says in self._marked if says]

    @cached_property
    def content_set(self) -> frozenset[str]:
        """The same, each once."""
        return frozenset(self.content)

    @cached_property
    def common(self) -> list[str]:
        """The stems of the words that every text has, in order."""
        return [stem for stem, says in self._marked if not says]

    @cached_property
    def personal(self) -> bool:
        """Whether it speaks of who writes or reads it, of whom no evidence tells."""
        pronouns = grammar_words("personal", self._language)
        return any(fold(token.text) in pronouns for token in tokens(self.text))

    @cached_property
    def _language(self) -> str | None:
        return self.language or likely_language(self.text)

    @cached_property
    def _marked(self) -> list[tuple[str, bool]]:
        return list(self._stems())

    def _stems(self) -> Iterator[tuple[str, bool]]:
        """Each stem, and whether it says something by itself."""
        common = function_words(self._language) | grammar_words("grammar", self._language)
        following = iter([*self.quantities, None])
        quantity = next(following)
        last = 0
        for token in tokens(self.text):
            while quantity is not None and quantity.start < token.end:
                yield from _keys(quantity)
                last, quantity = max(last, quantity.end), next(following)
            if token.start >= last:
                yield stem(token.text, self._language), fold(token.text) not in common
        while quantity is not None:
            yield from _keys(quantity)
            quantity = next(following)


def _keys(quantity: Quantity) -> Iterator[tuple[str, bool]]:
    named = quantity.kind in ("date", "time", "version")
    yield quantity.canonical if named else f"{quantity.value.normalize():f}", True
    if quantity.unit is not None:
        yield quantity.unit, True


def language_of_all(*texts: str) -> str | None:
    """The language that texts are likely in, of which one may be too short to tell."""
    return likely_language("\n".join(text[:_SAMPLE] for text in texts))


def share(part: Iterable[str], whole: Set[str]) -> float:
    """The share of `part` that is in `whole`; 1 where there is nothing to look for."""
    looked_for = list(part)
    if not looked_for:
        return 1.0
    return sum(each in whole for each in looked_for) / len(looked_for)
