"""Sentences: literal pieces, cut where a sentence ends in its language."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.text.sentences import sentences


@pytest.mark.parametrize(
    "text, pieces",
    [
        ("Mr. Low paid $2.5 million. He left on Jan. 7.", 2),
        ("Die Gebühr beträgt z. B. 1.250,50 €. Sie gilt ab 1. Mai 2024.", 2),
        ("Le tarif est de 12,50 €. M. Petit paie.", 2),
        ("水泵每年检查一次。阀门呢？不用。", 3),
        ("ポンプは毎年点検します。弁は違います。", 2),
        ("هل المضخة جاهزة؟ نعم. تعمل الآن.", 3),
        ("यह पंप पुराना है। वह नया है।", 2),
        ("Bring:\n- a passport\n- a photo\n- proof of address", 4),
        ("Take\nthe first door\non the left. Then wait.", 2),
        ("| Item | Price |\n|---|---|\n| Lamp | 12.00 |\n\nAsk us.", 4),
        ("# Fees\nThe fee is due in May.", 2),
    ],
)
def test_sentences_in_many_languages(text: str, pieces: int) -> None:
    assert len(sentences(text)) == pieces


LETTERS = "aB .!?\n-|#。؟1é"


@given(st.text(alphabet=LETTERS, max_size=80))
def test_every_piece_is_literal_and_in_order_and_nothing_is_lost(text: str) -> None:
    place = 0
    for piece in sentences(text, "en"):
        found = text.index(piece, place)
        assert not text[place:found].strip()
        place = found + len(piece)
    assert not text[place:].strip()
