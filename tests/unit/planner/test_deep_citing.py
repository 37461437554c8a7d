"""Marks in a model's text become numbered citations that are held to their passages."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet_planner.deep.citing import cited
from motet_planner.deep.tools import mark_of
from motet_planner.state import PassageData

TOWER = PassageData(
    id="p1", source="a.md", title="Tower", text="It is 38 metres high. Ada built it."
)
BRIDGE = PassageData(id="p2", source="b.md", title="Bridge", text="The bridge has 12 arches.")
PASSAGES = {"p1": TOWER, "p2": BRIDGE}
T, B = mark_of("p1"), mark_of("p2")


@pytest.mark.parametrize(
    "text, shown, numbers",
    [
        (f"It has 12 arches [{B}]. It is 38 metres high [{T}].",
         "It has 12 arches [1]. It is 38 metres high [2].", ["p2", "p1"]),
        (f"Both stand [{T}, {B}].", "Both stand [1][2].", ["p1", "p2"]),
        (f"Both stand [{T}][{B}].", "Both stand [1][2].", ["p1", "p2"]),
        (f"Both stand ({T}; {T}).", "Both stand [1].", ["p1"]),
        ("Nothing stands [pffffff].", "Nothing stands.", []),
        (f"A list:\n- 38 metres [{T}]\n- 12 arches [{B}]\n",
         "A list:\n- 38 metres [1]\n- 12 arches [2]", ["p1", "p2"]),
        ("Plain [1] text [note].", "Plain [1] text [note].", []),
        (f"[{T}]", "[1]", ["p1"]),
    ],
)  # fmt: skip
def test_marks_become_numbers(text: str, shown: str, numbers: list[str]) -> None:
    made, citations = cited(text, PASSAGES, "")

    assert made == shown
    assert [each.passage_id for each in citations] == numbers
    assert [each.number for each in citations] == list(range(1, len(numbers) + 1))
    assert all(each.quote in PASSAGES[each.passage_id]["text"] for each in citations)


@pytest.mark.parametrize(
    "text, supported",
    [
        (f"It is 38 metres high [{T}].", True),
        (f"It is 40 metres high [{T}].", False),
        (f"Bea built it [{T}].", True),  # a name at the beginning of a sentence is not known as one
        (f"It was built by Bea [{T}].", False),
        (f"It is 38 metres high [{T}]. It is 40 metres high [{T}].", False),
        (f"Together they are 76 metres [{T}].", True),  # computed
        (f"In 1999 it was 38 metres high [{T}].", True),  # in the goal
    ],
)
def test_a_statement_that_its_passage_does_not_have_is_told(text: str, supported: bool) -> None:
    _, (citation,) = cited(text, PASSAGES, "How high was it in 1999?", "value: 76")

    assert citation.supported is supported


@given(st.lists(st.sampled_from([f"[{T}]", f"[{B}]", "[p000000]", "word", ". ", "\n", "(", "]"])))
def test_no_mark_is_left_and_every_number_has_a_citation(parts: list[str]) -> None:
    made, citations = cited(" ".join(parts), PASSAGES, "")

    assert not re.search(r"p[0-9a-f]{6}", made)
    assert {int(n) for n in re.findall(r"\[(\d)\]", made)} == {each.number for each in citations}
