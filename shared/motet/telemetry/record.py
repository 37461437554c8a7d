"""Spans as data: what a reader of traces works with, wherever they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from motet.telemetry import names

__all__ = ["Kind", "SpanEvent", "SpanLink", "SpanRecord", "SpanStatus"]

Kind = Literal["internal", "server", "client", "producer", "consumer"]
SpanStatus = Literal["unset", "ok", "error"]

_KINDS: dict[SpanKind, Kind] = {
    SpanKind.INTERNAL: "internal",
    SpanKind.SERVER: "server",
    SpanKind.CLIENT: "client",
    SpanKind.PRODUCER: "producer",
    SpanKind.CONSUMER: "consumer",
}
_STATUSES: dict[StatusCode, SpanStatus] = {
    StatusCode.UNSET: "unset",
    StatusCode.OK: "ok",
    StatusCode.ERROR: "error",
}


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened at a moment within a span."""

    name: str
    time_ns: int
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SpanLink:
    """A span that has to do with another without being its parent."""

    trace_id: str
    span_id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SpanRecord:
    """One span. Moments are nanoseconds since 1970 in UTC, ids are lower-case hexadecimal."""

    trace_id: str
    span_id: str
    name: str
    start_ns: int
    end_ns: int | None = None
    """None while it is in progress, and for ever when its process died in it."""
    parent_id: str | None = None
    kind: Kind = "internal"
    status: SpanStatus = "unset"
    message: str = ""
    """Why it failed."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    events: tuple[SpanEvent, ...] = ()
    links: tuple[SpanLink, ...] = ()
    service: str = ""
    """The resource's `service.name`."""
    instance: str = ""
    """The resource's `service.instance.id`."""

    @property
    def duration_s(self) -> float | None:
        """Seconds from start to end; None while it is in progress."""
        return None if self.end_ns is None else (self.end_ns - self.start_ns) / 1e9

    @classmethod
    def of(cls, span: ReadableSpan) -> SpanRecord:
        """A record of a span of this process."""
        context = span.get_span_context()
        if context is None or span.start_time is None:
            raise ValueError(f"the span {span.name!r} was never started")
        resource = span.resource.attributes
        return cls(
            trace_id=f"{context.trace_id:032x}",
            span_id=f"{context.span_id:016x}",
            name=span.name,
            start_ns=span.start_time,
            end_ns=span.end_time,
            parent_id=f"{span.parent.span_id:016x}" if span.parent else None,
            kind=_KINDS[span.kind],
            status=_STATUSES[span.status.status_code],
            message=span.status.description or "",
            attributes=dict(span.attributes or {}),
            events=tuple(
                SpanEvent(event.name, event.timestamp, dict(event.attributes or {}))
                for event in span.events
            ),
            links=tuple(
                SpanLink(
                    f"{link.context.trace_id:032x}",
                    f"{link.context.span_id:016x}",
                    dict(link.attributes or {}),
                )
                for link in span.links
            ),
            service=str(resource.get(names.SERVICE_NAME, "")),
            instance=str(resource.get(names.SERVICE_INSTANCE_ID, "")),
        )
