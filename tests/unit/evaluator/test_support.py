"""How far evidence supports a claim."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motet_evaluator.support import FEATURES, Body, features_of, support_of

LEASE = (
    "The lease with Harbour Properties runs until 1 May 2027. The monthly rent is 900 euros, "
    "payable in advance. The cellar is not part of the lease."
)
BRIDGE = "Ana Roth opened the bridge in 1950. Acme sold 1,987 boats, three of them to Norway."
EVIDENCE = Body([LEASE, BRIDGE])


@pytest.mark.parametrize(
    "claim",
    [
        "The rent is 900 euros a month.",
        "900 euros",
        "The bridge was opened by Ana Roth in 1950.",
        "The cellar isn't part of the lease.",
        "Acme sold 3 boats to Norway.",
        "The lease runs until May 2027.",
    ],
)
def test_supported(claim: str) -> None:
    support = support_of(claim, EVIDENCE)
    assert support.supported, support


@pytest.mark.parametrize(
    "claim, reason",
    [
        ("The monthly rent is 950 euros, payable in advance.", "does not give '950 euros'"),
        ("Ben Roth opened the bridge in 1950.", "does not name 'Ben Roth'"),
        ("The bridge was opened by Maria Roth in 1950.", "does not name 'Maria Roth'"),
        ("The cellar is part of the lease.", "adds 'not'"),
        ("The monthly rent is not 900 euros.", "'not'"),
        ("The tenant may keep dogs and a parrot.", "Not in the evidence"),
        ("", "no words"),
    ],
)
def test_not_supported(claim: str, reason: str) -> None:
    support = support_of(claim, EVIDENCE)
    assert not support.supported, support
    assert reason in support.reason


def test_without_evidence_nothing_is_supported() -> None:
    assert support_of("The rent is 900 euros.", Body([])).score == 0.0


def test_names_of_the_question_may_be_used() -> None:
    claim = "At Harbour House the monthly rent is 900 euros."
    assert not support_of(claim, EVIDENCE).supported
    assert support_of(claim, EVIDENCE, ["What is the rent at Harbour House?"]).supported


def test_more_evidence_for_the_same_words_does_not_take_support_away() -> None:
    alone = support_of("The rent is 900 euros a month.", Body([LEASE])).score
    assert support_of("The rent is 900 euros a month.", EVIDENCE).score >= alone - 0.1


texts = st.text(alphabet="aeinst BR129.,-€\n|?é中", max_size=120)


@settings(deadline=None, max_examples=50)
@given(texts, st.lists(texts, max_size=3))
def test_a_score_is_a_number_from_0_to_1_and_always_the_same(claim: str, texts: list[str]) -> None:
    support = support_of(claim, Body(texts))
    assert 0 <= support.score <= 1
    assert support == support_of(claim, Body(texts))
    assert len(features_of(claim, Body(texts))) == len(FEATURES)
