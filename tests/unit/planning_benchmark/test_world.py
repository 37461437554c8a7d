"""The planning benchmark's world can be answered, by what its documents say."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.planning.checking import check
from benchmarks.planning.scripted import Right, Shown, Wrong
from benchmarks.planning.world import Question, load

WORLD = load(None)
TEXTS = {each.source: each.text or "" for each in WORLD.documents}


def test_ten_questions_of_each_of_eight_kinds() -> None:
    kinds = Counter(each.kind for each in WORLD.questions)
    assert len(kinds) == 8
    assert set(kinds.values()) == {10}
    assert len({each.id for each in WORLD.questions}) == 80


@pytest.mark.parametrize("question", WORLD.questions, ids=lambda each: each.id)
def test_what_is_right_passes_and_what_is_wrong_does_not(question: Question) -> None:
    assert set(question.gold) <= set(TEXTS)
    for quote in question.quotes:
        assert any(quote in TEXTS[source] for source in question.gold)
    shown = Shown(question.quotes, ("p0a1b2c",) * len(question.quotes), (), ("p0a1b2c",))
    right = Right([question]).answer(question, shown)
    assert check(right, question.expected).right, right
    wrong = Wrong([question]).answer(question, shown)
    assert not check(wrong, question.expected).right, wrong
    nothing = Right([question]).answer(question, Shown((), (), ("not shown",), ()))
    assert check(nothing, question.expected).right is (question.expected.elements is None)


def test_a_corpus_of_titles(tmp_path: Path) -> None:
    corpus = [{"title": "Ferry", "text": "It has 12 seats."}, {"title": "Ferry", "text": "Red."}]
    asked = [
        {"question": "How many seats has it?", "answer": "12", "gold_titles": ["Ferry"]},
        {"question": "Wer fährt sie?", "answer": None, "gold_titles": []},
    ]
    (tmp_path / "corpus.json").write_text(json.dumps(corpus))
    (tmp_path / "questions.json").write_text(json.dumps(asked))

    world = load(tmp_path)

    assert len({each.source for each in world.documents}) == 2
    seats, driver = world.questions
    assert "12 seats" in seats.expected.context
    assert check("Twelve.", seats.expected).right
    assert driver.expected.languages == ("en", "de")
    assert check("Das ist nicht angegeben.", driver.expected).right
    assert world.identity != WORLD.identity
