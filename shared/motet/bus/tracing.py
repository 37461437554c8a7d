"""Attempts in the trace: each delivery is a span of its own, linked to the one before.

The id of an attempt's span is made from the message's place in its stream and the number of the
delivery. So whoever takes a message up again knows the earlier attempt's span, although that one
ran in another process, which may have died in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanContext, get_current_span

from motet.bus.topology import Header
from motet.telemetry import extract, names, span_context_of, traceparent_of

__all__ = ["Attempt", "attempt_of", "earlier_attempt"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """Where an attempt stands in its trace."""

    span_id: int | None
    """None leaves it to chance: the message is in no trace."""
    links: tuple[Link, ...] = ()


def attempt_of(
    around: Context, headers: Mapping[str, str], stream: str, sequence: int, attempt: int
) -> Attempt:
    """The span of a delivery.

    Args:
        around: The trace context that the message carries.
        headers: Its headers.
        stream: The name of its stream.
        sequence: Its place there.
        attempt: Which delivery it is, from 1.
    """
    parent = get_current_span(around).get_span_context()
    if not parent.is_valid:
        return Attempt(None)
    links: tuple[Link, ...] = ()
    if attempt > 1:
        before = _context(parent, _span_id(parent, stream, sequence, attempt - 1))
        links = (Link(before, {names.LINK: names.LINK_RETRY}),)
    elif Header.EARLIER in headers:
        replayed = span_context_of(headers[Header.EARLIER])
        links = (Link(replayed, {names.LINK: names.LINK_REPLAY}),) if replayed else ()
    return Attempt(_span_id(parent, stream, sequence, attempt), links)


def earlier_attempt(
    headers: Mapping[str, str], stream: str, sequence: int, attempt: int
) -> str | None:
    """The `traceparent` of the span of a delivery; None when the message is in no trace."""
    parent = get_current_span(extract(headers)).get_span_context()
    if not parent.is_valid or attempt < 1:
        return None
    return traceparent_of(_context(parent, _span_id(parent, stream, sequence, attempt)))


def _context(parent: SpanContext, span_id: int) -> SpanContext:
    return SpanContext(parent.trace_id, span_id, True, parent.trace_flags)


def _span_id(parent: SpanContext, stream: str, sequence: int, attempt: int) -> int:
    place = f"{parent.trace_id:x}.{stream}.{sequence}.{attempt}"
    return int.from_bytes(hashlib.blake2b(place.encode(), digest_size=8).digest()) or 1
