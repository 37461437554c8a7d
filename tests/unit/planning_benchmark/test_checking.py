"""The planning benchmark's check of answers."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.planning.checking import Expected, abstains, check


def right(answer: str, wanted: Any, question: str = "What is it?", **more: Any) -> bool:
    expected = Expected(question, Expected.of(wanted), **more)
    return check(answer, expected).right


@pytest.mark.parametrize(
    "answer",
    [
        "It is 1,126.",
        "It is 1126 [1].",
        "It is 1.126.",
        "It is **1 126**.",
        "It is 1'126 altogether.",
        "It is 1.126 thousand.",
        "1000 + 126 = 1126",
        r"\[ 1000 + 126 = 1{,}126 \]",
        "It is one thousand one hundred and twenty-six.",
        "It is ١١٢٦.",
    ],
)
def test_a_number_is_found_by_value(answer: str) -> None:
    assert right(answer, "1,126")


@pytest.mark.parametrize(
    "answer",
    [
        "It is 126.",
        "It is 11,126.",
        "It is 1,126.5.",
        "It is MR-1126.",
        "See [1126].",
        "1126-05-01",
    ],
)
def test_another_number_is_not_it(answer: str) -> None:
    assert not right(answer, "1,126")


@pytest.mark.parametrize(
    "answer, wanted, ok",
    [
        ("It costs €46.50 a day.", "46.50 €", True),
        ("It costs 46,50 Euro am Tag.", "46.50 €", True),
        ("It costs EUR 46.5.", "46.50 €", True),
        ("It costs 46.50.", "46.50 €", True),
        ("It costs 46.50 dollars.", "46.50 €", False),
        ("It costs $46.50.", "46.50 €", False),
        ("It is 12 percent.", "12 %", True),
        ("It is 12 days.", "12 %", False),
        ("It takes 19 days.", "19 days", True),
        ("It takes 19 minutes.", "19 days", False),
        ("It takes nineteen days.", "19 days", True),
        ("It is 4.78 percent.", "4.8 %", True),
        ("It is 5 percent.", "4.8 %", False),
        ("It is 4.1 million euros.", "4,100,000 €", True),
        ("It is €4.1m.", "4,100,000 €", True),
        ("It costs 120 in Estrand.", "120 €", True),
        ("It costs 120 all told.", "120 €", True),
        ("It weighs 1.9 kg.", "1.9 kg", True),
        ("It weighs 1.9 g.", "1.9 kg", False),
        ("At least 15 letters.", "15 characters", True),
        ("After 15 minutes.", "15 characters", False),
        ("It was -12 °C.", "12 °C", False),
        ("15ユーロです。", "15 €", True),
        ("75ユーロの補償", "75ユーロ", True),
    ],
)
def test_a_unit_must_not_be_another(answer: str, wanted: str, ok: bool) -> None:
    languages = ("en", "de", "ja")
    assert right(answer, wanted, languages=languages) is ok


@pytest.mark.parametrize(
    "answer, language, wanted",
    [
        ("Nach einundzwanzig Tagen.", "de", "21 days"),
        ("Il y en a cinquante-six.", "fr", "56"),
        ("Son dieciséis.", "es", "16"),
    ],
)
def test_words_are_numbers_in_the_languages_of_the_answer(
    answer: str, language: str, wanted: str
) -> None:
    assert right(answer, wanted, languages=("en", language))


@pytest.mark.parametrize(
    "answer",
    [
        "On 9 March 2026.",
        "On March 9th, 2026.",
        "Am 9. März 2026.",
        "Le 9 mars 2026.",
        "El 9 de marzo de 2026.",
        "2026-03-09",
        "9.3.2026",
        "09/03/2026",
        "2026年3月9日です。",
    ],
)
def test_a_date_is_found_in_its_forms(answer: str) -> None:
    assert right(answer, "9 March 2026", languages=("en", "de", "fr", "es", "ja"))


def test_a_date_is_another_one() -> None:
    assert not right("On 9 May 2026.", "9 March 2026")
    assert not right("On 9 March 2025.", "9 March 2026")
    assert not right("On 9 March.", "9 March 2026")
    assert right("On 9 March.", "9 March 2026", question="When in 2026?")
    assert not right("On 9 March 2026 or on 4 July 2026.", "9 March 2026")
    assert right(
        "280 days after 2 June 2025: 9 March 2026.", "9 March 2026", context="signed on 2 June 2025"
    )


def test_times() -> None:
    assert right("It closes at 6.30 p.m.", "18:30")
    assert right("Il ferme à 18 h 30.", "18:30")
    assert not right("It closes at 6.30 a.m.", "18:30")
    assert not right("It closes at 18.", "18:30")


def test_names_without_case_accents_and_punctuation() -> None:
    assert right("That is dr. REMEDIOS GALVAN.", "Remedios Galván")
    assert right("It is beacon h.", "BEACON-H")
    assert right("担当は山口真理子です。", "山口真理子")
    assert not right("That is Remedios Galvano.", "Remedios Galván")
    assert not right("That is Galván, Ana.", "Remedios Galván")


def test_each_element_and_one_form_of_it() -> None:
    wanted = ["Radion", ["Hollis Imaging", "Hollis"], "Tesmer"]
    assert right("Radion, Tesmer and Hollis.", wanted)
    assert not right("Radion and Hollis.", wanted)
    assert not right("Radion, Tesmer, Hollis and Medivane.", wanted, forbidden=("Medivane",))


def test_yes_begins_a_sentence() -> None:
    assert right("Yes, it is.", "yes")
    assert right("It is open. No.", "no")
    assert not right("It has no steps.", "no")


def test_most_words_of_a_long_text_and_all_its_numbers() -> None:
    wanted = "within 30 days after the patient has left the ward"
    assert right("You get it within 30 days after a patient has left the ward.", wanted)
    assert not right("You get it within 20 days after a patient has left the ward.", wanted)


def test_another_figure_contradicts() -> None:
    context = "In 2023 there were 1,274, in 2024 1,198."
    more = {"question": "How many fewer were there in 2024?", "context": context}
    assert right("There were 76 fewer.", "76", **more)
    assert right("1,274 in 2023 and 1,198 in 2024, so 76 fewer.", "76", **more)
    assert right("1,274 - 1,198 = 76", "76", **more)
    assert not right("There were 76 fewer, or 86.", "76", **more)
    assert not right("86 fewer. That is 76 more than ten.", "76", **more)
    assert right("76 fewer, which is 6 percent.", "76 children", **more)


def test_a_table_read_out_is_no_answer() -> None:
    context = "A costs 5 €. B costs 7 €. C costs 9 €."
    more = {"question": "What does B cost?", "context": context}
    assert right("A costs 5 €. B costs 7 €.", "7 €", **more)
    assert not right("A costs 5 €.\nB costs 7 €.\nC costs 9 €.", "7 €", **more)


def test_one_choice() -> None:
    choices = ("Quillmoor", "Estrand")
    assert right("In Estrand.", "Estrand", choices=choices)
    assert right("In Estrand. Quillmoor is dearer.", "Estrand", choices=choices)
    assert not right("In Quillmoor. Estrand is dearer.", "Estrand", choices=choices)
    assert not right("In Quillmoor and Estrand.", "Estrand", choices=choices)


@pytest.mark.parametrize(
    "answer, language",
    [
        ("The passages do not say what she earns.", "en"),
        ("The given passages don't mention it.", "en"),
        ("I cannot answer this from the documents.", "en"),
        ("There is no information about the pilot.", "en"),
        ("The pilot's name is not given.", "en"),
        ("The documents do not tell. They give the pay of pupils only, 1,340 €.", "en"),
        ("Dazu enthalten die Dokumente keine Angaben.", "de"),
        ("Die Miete ist nicht angegeben.", "de"),
        ("Les documents ne le mentionnent pas.", "fr"),
        ("El texto no menciona el precio.", "es"),
        ("文書には記載がありません。", "ja"),
        ("لا توجد معلومات عن ذلك.", "ar"),
    ],
)
def test_abstaining(answer: str, language: str) -> None:
    assert right(answer, None, languages=("en", language))


@pytest.mark.parametrize(
    "answer",
    [
        "She earns 9,000 €.",
        "She earns 9,000 €, I think. The passages do not mention bonuses.",
        "The pilot is Joe Bloggs.",
        "",
    ],
)
def test_not_abstaining(answer: str) -> None:
    assert not right(answer, None)
    assert not abstains(answer, Expected("What is it?", None))


def test_an_abstention_is_wrong_where_there_is_an_answer() -> None:
    question = "Which is cheaper, Quillmoor or Estrand?"
    assert not right(
        "The passages do not say whether Quillmoor or Estrand is.", "Estrand", question
    )
    # A sum that the passages do not state, and that the answer gives, is one.
    assert right("The passages do not state the sum, which is 836.", "836")
