"""Languages: told where there is enough text, and not guessed where there is not."""

from __future__ import annotations

import pytest

from motet.text.languages import base_language, language_of, likely_language

PASSAGES = {
    "en": "The lift is inspected every spring, and the report goes to the caretaker.",
    "de": "Der Aufzug wird jedes Frühjahr geprüft, und der Bericht geht an den Hausmeister.",
    "fr": "L'ascenseur est contrôlé chaque printemps et le rapport est remis au concierge.",
    "es": "El ascensor se revisa cada primavera y el informe se entrega al conserje.",
    "sv": "Hissen besiktigas varje vår och rapporten lämnas till vaktmästaren.",
    "pl": "Winda jest sprawdzana każdej wiosny, a raport trafia do dozorcy.",
    "ru": "Лифт проверяют каждую весну, и отчёт передают смотрителю.",
    "ar": "يُفحص المصعد كل ربيع ويُسلَّم التقرير إلى حارس المبنى.",
    "ja": "エレベーターは毎年春に点検され、報告書は管理人に渡されます。",
    "zh": "电梯每年春天检查一次，报告交给管理员。",
    "ko": "승강기는 매년 봄에 점검하며 보고서는 관리인에게 전달된다.",
    "el": "Ο ανελκυστήρας ελέγχεται κάθε άνοιξη.",
    "th": "ลิฟต์ได้รับการตรวจสอบทุกฤดูใบไม้ผลิ",
}


@pytest.mark.parametrize("language, text", PASSAGES.items())
def test_the_language_of_a_sentence(language: str, text: str) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize("text", ["", "42", "1.10.2 X-100", "Oslo", "NASA 12 kg"])
def test_what_is_too_short_has_no_language(text: str) -> None:
    assert language_of(text) is None


def test_a_short_text_is_likely_in_a_language_of_its_script() -> None:
    # The model alone says Russian.
    assert likely_language("NASA launched it") == "en"
    assert likely_language("12") is None


def test_a_tag_has_a_base_language() -> None:
    assert base_language("de-AT") == "de"
    assert base_language("zh_Hant_TW") == "zh"
    assert base_language(None) is None
