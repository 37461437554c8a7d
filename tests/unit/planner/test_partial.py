"""Partial: a field's text is passed on while its JSON is still being written."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet_planner.partial import field_of


async def _heard(text: str, sizes: list[int]) -> list[str]:
    told: list[str] = []

    async def hear(piece: str) -> None:
        told.append(piece)

    take, at = field_of("answer")(hear), 0
    while at < len(text):
        size = sizes[at % len(sizes)]
        await take(text[at : at + size])
        at += size
    return told


@given(st.text(), st.lists(st.integers(1, 40), min_size=1))
async def test_in_whatever_pieces_it_comes_the_text_is_the_same(
    answer: str, sizes: list[int]
) -> None:
    written = json.dumps({"status": "answered", "answer": answer, "open": ["x"]})

    assert "".join(await _heard(written, sizes)) == answer


@pytest.mark.parametrize("broken", ["no JSON", '["answer"]', '{"answer": 3}', "{"])
async def test_what_has_no_such_field_gives_nothing(broken: str) -> None:
    assert await _heard(broken, [1]) == []


async def test_the_first_words_come_before_the_end() -> None:
    written = json.dumps({"answer": "word " * 100, "quotes": ["x" * 1000]})

    told = await _heard(written, [10])

    assert len(told) > 10
