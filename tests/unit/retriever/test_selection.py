"""Selection: diversity, decay and the limit a document; reasons; contexts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.messages import BranchScore, Passage
from motet_retriever.expansion import around, joined
from motet_retriever.fusion import Candidate
from motet_retriever.phrases import clauses, names_in, phrases_in, remaining
from motet_retriever.reasons import ordinal, reason
from motet_retriever.selection import age_days, capped, decayed, diversified
from motet_retriever.stores.port import Found
from tests.unit.retriever.library import passages_of

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def candidate(
    name: str, score: float, vector: Sequence[float] | None = None, **said: Any
) -> Candidate:
    given = {"source": name, "title": name, "text": name, "position": 0, "start": 0, "end": 1}
    passage = Passage.model_validate({"id": name, **given, **said})
    return Candidate(
        Found(passage, score, None if vector is None else np.array(vector, np.float32)), score
    )


def ids(candidates: Sequence[Candidate]) -> list[str]:
    return [each.id for each in candidates]


def test_diversity_puts_back_what_says_the_same() -> None:
    near = [
        candidate("a", 1.0, (1, 0)),
        candidate("a again", 0.9, (1, 0)),
        candidate("other", 0.5, (0, 1)),
    ]
    assert ids(diversified(near, 0.0)) == ["a", "a again", "other"]
    assert ids(diversified(near, 0.5)) == ["a", "other", "a again"]


def test_diversity_is_the_formula() -> None:
    """By hand, with 1 - λ = 0.4: b has .6 * .8 - .4 * .8 = .16, c has .6 * .6 - .4 * 0 = .36."""
    three = [
        candidate("a", 0.5, (1, 0)),
        candidate("b", 0.4, (0.8, 0.6)),
        candidate("c", 0.3, (0, 1)),
    ]
    assert ids(diversified(three, 0.4)) == ["a", "c", "b"]
    assert ids(diversified(three, 0.1)) == ["a", "b", "c"]


CANDIDATES = st.lists(
    st.tuples(
        st.floats(0, 1, width=32),
        st.one_of(st.none(), st.tuples(st.floats(-1, 1, width=32), st.floats(-1, 1, width=32))),
        st.sampled_from("xyz"),
    ),
    max_size=12,
).map(
    lambda rows: [
        candidate(f"p{place}", score, vector, source=source)
        for place, (score, vector, source) in enumerate(sorted(rows, key=lambda row: -row[0]))
    ]
)


@given(CANDIDATES, st.floats(0, 1))
def test_diversity_loses_and_doubles_nothing(found: list[Candidate], diversity: float) -> None:
    order = diversified(found, diversity)
    assert sorted(ids(order)) == sorted(ids(found))
    assert ids(order)[:1] == ids(found)[:1]


@given(CANDIDATES, st.integers(1, 4))
def test_the_limit_of_a_document(found: list[Candidate], per_document: int) -> None:
    kept = capped(found, per_document)
    sources = [each.passage.source for each in kept]
    assert all(sources.count(source) <= per_document for source in "xyz")
    assert [each for each in found if each in kept] == kept
    left = [each for each in found if each not in kept]
    assert all(sources.count(each.passage.source) == per_document for each in left)


def test_a_half_life_halves() -> None:
    months = [candidate(str(n), 0.8, time=NOW - timedelta(days=30 * n)) for n in range(3)]
    assert [each.score for each in decayed(months, 30, NOW)] == pytest.approx([0.8, 0.4, 0.2])


def test_fresh_overtakes_old() -> None:
    old = candidate("old", 0.9, time=NOW - timedelta(days=365))
    fresh = candidate("fresh", 0.6, time=NOW - timedelta(days=1))
    assert ids(decayed([old, fresh], 100, NOW)) == ["fresh", "old"]
    assert ids(decayed([old, fresh], 10_000, NOW)) == ["old", "fresh"]


def test_age_is_of_the_time_else_of_the_ingestion() -> None:
    day = timedelta(days=1)
    for said, days in (
        ({"time": NOW - 3 * day, "ingested_at": NOW}, 3),
        ({"ingested_at": NOW - 2 * day}, 2),
        ({"time": NOW + day}, 0),
        ({}, 0),
    ):
        assert age_days(candidate("a", 1, **said).passage, NOW) == days


@pytest.mark.parametrize(
    "number, words",
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (21, "21st"),
     (113, "113th")],
)  # fmt: skip
def test_ordinals(number: int, words: str) -> None:
    assert ordinal(number) == words


def test_reasons_are_what_the_branches_said() -> None:
    own = (
        BranchScore(branch="dense", rank=1, score=0.9),
        BranchScore(branch="sparse", rank=3, score=7),
    )
    assert reason(own) == "1st by meaning, 3rd by words"
    again = (*own, BranchScore(branch="rerank", rank=2, score=0.8))
    assert reason(again) == "1st by meaning, 3rd by words; 2nd after re-reading"
    wholes = (
        BranchScore(branch="graph", rank=4, score=0.1),
        BranchScore(branch="document", rank=1, score=0.9),
        BranchScore(branch="section", rank=2, score=0.9),
    )
    assert reason(wholes, "3 days old") == (
        "4th by connections; in the 1st document and the 2nd section; 3 days old"
    )


def test_reasons_tell_of_the_best_sub_queries() -> None:
    said = [
        BranchScore(branch="sparse", query=f"question {rank}", rank=rank, score=1)
        for rank in (5, 2, 9, 3)
    ]
    own = BranchScore(branch="dense", rank=20, score=0.1)
    assert reason([*said, own]) == (
        '20th by meaning; 2nd by words for "question 2"; 3rd by words for "question 3"; '
        "and for 2 more"
    )
    assert len(reason([BranchScore(branch="dense", query="w " * 300, rank=1, score=1)])) < 90


def sections(position: int) -> tuple[str, ...]:
    return (("A",), ("A", "A1"), ("A", "A1"), ("B",), ())[position]


FIVE = passages_of("d", ["one", "two", "three", "four", "five"], section=sections)


def test_a_context_is_the_section() -> None:
    def context(position: int, kind: Any = "section", characters: int = 100) -> str:
        return around(FIVE[position], FIVE, kind, characters)

    assert context(0) == "one\n\ntwo\n\nthree"
    assert context(2) == "two\n\nthree"
    assert context(3) == "four"
    assert context(4) == "five"
    assert context(2, "document") == "one\n\ntwo\n\nthree\n\nfour\n\nfive"
    assert context(2, "document", 11) == "three\n\nfour"
    assert context(2, "document", 3) == "thr"


def test_a_context_of_what_is_gone_is_empty() -> None:
    assert around(FIVE[2], FIVE[:2], "document", 100) == ""


def test_a_context_does_not_jump_over_what_is_hidden() -> None:
    assert around(FIVE[0], [FIVE[0], FIVE[2]], "document", 100) == "one"


def passage(position: int, text: str, start: int) -> Passage:
    return Passage(
        id=str(position),
        source="s",
        title="s",
        text=text,
        position=position,
        start=start,
        end=start + len(text),
    )


@given(st.text("ab \n", min_size=1, max_size=60), st.data())
def test_joined_passages_are_the_text_again(text: str, data: st.DataObject) -> None:
    """Cut anywhere, with overlaps: what was cut comes back but for the kind of whitespace."""
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)) | {0, len(text)})
    pieces: list[Passage] = []
    for position, (first, last) in enumerate(pairwise(cuts)):
        piece = text[max(first - data.draw(st.integers(0, 5)), 0) : last].rstrip()
        end = len(text[:last].rstrip())
        start = end - len(piece.lstrip())
        if start < end:
            pieces.append(passage(position, text[start:end], start))
    pieces.sort(key=lambda each: (each.start, each.end))
    assert joined(pieces).split() == text.split()


def test_phrases() -> None:
    question = "Who leads the institute that owns the ship Alba, and since when?"
    assert remaining(question, ["The Alba is a ship."]) == "leads institute owns since"
    assert names_in("The Alba is a ship of the Norden Institute of Ocean Research.") == [
        "Alba",
        "Norden Institute of Ocean Research",
    ]
    assert names_in("The Alba of Norden.", known="the ship alba of norden") == []
    assert names_in("Élan was met by Ōe.") == ["Élan", "Ōe"]
    assert clauses("Rent of 2020, and rents of 2021; why?") == ["Rent of 2020", "and rents of 2021"]
    assert phrases_in("Which harbour city is the capital of the country") == ["harbour city"]


def test_phrases_in_another_language() -> None:
    question = "Wer leitet das Institut, dem das Forschungsschiff Alba gehört?"
    assert remaining(question, ["Die Alba ist ein Forschungsschiff."]) == "leitet Institut gehört"
    assert "Forschungsschiff Alba" in names_in(question)
    assert clauses(question) == [
        "Wer leitet das Institut",
        "dem das Forschungsschiff Alba gehört",
    ]
