"""Names: told by capitals, digits and quotation marks, not by lists of words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.text.names import names


@pytest.mark.parametrize(
    "text, expected",
    [
        ("Nora Byrne leads Harbour Works in Cork.", ["Nora Byrne", "Harbour Works", "Cork"]),
        ("The pump KX-200 was approved by the FDA.", ["KX-200", "FDA"]),
        ("She works at the Bank of Norway.", ["Bank of Norway"]),
        ("It runs on iOS and on macOS.", ["iOS", "macOS"]),
        ("Kiel is large. People like Kiel.", ["Kiel"]),
        ("Die Probezeit der Nord GmbH dauert lange.", ["Nord GmbH"]),
        ("Нора Бирн руководит портом в Киеве.", ["Нора Бирн", "Киеве"]),
        ("Η Νόρα Μπερν ζει στον Πειραιά.", ["Νόρα Μπερν", "Πειραιά"]),
        ("ノラ・バーンはESAで「星の地図」を作った。", ["ノラ・バーン", "ESA", "星の地図"]),
    ],
)
def test_names_in_many_scripts(text: str, expected: list[str]) -> None:
    assert names(text) == expected


def test_a_name_does_not_go_on_over_the_end_of_a_sentence() -> None:
    found = names("They live in Kiel. Nora Byrne sings. They also met Hafen Group.")
    assert found == ["Kiel", "Nora Byrne", "Hafen Group"]


def test_a_german_noun_is_no_name() -> None:
    assert names("Der Hausmeister prüft den Aufzug im Frühjahr.", "de") == []


@given(st.text(alphabet="aB. É1-'\n«»ア", max_size=60))
def test_every_name_is_in_the_text(text: str) -> None:
    for name in names(text, "en"):
        assert name in text
