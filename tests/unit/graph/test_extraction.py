"""Extraction: offline, by a model, and given."""

from __future__ import annotations

import time

import pytest
from hypothesis import given as given_by
from hypothesis import strategies as st

from motet.messages import GraphPassage, Triple
from motet.testing import ScriptedModel
from motet_graph.extraction.model import ModelExtractor
from motet_graph.extraction.offline import OfflineExtractor
from motet_graph.extraction.port import given
from motet_graph.statements import Statement

JOURNAL = GraphPassage(
    id="1",
    title="Journal of Mathematical Physics",
    text="The Journal of Mathematical Physics is published by the American Institute of Physics. "
    "It began in January 1960. The current editor is Jan Philip Solovej from the University of "
    "Copenhagen.",
)


def triples(statements: tuple[Statement, ...]) -> set[tuple[str, str, str]]:
    return {(each.subject, each.predicate, each.object) for each in statements}


def test_names_by_their_spelling() -> None:
    found = OfflineExtractor().read(JOURNAL)
    assert {
        "Journal of Mathematical Physics",
        "American Institute of Physics",
        "January 1960",
        "Jan Philip Solovej",
        "University of Copenhagen",
    } <= set(found.names)
    assert not {"The", "It", "Its"} & set(found.names)


def test_statements_by_what_stands_between() -> None:
    found = triples(OfflineExtractor().read(JOURNAL).statements)
    journal = "Journal of Mathematical Physics"
    assert (journal, "is published by the", "American Institute of Physics") in found
    assert (journal, "began in", "January 1960") in found
    assert ("Jan Philip Solovej", "from the", "University of Copenhagen") in found


def test_it_is_fast() -> None:
    text = JOURNAL.text * 20
    begun = time.perf_counter()
    OfflineExtractor().read(GraphPassage(id="1", text=text, title="T"))
    assert time.perf_counter() - begun < 1


@given_by(st.text(alphabet="AaBb .,('\"\n-1X&\u00e9", max_size=400), st.text(max_size=20))
def test_any_text_is_read(text: str, title: str) -> None:
    found = OfflineExtractor().read(GraphPassage(id="1", text=text, title=title))
    for statement in found.statements:
        assert {statement.subject, statement.object} <= set(found.names)


def test_hostile_text_is_read_in_time() -> None:
    for text in (
        "A" * 20_000,
        "A " * 10_000,
        "A. " * 6_000,
        '"' * 20_000,
        "(X" * 10_000,
        "1," * 10_000,
    ):
        begun = time.perf_counter()
        OfflineExtractor().read(GraphPassage(id="1", text=text, title="T"))
        assert time.perf_counter() - begun < 5, text[:10]


def test_given_triples_are_kept() -> None:
    passage = GraphPassage(
        id="1",
        title="Acme",
        text="Acme Union Bank (AUB) is led by Ada.",
        triples=(
            Triple(subject="Ada", predicate="leads", object="Acme"),
            Triple(subject="Acme", predicate="is", object="ACME"),
            Triple(subject="...", predicate="is", object="Acme"),
        ),
    )
    found = given(passage)
    assert triples(found.statements) == {("Ada", "leads", "Acme")}
    assert set(found.names) == {"Acme", "Ada", "Acme Union Bank", "AUB"}


async def test_what_the_model_makes_up_is_left_out() -> None:
    said = [
        {"subject": "Ada", "predicate": "leads", "object": "Acme"},
        {"subject": "Zorro", "predicate": "knows", "object": "Quux"},
    ]
    model = ScriptedModel({"statements": {"statements": said}})
    extractor = ModelExtractor(model)
    found = await extractor.extract(GraphPassage(id="1", title="Acme", text="Ada leads it."))
    assert triples(found.statements) == {("Ada", "leads", "Acme")}
    assert extractor.name.startswith("extract.v2:")


@pytest.mark.parametrize(
    "text, subject",
    [
        ("The Optics Workshop keeps lenses. It is led by Ana Roth.", "Optics Workshop"),
        ("It is led by Ana Roth.", "Tower"),
        ("Mint Street is long. She met Ana Roth.", "Tower"),
        ("The old house is empty. It is owned by Ana Roth.", "Tower"),
    ],
)
def test_a_pronoun_stands_for_what_was_spoken_of(text: str, subject: str) -> None:
    found = OfflineExtractor().read(GraphPassage(id="1", text=text, title="Tower"))
    assert subject in {each.subject for each in found.statements if each.object == "Ana Roth"}


def test_the_word_that_begins_a_sentence_is_no_part_of_a_name_that_the_title_has() -> None:
    text = "Launching Orla took three tugs. Visiting Lund was easier."
    found = OfflineExtractor().read(GraphPassage(id="1", text=text, title="The Orla barge"))

    assert "Orla" in found.names
    assert "Launching Orla" not in found.names
