"""Names that a text says are of one entity."""

from __future__ import annotations

import time

import pytest

from motet_graph import names
from motet_graph.extraction.aliases import qualified, stated_aliases


@pytest.mark.parametrize(
    "text, pairs",
    [
        (
            "The Environmental Protection Agency (EPA) said so.",
            [("Environmental Protection Agency", "EPA")],
        ),
        ("The World Health Organization (WHO), in Geneva", [("World Health Organization", "WHO")]),
        ("He moved to Paris (France) in May.", []),
        ("Acme (XYZ) is a company.", []),
        (
            "Marion Morrison, better known as John Wayne, acted.",
            [("Marion Morrison", "John Wayne")],
        ),
        ("Eva Lund, aka Blue Fox, sings in Malmö every week.", [("Eva Lund", "Blue Fox")]),
        ("Eva Lund a.k.a. Blue Fox sings in Malmö every week.", [("Eva Lund", "Blue Fox")]),
        ("Quay Partners (formerly Mole Group) built it.", [("Quay Partners", "Mole Group")]),
        ("Quay Partners, formerly Mole Group, built it.", [("Quay Partners", "Mole Group")]),
        ("Quay Partners was formerly called Mole Group.", [("Quay Partners", "Mole Group")]),
        ("In Malmö, Eva Lund is known as Blue Fox.", [("Eva Lund", "Blue Fox")]),
        (
            "Die Kai Werft AG (früher Mole Bau) baut seit drei Jahren Schiffe.",
            [("Kai Werft AG", "Mole Bau")],
        ),
        (
            "Завод «Северный кит», также известный как «Полюс», строит суда для рыбаков.",
            [("Северный кит", "Полюс")],
        ),
        (
            "Генеральная Лига Яхтсменов (ГЛЯ) была основана в прошлом году в городе.",
            [("Генеральная Лига Яхтсменов", "ГЛЯ")],
        ),
    ],
)
def test_aliases_that_a_text_states(text: str, pairs: list[tuple[str, str]]) -> None:
    found = stated_aliases(text)
    assert [(names.key(a), names.key(b)) for a, b in found] == [
        (names.key(a), names.key(b)) for a, b in pairs
    ]


@pytest.mark.parametrize(
    "text, pairs",
    [
        (
            "Eva Lund leads Quay Partners, also known as Mole Group. Eva Lund was born in Bergen.",
            [("Quay Partners", "Mole Group")],
        ),
        ("He lives in Bergen. Eva Lund, also known as Fox, sings.", [("Eva Lund", "Fox")]),
        ("She works at Acme Inc. Eva Lund, known as Fox, is there.", [("Eva Lund", "Fox")]),
    ],
)
def test_no_name_goes_on_over_the_end_of_a_sentence(
    text: str, pairs: list[tuple[str, str]]
) -> None:
    assert stated_aliases(text) == pairs


@pytest.mark.parametrize(
    "text",
    [
        "Eva Lund, formerly Head of Sales at Acme, left.",
        "Eva Lund, formerly of Acme, left.",
        "Eva Lund, who was born in Malmö, is also known as Blue Fox.",
        "The LUX (Lena Ursula Xaver) is ours, and its price is known to all.",
    ],
)
def test_what_does_not_name_the_same_is_no_alias(text: str) -> None:
    assert stated_aliases(text) == []


def test_who_lived_then_is_told_from_others() -> None:
    assert stated_aliases("Eva Lund (3 May 1850 – 1 June 1910) was a painter in Malmö.") == [
        ("Eva Lund (1850–1910)", "Eva Lund")
    ]
    assert stated_aliases("Eva Lund (pages 10 – 20) wrote it.") == []


def test_the_bare_name_of_a_title() -> None:
    assert qualified("Eva Lund (painter)") == "Eva Lund"
    assert qualified("Eva Lund") is None


def test_hostile_text_is_read_in_time() -> None:
    for text in ("A, aka " * 3_000, "A (B" * 5_000, "(1850–1910" * 2_000, "A known as " * 2_000):
        begun = time.perf_counter()
        stated_aliases(text)
        assert time.perf_counter() - begun < 5, text[:10]
