"""Ids of attempts: known to whoever comes after, and to nobody else's trace."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.context import Context

from motet.bus import Header
from motet.bus.tracing import attempt_of, earlier_attempt
from motet.telemetry import extract, names, span_context_of

HEADERS = {Header.TRACEPARENT: f"00-{'a' * 32}-{'b' * 16}-01"}
PLACES = st.tuples(st.sampled_from(["CALLS", "TASKS"]), st.integers(1, 2**63), st.integers(1, 99))


@given(st.lists(PLACES, unique=True, min_size=2, max_size=8))
def test_every_attempt_has_an_id_of_its_own_that_anybody_can_compute(
    places: list[tuple[str, int, int]],
) -> None:
    around = extract(HEADERS)
    ids = [attempt_of(around, HEADERS, *place).span_id for place in places]

    assert len(set(ids)) == len(places)
    for place, span_id in zip(places, ids, strict=True):
        assert attempt_of(extract(dict(HEADERS)), HEADERS, *place).span_id == span_id
        told = earlier_attempt(HEADERS, *place)
        assert told == f"00-{'a' * 32}-{span_id:016x}-01"


def test_an_attempt_is_linked_to_the_one_before() -> None:
    around = extract(HEADERS)
    first = attempt_of(around, HEADERS, "CALLS", 3, 1)
    second = attempt_of(around, HEADERS, "CALLS", 3, 2)

    assert first.links == ()
    (link,) = second.links
    assert (link.context.span_id, link.context.trace_id) == (first.span_id, int("a" * 32, 16))
    assert link.attributes == {names.LINK: names.LINK_RETRY}


def test_a_replay_is_linked_to_what_is_replayed() -> None:
    earlier = earlier_attempt(HEADERS, "CALLS", 3, 4)
    assert earlier is not None
    attempt = attempt_of(extract(HEADERS), {**HEADERS, Header.EARLIER: earlier}, "CALLS", 9, 1)

    (link,) = attempt.links
    assert link.context == span_context_of(earlier)
    assert link.attributes == {names.LINK: names.LINK_REPLAY}


def test_a_message_in_no_trace_has_no_id_and_no_links() -> None:
    assert attempt_of(Context(), {}, "CALLS", 3, 2).span_id is None
    assert attempt_of(Context(), {}, "CALLS", 3, 2).links == ()
    assert earlier_attempt({}, "CALLS", 3, 2) is None
    # An orphan was never delivered, so there is no attempt to link to.
    assert earlier_attempt(HEADERS, "CALLS", 3, 0) is None


def test_a_malformed_link_is_none() -> None:
    headers = {**HEADERS, Header.EARLIER: "nobody"}
    assert attempt_of(extract(HEADERS), headers, "CALLS", 9, 1).links == ()
