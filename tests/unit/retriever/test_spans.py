"""Sentences and pieces of a text: where they begin and end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet_retriever import tokens
from motet_retriever.spans import Span, fit, sentences, trimmed

WRITING = st.text(
    st.one_of(
        st.sampled_from("aBc. .!?\n\r\t\"'()“”«»。…12|-#*é😀\u2028\u0085\u200b\u0301"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=80,
)


def parts(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text, Span(0, len(text)))]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("It rained. We left.", ["It rained.", "We left."]),
        ("Dr. Smith met Mr. Jones, e.g. today.", ["Dr. Smith met Mr. Jones, e.g. today."]),
        ("It cost $3.50 in 2024. It rose 4.5%.", ["It cost $3.50 in 2024.", "It rose 4.5%."]),
        ("J. R. R. Tolkien wrote it. I read it.", ["J. R. R. Tolkien wrote it.", "I read it."]),
        ("Really?! Yes... Go on.", ["Really?!", "Yes...", "Go on."]),
        ("See fig. 3 in Sec. 2. Then stop.", ["See fig. 3 in Sec. 2.", "Then stop."]),
        ("A title\n\nA paragraph", ["A title", "A paragraph"]),
        ("- one thing\n- another thing", ["- one thing", "- another thing"]),
        ("これは本です。次の文。", ["これは本です。", "次の文。"]),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert parts(text) == expected


@given(WRITING, st.integers(0, 20), st.integers(0, 20))
def test_sentences_lose_only_whitespace(text: str, before: int, after: int) -> None:
    whole = trimmed(text, min(before, len(text)), max(len(text) - after, 0))
    if whole is None:
        return
    assert_parts(text, whole, sentences(text, whole))


@given(WRITING, st.integers(1, 12))
def test_pieces_fit_and_lose_only_whitespace(text: str, limit: int) -> None:
    whole = trimmed(text, 0, len(text))
    if whole is None:
        return
    pieces = fit(text, whole, limit)
    assert_parts(text, whole, pieces)
    assert all(tokens.count(text[start:end]) <= limit for start, end in pieces)


def assert_parts(text: str, whole: Span, pieces: list[Span]) -> None:
    done = whole.start
    for start, end in pieces:
        assert done <= start < end <= whole.end
        assert not text[done:start].strip()
        assert text[start:end] == text[start:end].strip()
        done = end
    assert done == whole.end


def test_pieces_end_with_lines_before_they_end_with_words() -> None:
    text = "a b c\nd e f\ng h i"
    assert [text[start:end] for start, end in fit(text, Span(0, len(text)), 7)] == [
        "a b c\nd e f",
        "g h i",
    ]


def test_a_word_is_cut_when_it_is_too_large() -> None:
    text = "x" * 100
    assert "".join(text[start:end] for start, end in fit(text, Span(0, 100), 5)) == text


def test_trimmed() -> None:
    assert trimmed("  a b ", 0, 6) == Span(2, 5)
    assert trimmed("a   b", 1, 4) is None
