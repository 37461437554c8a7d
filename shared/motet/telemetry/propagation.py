"""Trace context and baggage over NATS headers.

W3C Trace Context level 1 (https://www.w3.org/TR/trace-context-1/) and W3C Baggage, as the
standard propagators write them, so any OpenTelemetry client takes part. What always holds:

- A header that is malformed counts as absent; nothing here raises.
- The headers come from anybody: what is longer than the specifications allow is dropped.
- A message that has only a `traceparent`, which is nearly every one, is read without the standard
  propagators, in half their time: 2 µs. What is rare, tracestate and baggage, is left to them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from opentelemetry import baggage, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, TraceFlags, TraceState

__all__ = [
    "BAGGAGE",
    "TRACEPARENT",
    "TRACESTATE",
    "extract",
    "inject",
    "span_context_of",
    "traceparent_of",
]

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
BAGGAGE: Final = "baggage"

_TRACESTATE_MAX: Final = 512
"""Characters of a `tracestate` that must be carried on (Trace Context §3.3.1.5)."""
_TRACEPARENT_MAX: Final = 512
_TRACEPARENT: Final = re.compile(
    r"[ \t]*([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*|[ \t]*)"
)
_FLAGS: Final = tuple(TraceFlags(flags) for flags in range(256))
_NO_STATE: Final = TraceState()
_baggage: Final = W3CBaggagePropagator()


def span_context_of(traceparent: str, tracestate: str | None = None) -> SpanContext | None:
    """The remote span that a `traceparent` names; None when it is malformed or all zero.

    Versions after 00 may carry more after a further dash (Trace Context §3.2.4).
    """
    match = _TRACEPARENT.fullmatch(traceparent) if len(traceparent) <= _TRACEPARENT_MAX else None
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == "ff" or (version == "00" and rest.startswith("-")):
        return None
    context = SpanContext(
        int(trace_id, 16),
        int(span_id, 16),
        True,
        _FLAGS[int(flags, 16)],
        _state_of(tracestate) if tracestate else _NO_STATE,
    )
    return context if context.is_valid else None


def traceparent_of(span: Span | SpanContext) -> str:
    """The `traceparent` that makes a span the parent of what receives it."""
    context = span if isinstance(span, SpanContext) else span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def inject(headers: dict[str, str], context: Context | None = None) -> None:
    """Writes the current span, and baggage if there is any, into the headers of a message.

    Without a valid span, nothing is written and a `traceparent` that is there stays.
    """
    span_context = trace.get_current_span(context).get_span_context()
    if span_context.is_valid:
        headers[TRACEPARENT] = traceparent_of(span_context)
        if span_context.trace_state:
            headers[TRACESTATE] = span_context.trace_state.to_header()
    if baggage.get_all(context):
        _baggage.inject(headers, context)


def extract(headers: Mapping[str, str] | None) -> Context:
    """The context that a message carries; empty when it carries none that can be read."""
    context = Context()
    if not headers:
        return context
    traceparent = headers.get(TRACEPARENT)
    if traceparent is not None:
        span_context = span_context_of(traceparent, headers.get(TRACESTATE))
        if span_context is not None:
            context = trace.set_span_in_context(NonRecordingSpan(span_context), context)
    return _baggage.extract(headers, context) if BAGGAGE in headers else context


def _state_of(tracestate: str) -> TraceState:
    if len(tracestate) > _TRACESTATE_MAX:
        return _NO_STATE
    return TraceState.from_header([tracestate])
