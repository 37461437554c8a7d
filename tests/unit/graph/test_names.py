"""When two spellings are one name, and which names are of one entity."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet_graph import names


@pytest.mark.parametrize(
    "one, other",
    [
        ("The United States", "united  states"),
        ("the United States'", "United States"),
        ("Jean-Paul", "Jean\u2013Paul"),
        ("Jean - Paul", "Jean-Paul"),
        ("O\u2019Brien", "O'Brien"),
        ("Caf\u00e9", "Cafe\u0301"),
        ("Acme, Inc.", "Acme Inc"),
    ],
)
def test_one_name(one: str, other: str) -> None:
    assert names.key(one) == names.key(other)


@pytest.mark.parametrize("one, other", [("C", "C++"), ("Henry IV", "Henry V"), ("A", "The A Team")])
def test_two_names(one: str, other: str) -> None:
    assert names.key(one) != names.key(other)


@given(st.text(max_size=80))
def test_a_key_is_its_own_key_or_empty(name: str) -> None:
    key = names.key(name)
    assert bool(key) <= any(each.isalnum() for each in key)
    assert key == key.strip()


@given(st.randoms(use_true_random=False))
def test_components_do_not_depend_on_the_order(order: random.Random) -> None:
    keys = list("abcdefgh")
    pairs = [("a", "b"), ("c", "b"), ("d", "e"), ("x", "a")]
    order.shuffle(keys)
    order.shuffle(pairs)
    found = names.components(
        keys, [pair if order.random() < 0.5 else (pair[1], pair[0]) for pair in pairs]
    )
    assert found == {
        "a": "a", "b": "a", "c": "a", "d": "d", "e": "d", "f": "f", "g": "g", "h": "h"
    }  # fmt: skip


def test_the_canonical_name_is_the_frequent_long_one() -> None:
    spelled = {"EPA": 9, "Environmental Protection Agency": 2, "the Agency": 1}
    assert names.canonical(spelled)[0] == "Environmental Protection Agency"
