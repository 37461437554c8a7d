"""Words: stems in the language of the text, and quantities by value."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motet_evaluator.words import Words, language_of_all, share


@pytest.mark.parametrize(
    "text, language, content",
    [
        ("It is the ferry of the island.", "en", ["ferri", "island"]),
        ("Die Fähre der Insel", "de", ["fahr", "insel"]),
        ("the ferry takes 40 minutes", "en", ["ferri", "take", "40", "minute"]),
        ("on 1 May 2024", "en", ["2024-05-01"]),
        ("in release 3.2.10", "en", ["releas", "3.2.10"]),
        ("for €1,250.00", "en", ["1250", "EUR"]),
        ("three boats", "en", ["3", "boat"]),
        ("Yes, of course.", "en", []),
        ("Ja, natürlich.", "de", []),
    ],
)
def test_what_says_something(text: str, language: str, content: list[str]) -> None:
    assert Words(text, language).content == content


@pytest.mark.parametrize(
    "text, language, personal",
    [
        ("I think we know.", "en", True),
        ("The ferry leaves.", "en", False),
        ("Ich weiß es.", "de", True),
        ("Jag vet.", "sv", True),
    ],
)
def test_who_speaks_of_himself(text: str, language: str, personal: bool) -> None:
    assert Words(text, language).personal is personal


@settings(deadline=None, max_examples=50)
@given(st.text(alphabet="aeinst BR129.,-€\n?é中", max_size=120))
def test_any_text_can_be_taken_apart(text: str) -> None:
    words = Words(text)
    assert sorted(words.content + words.common) == sorted(words.stems)
    assert words.content_set == set(words.content)


def test_the_language_is_told_by_all_texts_together() -> None:
    assert language_of_all("Oslo", "Die Fähre fährt jeden Tag um zwölf ab.") == "de"


def test_a_share_of_nothing_is_all() -> None:
    assert share([], set()) == 1.0
    assert share(["a", "b"], {"a"}) == 0.5
