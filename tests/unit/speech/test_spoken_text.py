"""Text to be spoken: signs of markup go, words stay, and what is abbreviated is written out."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet_speech.spoken_text import unmarked, written_out

MARKDOWN = """# Minutes

The **lease** ends _soon_ [1], says `the` landlord [2, 3].
See [the letter](https://letters.test/a_b), ~~or not~~.

1. Sign it.
2. Send it

- keys
- stamps

| Item | Price |
|---|---|
| Lamp | 5 |

> Thank you!

---

    And more.
"""


def test_signs_of_markup_are_no_words() -> None:
    assert unmarked(MARKDOWN) == [
        "Minutes",
        "The lease ends soon, says the landlord. See the letter, or not.",
        "1. Sign it.",
        "2. Send it",
        "keys",
        "stamps",
        "Item, Price",
        "Lamp, 5",
        "Thank you!",
        "And more.",
    ]


@pytest.mark.parametrize(
    "text",
    ["2 * 3 * 4", "a snake_case_name", "x < y and z > w", "C# and F#", "5 > 4", "[sic] and [a]",
     "Is 3 - 2 = 1?", "~5 kg", "40 % off"],
)  # fmt: skip
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert unmarked(text) == [text]


@pytest.mark.parametrize("text", ["***", "[1]", "---", "[^2] [3]"])
def test_nothing_but_signs_is_nothing(text: str) -> None:
    assert unmarked(text) == []


@given(st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), min_size=1, max_size=12))
def test_no_word_is_lost(words: list[str]) -> None:
    text = " ".join(f"**{word}**" if index % 3 else word for index, word in enumerate(words))
    assert unmarked(text) == [" ".join(words)]


def read_out(text: str, language: str = "en") -> str:
    pytest.importorskip("kitten_text_processing", reason="motet-speech[voice] is not installed")
    return " ".join(written_out(text, language))


@pytest.mark.parametrize(
    "text, read",
    [
        ("The ferry leaves at 9:00.", "The ferry leaves at nine o'clock."),
        ("Ask Robert Dunn Jr. today.", "Ask Robert Dunn junior today."),
        ("Book III and Pope John XXIII", "Book three and Pope John twenty three"),
        ("It costs $2,400.50.", "It costs two thousand four hundred dollars fifty cents."),
        ("I and the X agree.", "I and the X agree."),
        ("Dr. Lee won the 2nd prize.", "doctor Lee won the second prize."),
    ],
)
def test_what_is_abbreviated_is_written_out(text: str, read: str) -> None:
    assert read_out(text).replace(" and fifty", " fifty") == read


def test_a_language_has_its_own_words_or_none() -> None:
    assert "acht uhr" in read_out("Um 8:00 Uhr.", "de").lower()
    assert read_out("Ordua 8:00 da.", "eu") == "Ordua 8:00 da."


def test_long_texts_end_soon() -> None:
    started = time.process_time()
    assert read_out("12:30 $5 II Dr. 1/2 " * 30)
    assert read_out("9" * 20_000)
    assert time.process_time() - started < 10
