"""Words: tokens where they stand, stems by language, and terms to compare by."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.text.words import coverage, stem, stop_words, term_list, terms, tokens, words


@given(st.text(max_size=60))
def test_every_token_stands_where_it_says(text: str) -> None:
    place = 0
    for token in tokens(text):
        assert text[token.start : token.end] == token.text
        assert token.start >= place
        place = token.end


@pytest.mark.parametrize(
    "text, whole",
    [
        ("Use release 4.12.1 now", "4.12.1"),
        ("The KX-200 pump", "KX-200"),
        ("since 2024-06-30 only", "2024-06-30"),
        ("for 1,250.50 euros", "1,250.50"),
        ("the B2B shop", "B2B"),
    ],
)
def test_what_has_digits_is_whole(text: str, whole: str) -> None:
    assert whole in words(text)


def test_compounds_and_elisions_are_their_parts() -> None:
    assert words("a non-smoking room") == ["a", "non", "smoking", "room"]
    assert words("l'ascenseur d'Oslo") == ["l", "ascenseur", "d", "Oslo"]


@pytest.mark.parametrize(
    "language, first, second",
    [
        ("en", "inspections", "inspection"),
        ("de", "Häusern", "Haus"),
        ("fr", "nationales", "national"),
        ("es", "ascensores", "ascensor"),
        ("sv", "hissarna", "hissar"),
        ("ru", "лифты", "лифта"),
        ("nb", "heisene", "heisen"),
        ("ar", "المدرسة", "مدرسة"),
    ],
)
def test_forms_of_a_word_have_one_stem(language: str, first: str, second: str) -> None:
    assert stem(first, language) == stem(second, language)


def test_stems_are_the_same_in_every_thread() -> None:
    listed = ["inspections", "running", "happily", "national", "conditional"] * 200
    alone = [stem.__wrapped__(word, "en") for word in listed]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda word: stem.__wrapped__(word, "en"), listed))
    assert together == alone


def test_unicode_forms_and_letter_case_are_no_difference() -> None:
    decomposed = "Mu\u0308nchen"
    assert terms(decomposed, "de") == terms("MÜNCHEN", "de")
    assert terms("ﬁnance", "en") == terms("finance", "en")


def test_numbers_have_one_form_by_their_language() -> None:
    assert "1850.5" in terms("1,850.50 seats", "en")
    assert "1850.5" in terms("1.850,50 Plätze", "de")
    assert "1850" in terms("1 850 miejsc".replace(" ", "\u00a0"), "pl") | {"1850"}
    assert "1850" in terms("١٨٥٠ مقعد", "ar")


def test_words_that_say_nothing_are_no_terms() -> None:
    assert terms("Wie hoch ist die Gebühr?", "de") == terms("hoch Gebühr", "de")
    assert "help" not in stop_words("en")
    assert "work" not in stop_words("en")
    assert stop_words("nb") == stop_words("no")
    assert stop_words(None) == frozenset()


@pytest.mark.parametrize(
    "language, noun, sentence, other",
    [
        ("zh", "变压器", "变压器每年六月检查一次。", "锅炉每年六月检查一次。"),
        ("ja", "変圧器", "変圧器は毎年六月に点検します。", "貯水槽は毎年六月に点検します。"),
        ("ko", "변압기", "변압기는 매년 유월에 점검한다.", "보일러는 매년 유월에 점검한다."),
        ("th", "หม้อแปลง", "ตรวจสอบหม้อแปลงทุกปี", "ตรวจสอบปั๊มน้ำทุกปี"),
    ],
)
def test_a_noun_is_found_where_spaces_do_not_part_words(
    language: str, noun: str, sentence: str, other: str
) -> None:
    assert coverage(noun, sentence, language) == 1
    assert coverage(noun, other, language) < 0.5


def test_coverage_is_the_share_of_the_question() -> None:
    assert coverage("lift inspection", "The lift is inspected.", "en") == 1
    assert coverage("lift repair", "The lift is inspected.", "en") == 0.5
    assert coverage("is the", "anything", "en") == 1


def test_a_question_is_compared_in_the_language_of_the_text() -> None:
    text = "Die Aufzüge werden jedes Frühjahr von einer Fachfirma geprüft."
    assert coverage("Aufzug Prüfung Frühjahr", text) > 0.6


def test_terms_keep_order_and_count() -> None:
    assert term_list("lift, pump, lift", "en") == ["lift", "pump", "lift"]
