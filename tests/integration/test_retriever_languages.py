"""Search in many languages: by words and by meaning, each measured by itself.

`translated_page/` has one page in five languages: ten sections, a question about each, and
distractors about something else. What the tests ask is what docs/explanation/retrieval.md tells.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from motet.errors import SetupError
from motet.messages import Document, IngestRequest, IngestResult, SearchRequest, SearchResult
from motet.models import Embedder, embedder, weights
from motet.settings import Settings, load_settings
from motet.testing.mesh import TestMesh
from motet_retriever.app import agent
from tests.embedder import LetterEmbedder

PAGES = Path(__file__).parent / "translated_page"
LANGUAGES = ("ar", "de", "es", "fr", "ja")
MODEL = "use-multilingual-v3"


class Page(NamedTuple):
    passages: list[str]
    """The sections, then the distractors."""
    questions: list[str]
    """The question of each section."""


def page(language: str) -> Page:
    read = json.loads((PAGES / f"{language}.json").read_text("utf-8"))
    sections = [f"{heading}. {text}" for heading, text, _ in read["sections"]]
    return Page(
        [*sections, *read["distractors"]], [question for _, _, question in read["sections"]]
    )


@pytest.fixture(scope="module")
def multilingual() -> Embedder:
    settings = load_settings()
    try:
        if not weights.installed(MODEL, *settings.weights_dirs):
            weights.pull(MODEL, settings.cache_dir)
    except SetupError as error:
        pytest.skip(str(error))
    return embedder(
        Settings(cache_dir=settings.cache_dir, embedding_model=f"local:{MODEL}", model_cache=False)
    )


async def ingest(mesh: TestMesh, texts: Sequence[str], model: Any = None) -> None:
    """A document for each text; its source is its number."""
    await mesh.join(agent, context={"embedder": model or LetterEmbedder()})
    request = IngestRequest(
        documents=tuple(
            Document(source=str(number), text=text) for number, text in enumerate(texts)
        )
    )
    result = await mesh.motet.call("retriever.ingest", request, IngestResult)
    assert {item.status for item in result.items} == {"added"}


async def ranked(mesh: TestMesh, question: str, mode: str) -> list[int]:
    request = SearchRequest.model_validate({"query": question, "mode": mode, "limit": 5})
    found = await mesh.motet.call("retriever.search", request, SearchResult)
    return [int(passage.source) for passage in found.passages]


@pytest.mark.parametrize("language", LANGUAGES)
async def test_ten_questions_by_words(mesh: TestMesh, language: str) -> None:
    passages, questions = page(language)
    await ingest(mesh, passages)
    ranks = [await ranked(mesh, question, "sparse") for question in questions]
    assert [each[0] for each in ranks] == list(range(10))


@pytest.mark.parametrize("language", LANGUAGES)
async def test_ten_questions_by_meaning(
    mesh: TestMesh, multilingual: Embedder, language: str
) -> None:
    passages, questions = page(language)
    await ingest(mesh, passages, multilingual)
    ranks = [await ranked(mesh, question, "dense") for question in questions]
    assert sum(each[0] == right for right, each in enumerate(ranks)) >= 9
    assert all(right in each[:3] for right, each in enumerate(ranks))


async def test_questions_in_another_language_than_the_page(
    mesh: TestMesh, multilingual: Embedder
) -> None:
    """The sections tell the same in every language, so each question has an answer in each."""
    passages, _ = page("es")
    await ingest(mesh, passages, multilingual)
    for language in ("ar", "de", "fr", "ja"):
        ranks = [await ranked(mesh, question, "dense") for question in page(language).questions]
        assert sum(right in each[:3] for right, each in enumerate(ranks)) >= 7, language


RULES = {
    # A rule of which the documents differ in one word, and how it is asked for.
    "zh": ("每年由工程部清洗{}一次，结果写入本子，本子保存两年。", "多久清洗一次{}"),
    "ja": ("工務課は毎年{}を清掃し、結果を帳簿に書き、帳簿は二年間保存する。", "{}の清掃は何回か"),
    "th": ("ฝ่ายช่างทำความสะอาด{}ปีละครั้งและจดผลลงสมุดซึ่งเก็บไว้สองปี", "ทำความสะอาด{}เมื่อไร"),
    "ko": (
        "시설과는 해마다 {} 청소를 하고 결과를 장부에 적어 두 해 동안 보관한다.",
        "{} 청소는 언제",
    ),
    "de": (
        "Die Technik reinigt jedes Jahr {} und schreibt das Ergebnis in ein Heft.",
        "{} reinigen",
    ),
}
THINGS = {
    "zh": (
        "水箱",
        "烟囱",
        "地毯",
        "窗帘",
        "冰柜",
        "喷泉",
        "车库",
        "屋顶",
        "仓库",
        "信箱",
        "路灯",
        "黑板",
    ),
    "ja": (
        "水槽",
        "煙突",
        "絨毯",
        "窓",
        "冷蔵庫",
        "噴水",
        "車庫",
        "屋根",
        "倉庫",
        "郵便受け",
        "街灯",
        "黒板",
    ),
    "th": ("ถังน้ำ", "ปล่องไฟ", "พรม", "ม่าน", "ตู้เย็น", "น้ำพุ", "โรงรถ", "หลังคา", "โกดัง", "ตู้จดหมาย"),
    "ko": (
        "물탱크",
        "굴뚝",
        "양탄자",
        "커튼",
        "냉장고",
        "분수",
        "차고",
        "지붕",
        "창고",
        "우편함",
        "가로등",
    ),
    "de": (
        "Tanks",
        "Kamine",
        "Teppiche",
        "Vorhänge",
        "Kühlschränke",
        "Brunnen",
        "Garagen",
        "Dächer",
    ),
}


@pytest.mark.parametrize("language", RULES)
async def test_what_differs_in_one_word_is_found_by_it(mesh: TestMesh, language: str) -> None:
    rule, question = RULES[language]
    things = THINGS[language]
    await ingest(mesh, [rule.format(thing) for thing in things])
    for right, thing in enumerate(things):
        assert (await ranked(mesh, thing, "sparse"))[:1] == [right], thing
        assert (await ranked(mesh, question.format(thing), "sparse"))[:1] == [right], thing


async def test_words_of_several_languages_in_one_store(mesh: TestMesh) -> None:
    """A name is found in a text of another language, and forms of a word within one."""
    await ingest(
        mesh,
        [
            "Die Werft Siemens Lund liefert in diesem Jahr vierzehn Feuerlöscher an den Hafen.",
            "The harbour master inspects every lifeboat twice a year and writes a report.",
            "Le chantier répare les bateaux des pêcheurs pendant les mois de l'hiver.",
        ],
    )
    for question, right in (
        ("How many were delivered by the yard Siemens Lund this year?", 0),
        ("Feuerlöscher", 0),
        ("inspecting lifeboats", 1),
        ("réparation d'un bateau de pêcheur", 2),
    ):
        assert (await ranked(mesh, question, "sparse"))[:1] == [right], question
