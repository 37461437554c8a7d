"""Support: what evidence states is FULL, and what it states otherwise never is."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from babel.dates import format_date
from babel.numbers import format_currency, format_decimal
from hypothesis import given, settings
from hypothesis import strategies as st

from motet.text.support import Degree, support_of

PRICES = """
| Item | Price | Weight |
|---|---|---|
| Steel lamp | 129.00 | 4 kg |
| Brass lamp | 185.50 | 6 kg |
"""


@pytest.mark.parametrize(
    "statement, evidence",
    [
        ("The rent rises on 3 May 2026.", "The rent rises on 2026-05-03."),
        ("The rent rises on 2026-05-03.", "The rent rises on May 3rd, 2026."),
        ("Nora was born on February 9, 1971.", "Nora was born on Feb 9, 1971."),
        ("The yard was sold for 7.2 million euros.", "The yard was sold for €7.2m."),
        ("The library has 310,000 books.", "The library has 310k books."),
        ("The steel lamp costs 129 euros.", "| Steel lamp | 129.00 |"),
        ("The steel lamp costs 129.", "| Item | Price |\n|---|---|\n| Steel lamp | 129.00 |"),
        ("The steel lamp weighs 4 kg.", PRICES),
        ("The fee is 40 euros.", "Fee: €40"),
        ("The gate closes at 5:30 pm.", "The gate closes at 17:30."),
        ("The lease runs for nine months.", "The lease runs for 9 months."),
        ("The frost reached -7 °C.", "The frost reached −7 °C."),
        ("Nora Byrne lives in Cork.", "Nora Byrne, a potter from Galway, lives in Cork."),
        ("Full members pay 40 euros.", "Full members pay 40 euros, and guests 55 euros."),
        ("The depot is in Kiel.", "It is small. The depot is in Kiel. It has a crane."),
        ("The hall was built in 2017.", "The hall was built in June 2017."),
        ("The office of Hafen Group is in Kiel.", "The Hafen Group office is in Kiel."),
        ("Die Frist endet am 3. Mai 2026.", "Die Frist endet am 03.05.2026."),
        ("Der Vertrag läuft 9 Monate.", "Der Vertrag läuft neun Monate."),
        ("Le prix est de 1250 euros.", "Le prix est de 1 250,00 €."),
        ("La licencia cuesta 40 euros.", "La licencia cuesta 40 €."),
        ("Avgiften är 4 500 kronor.", "Avgiften är 4500 SEK."),
        ("Il contratto dura nove mesi.", "Il contratto dura 9 mesi."),
        ("Umowa trwa dziewięć miesięcy.", "Umowa trwa 9 miesięcy."),
        ("Договор действует 9 месяцев.", "Договор действует девять месяцев."),
        ("点検は九月に行います。", "点検は九月に行います。費用は会社が負担します。"),
    ],
)
def test_what_is_stated(statement: str, evidence: str) -> None:
    support = support_of(statement, evidence)
    assert support.degree is Degree.FULL, support


@pytest.mark.parametrize(
    "statement, evidence",
    [
        ("The frost reached 7 degrees.", "The frost reached -7 degrees."),
        ("The crate weighs 30 kg.", "The crate weighs 30 g."),
        ("The mast is 21 feet high.", "The mast is 21 metres high."),
        ("The seat costs 700 SEK.", "The seat costs 700 dollars."),
        ("The seat costs $700.", "The seat costs €700."),
        ("The probe was built by NASA.", "The probe was built by JAXA."),
        ("It is mended in version 3.10.2.", "It is mended in version 3.2.10."),
        ("The lease ends on 3 June 2026.", "The lease ends on 3 May 2026."),
        ("The valve bears 9 bar.", "The valve bears 9 psi."),
    ],
)
def test_a_number_unit_or_name_that_is_nowhere_is_wrong(statement: str, evidence: str) -> None:
    support = support_of(statement, evidence)
    assert support.degree is Degree.WRONG, support
    assert support.reason


@pytest.mark.parametrize(
    "statement, evidence",
    [
        ("A name has at most 30 letters.", "A name has at least 30 letters."),
        ("Guests may use the gym.", "Guests may never use the gym."),
        ("Guests never use the gym.", "Guests may use the gym."),
        ("Pay before 3 May 2026.", "Pay after 3 May 2026."),
        ("More than 70 ships called.", "Fewer than 70 ships called."),
        ("The fee is refundable.", "The fee is non-refundable."),
        ("The pool is heated.", "The pool is unheated."),
        ("Hafen Ltd bought Works Ltd.", "Works Ltd bought Hafen Ltd."),
        ("Ferries go from Kiel to Oslo.", "Ferries go from Oslo to Kiel."),
        ("All teams get a laptop.", "All teams except trainees get a laptop."),
        ("All teams get a laptop.", "All teams get a laptop, except trainees."),
        ("All teams get a laptop.", "No teams get a laptop."),
        (
            "The yearly pay of a clerk is 30,000 euros.",
            "The monthly pay of a clerk is 30,000 euros.",
        ),
        ("Ben got 40 euros.", "Ann got 40 euros and Ben got 55 euros."),
        ("Ben got 40 euros.", "Ann got 40 euros. Ben got 55 euros."),
        ("Ben got 40 euros.", "Ann and Ben got 40 and 55 euros."),
        ("The ticket costs 40 euros.", "The ticket costs 40-55 euros."),
        ("The ticket costs 40 euros.", "The ticket costs 40 to 55 euros."),
        ("The brass lamp costs 129 euros.", PRICES),
        ("Parking is free.", "Parking is free only on Sundays."),
        ("Lehrlinge erhalten einen Zuschuss.", "Lehrlinge erhalten keinen Zuschuss."),
        ("Die Gebühr beträgt höchstens 40 Euro.", "Die Gebühr beträgt mindestens 40 Euro."),
        ("Le billet est remboursable.", "Le billet n'est pas remboursable."),
        ("La cafetería abre antes de las 9.", "La cafetería abre después de las 9."),
        ("Hunden får komma in.", "Hunden får inte komma in."),
        ("Собаки допускаются.", "Собаки не допускаются."),
        ("駐車は無料です。", "駐車は無料ではありません。"),
        ("费用可退。", "费用不可退。"),
        ("يُسمح بالتدخين", "لا يُسمح بالتدخين"),
    ],
)
def test_what_is_stated_otherwise_is_unclear(statement: str, evidence: str) -> None:
    support = support_of(statement, evidence)
    assert support.degree is Degree.UNCLEAR, support
    assert support.reason


def test_what_the_question_says_needs_no_evidence() -> None:
    statement = "The monthly fee for guests of the pool is 40 euros."
    evidence = "The fee is 40 euros."
    assert support_of(statement, evidence).degree is Degree.UNCLEAR
    asked = support_of(statement, evidence, known="What is the monthly fee for guests of the pool?")
    assert asked.degree is Degree.FULL


def test_what_the_question_says_does_not_hide_that_the_evidence_says_otherwise() -> None:
    statement = "The monthly pay of a clerk is 30,000 euros."
    support = support_of(
        statement,
        "The yearly pay of a clerk is 30,000 euros.",
        known="What is the monthly pay of a clerk?",
    )
    assert support.degree is Degree.UNCLEAR
    assert support.otherwise


def test_a_computed_number_may_be_known() -> None:
    assert support_of("It is 12 more.", "There were 40, then 52.").degree is Degree.WRONG
    assert support_of("It is 12 more.", "There were 40, then 52.", known="12").degree > Degree.WRONG


@pytest.mark.parametrize(
    "statement, evidence",
    [
        ("The hall opened in 1990.", "The hall opened in 1989."),
        ("The hall has 900 seats.", "The hall has 905 seats."),
        ("The hall has 12.5 rows.", "The hall has 12.6 rows."),
    ],
)
def test_a_number_near_by_is_no_rounded_one(statement: str, evidence: str) -> None:
    assert support_of(statement, evidence).degree is Degree.WRONG


def test_a_rounded_number_is_not_wrong_and_not_plain() -> None:
    support = support_of("The city has 3.5 million people.", "The city has 3,512,440 people.")
    assert support.degree is Degree.UNCLEAR


def test_the_least_supported_sentence_decides() -> None:
    evidence = "The fee is 40 euros. The lamp is red."
    assert support_of("The fee is 40 euros. The lamp is red.", evidence).degree is Degree.FULL
    assert support_of("The fee is 40 euros. The lamp costs 9.", evidence).degree is Degree.WRONG


def test_no_statement_and_no_evidence_are_unclear() -> None:
    assert support_of("", "The fee is 40 euros.").degree is Degree.UNCLEAR
    assert support_of("...", "The fee is 40 euros.").degree is Degree.UNCLEAR
    assert support_of("The fee is due.", "").degree is Degree.UNCLEAR


FRAMES = {
    "en": "The fee for the large hall is {}.",
    "de": "Die Gebühr für den großen Saal beträgt {}.",
    "fr": "Le prix de la grande salle est de {}.",
    "es": "El precio de la sala grande es de {}.",
    "sv": "Avgiften för den stora salen är {}.",
    "pl": "Opłata za dużą salę wynosi {}.",
}


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(sorted(FRAMES)),
    st.decimals(min_value=2, max_value=99_999, places=2),
    st.decimals(min_value=2, max_value=99_999, places=2),
)
def test_an_amount_is_stated_however_it_is_written_and_another_one_never(
    language: str, amount: Decimal, other: Decimal
) -> None:
    frame = FRAMES[language]
    evidence = frame.format(format_currency(amount, "EUR", locale=language))
    written = f"{format_decimal(amount, locale=language)} EUR"
    assert support_of(frame.format(written), evidence).degree is Degree.FULL
    assert support_of(frame.format(f"{amount} €"), evidence).degree is Degree.FULL
    if other != amount:
        wrong = frame.format(format_currency(other, "EUR", locale=language))
        assert support_of(wrong, evidence).degree is not Degree.FULL
    dollars = frame.format(format_currency(amount, "USD", locale=language))
    assert support_of(dollars, evidence).degree is Degree.WRONG


days = st.dates(min_value=date(1000, 1, 1), max_value=date(9999, 1, 1))

DUE = {
    "en": "The report is due on {}.",
    "de": "Der Bericht ist am {} fällig.",
    "fr": "Le rapport est attendu le {}.",
    "es": "El informe vence el {}.",
    "sv": "Rapporten ska lämnas den {}.",
}


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(DUE)), days, days)
def test_a_date_is_stated_however_it_is_written_and_another_one_never(
    language: str, day: date, other: date
) -> None:
    evidence = DUE[language].format(format_date(day, "long", locale=language))
    assert support_of(DUE[language].format(day.isoformat()), evidence).degree is Degree.FULL
    if other != day:
        wrong = DUE[language].format(format_date(other, "medium", locale=language))
        assert support_of(wrong, evidence).degree is Degree.WRONG
