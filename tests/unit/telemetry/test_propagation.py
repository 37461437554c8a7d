"""Context crosses the bus as the W3C says, and nothing that arrives can do harm."""

from __future__ import annotations

import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry import baggage, trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from motet.telemetry import extract, inject, span_context_of, traceparent_of

# The specification's own example.
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
standard = TraceContextTextMapPropagator()

hexadecimal = st.text("0123456789abcdef", min_size=1, max_size=40)
almost_traceparents = st.builds(
    "{}-{}-{}-{}{}".format,
    st.sampled_from(["00", "01", "cc", "ff", "0", "000", "0A"]),
    st.one_of(
        st.just("0" * 32), st.text("0123456789abcdef", min_size=32, max_size=32), hexadecimal
    ),
    st.one_of(
        st.just("0" * 16), st.text("0123456789abcdef", min_size=16, max_size=16), hexadecimal
    ),
    st.sampled_from(["00", "01", "03", "ff", "1", "0g"]),
    st.sampled_from(["", "-", "-extra", " ", "\t", "x", "\n", "-" + "x" * 600]),
)


def current(context: Context) -> SpanContext:
    return trace.get_current_span(context).get_span_context()


def test_the_specifications_example_is_read() -> None:
    span = span_context_of(TRACEPARENT)
    assert span is not None
    assert span.trace_id == 0x0AF7651916CD43DD8448EB211C80319C
    assert span.span_id == 0xB7AD6B7169203331
    assert span.is_remote
    assert span.trace_flags.sampled
    assert traceparent_of(span) == TRACEPARENT
    assert traceparent_of(NonRecordingSpan(span)) == TRACEPARENT


@given(
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.integers(0, 255),
    st.dictionaries(
        st.text(string.ascii_lowercase, min_size=1, max_size=20),
        st.text(string.ascii_letters + string.digits, min_size=1, max_size=20),
        max_size=5,
    ),
    st.dictionaries(
        st.text(string.ascii_lowercase, min_size=1, max_size=20),
        st.text(min_size=1, max_size=20).map(str.strip).filter(bool),
        max_size=5,
    ),
)
def test_what_is_injected_is_extracted(
    trace_id: int, span_id: int, flags: int, state: dict[str, str], carried: dict[str, str]
) -> None:
    sent = SpanContext(trace_id, span_id, False, TraceFlags(flags), TraceState(list(state.items())))
    context = trace.set_span_in_context(NonRecordingSpan(sent), Context())
    for key, value in carried.items():
        context = baggage.set_baggage(key, value, context)
    headers: dict[str, str] = {}
    inject(headers, context)
    assert set(headers) == {"traceparent"} | ({"tracestate"} if state else set()) | (
        {"baggage"} if carried else set()
    )
    received = extract(headers)
    assert current(received)[:2] == (trace_id, span_id)
    assert current(received).trace_flags == flags
    assert dict(current(received).trace_state) == state
    assert dict(baggage.get_all(received)) == carried


@given(almost_traceparents | st.text(max_size=80))
@example(TRACEPARENT)
@example(f" {TRACEPARENT}\t")
@example("cc" + TRACEPARENT[2:] + "-what-a-later-version-adds")
@example("01" + TRACEPARENT[2:] + "-" + "x" * 512)
@example(TRACEPARENT + "-extra")
@example(TRACEPARENT.upper())
def test_traceparents_are_read_as_the_standard_propagator_reads_them(text: str) -> None:
    if text.endswith("\n"):  # `$` in its pattern lets a line end through; a header has none
        return
    expected = current(standard.extract({"traceparent": text}, Context()))
    assert current(extract({"traceparent": text})) == expected


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "traceparent": st.text(max_size=600) | almost_traceparents | st.just(TRACEPARENT),
            "tracestate": st.text(max_size=600) | st.text("=,ab1@", max_size=600),
            "baggage": st.text(max_size=200) | st.text("=,;%ab1", max_size=200),
            "Nats-Msg-Id": st.text(max_size=10),
        },
    )
)
def test_any_headers_give_a_context(headers: dict[str, str]) -> None:
    received = extract(headers)
    assert current(received).is_valid == (
        "traceparent" in headers and span_context_of(headers["traceparent"]) is not None
    )
    passed_on: dict[str, str] = {}
    inject(passed_on, received)
    assert ("traceparent" in passed_on) == current(received).is_valid


@pytest.mark.parametrize("headers", [None, {}, {"ce-id": "1"}])
def test_without_headers_the_context_is_empty(headers: dict[str, str] | None) -> None:
    assert extract(headers) == {}


def test_an_empty_context_is_not_the_current_one() -> None:
    outer = trace.set_span_in_context(NonRecordingSpan(span_context_of(TRACEPARENT)), Context())  # type: ignore[arg-type]
    assert current(outer).is_valid
    assert not current(extract({"traceparent": "nonsense"})).is_valid


def test_nothing_is_injected_without_a_span() -> None:
    headers = {"traceparent": TRACEPARENT}
    inject(headers, Context())
    assert headers == {"traceparent": TRACEPARENT}


def test_a_tracestate_that_is_too_long_is_dropped_and_its_trace_kept() -> None:
    received = extract({"traceparent": TRACEPARENT, "tracestate": "a=" + "x" * 600})
    assert current(received).is_valid
    assert dict(current(received).trace_state) == {}
