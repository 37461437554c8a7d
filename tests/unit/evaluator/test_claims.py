"""Cutting answers into claims."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from motet_evaluator.claims import Claim, claims_of


def test_sentences_clauses_and_items_are_claims() -> None:
    answer = (
        "Dr. Ana Roth paid 3.5 million euros [1]. She left in 1990; he stayed.[2]\n"
        "- The tower is 38 m high. [3, 4]\n2) It was built by J. K. Holm, e.g. in St. Ives."
    )
    assert claims_of(answer) == [
        Claim("Dr. Ana Roth paid 3.5 million euros.", (1,)),
        Claim("She left in 1990;"),
        Claim("he stayed.", (2,)),
        Claim("The tower is 38 m high.", (3, 4)),
        Claim("It was built by J. K. Holm, e.g. in St. Ives."),
    ]


def test_what_states_nothing_is_no_claim() -> None:
    assert claims_of("Yes. Of course! I think so, thank you. [1]") == []
    assert claims_of("") == []
    assert claims_of("Ja, natürlich.") == []
    assert claims_of("Non, pas du tout.") == []


def test_a_claim_made_twice_counts_once_with_all_its_marks() -> None:
    assert claims_of("The rent is 900 euros [1]. The rent is 900 euros! [2]") == [
        Claim("The rent is 900 euros.", (1, 2))
    ]


@settings(deadline=None, max_examples=50)
@given(st.text(alphabet="aeinst BR129.,;-[]\n|?é中", max_size=120))
def test_claims_of_any_text_have_words(text: str) -> None:
    for claim in claims_of(text):
        assert claim.text.strip()
