"""OTLP's JSON form of spans, as its file exporter writes it.

Encoding: OpenTelemetry Protocol 1.x, "JSON Protobuf Encoding": ids in hexadecimal, 64-bit integers
as decimal strings, enums as integers. A line of a file is one `TracesData` (specification,
`protocol/file-exporter.md`), which the collector's `otlpjsonfile` receiver reads.

Writing puts the text together by hand, at 6 µs a span: to build dictionaries of it first takes
twice as long and keeps the garbage collector busy, and the event loop beside it pays for both.

Reading is tolerant: what is not such a line, or a span of it that lacks ids or a start, is left
out.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from json.encoder import encode_basestring_ascii as _text
from typing import Any, Final, cast

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, SpanKind

from motet.telemetry import names
from motet.telemetry.record import Kind, SpanEvent, SpanLink, SpanRecord, SpanStatus

__all__ = ["decode", "encode", "quoted"]

_KIND_NUMBERS: Final[dict[SpanKind, int]] = {
    SpanKind.INTERNAL: 1,
    SpanKind.SERVER: 2,
    SpanKind.CLIENT: 3,
    SpanKind.PRODUCER: 4,
    SpanKind.CONSUMER: 5,
}
_KINDS: Final[tuple[Kind, ...]] = (
    "internal",
    "internal",
    "server",
    "client",
    "producer",
    "consumer",
)
_STATUSES: Final[tuple[SpanStatus, ...]] = ("unset", "ok", "error")
_REMOTE_KNOWN: Final = 0x100
_REMOTE: Final = 0x200

Json = dict[str, Any]


def encode(spans: Iterable[ReadableSpan]) -> bytes:
    """One line, without its end, that holds all the spans. A span that has not ended has no end."""
    groups: dict[tuple[int, int], tuple[ReadableSpan, list[str]]] = {}
    for span in spans:
        origin = (id(span.resource), id(span.instrumentation_scope))
        groups.setdefault(origin, (span, []))[1].append(_span(span))
    data = ",".join(_group(first, encoded) for first, encoded in groups.values())
    return f'{{"resourceSpans":[{data}]}}'.encode()


def quoted(text: str) -> bytes:
    """How a text stands in what `encode` writes: a cheap test of whether a line may have it."""
    return _text(text).encode()


def decode(line: bytes) -> Iterator[SpanRecord]:
    """The spans of a line, or of a whole file that is one `TracesData`."""
    try:
        data = json.loads(line)
        for resource_spans in data["resourceSpans"]:
            resource = _values(resource_spans.get("resource", {}).get("attributes", ()))
            for scope_spans in resource_spans["scopeSpans"]:
                for span in scope_spans["spans"]:
                    record = _record(span, resource)
                    if record is not None:
                        yield record
    except (ValueError, LookupError, TypeError, AttributeError):
        return


def _group(first: ReadableSpan, encoded: Iterable[str]) -> str:
    """Spans of one resource and one scope, which the first of them tells."""
    scope = first.instrumentation_scope
    name, version = (scope.name, scope.version or "") if scope else ("", "")
    return (
        f'{{"resource":{{"attributes":{_attributes(first.resource.attributes)}}},'
        f'"scopeSpans":[{{"scope":{{"name":{_text(name)},"version":{_text(version)}}},'
        f'"spans":[{",".join(encoded)}]}}]}}'
    )


def _span(span: ReadableSpan) -> str:
    context, parent, status = span.get_span_context(), span.parent, span.status
    assert context is not None  # noqa: S101  # a span that was started has one
    flags = context.trace_flags | _REMOTE_KNOWN
    more = ""
    if parent is not None:
        more += f',"parentSpanId":"{parent.span_id:016x}"'
        flags |= _REMOTE if parent.is_remote else 0
    if span.end_time is not None:
        more += f',"endTimeUnixNano":"{span.end_time}"'
    if context.trace_state:
        more += f',"traceState":{_text(context.trace_state.to_header())}'
    if span.events:
        more += f',"events":[{",".join(map(_event, span.events))}]'
    if span.links:
        more += f',"links":[{",".join(map(_link, span.links))}]'
    if status.status_code.value:
        message = _text(status.description or "")
        more += f',"status":{{"code":{status.status_code.value},"message":{message}}}'
    if span.dropped_attributes:
        more += f',"droppedAttributesCount":{span.dropped_attributes}'
    return (
        f'{{"traceId":"{context.trace_id:032x}","spanId":"{context.span_id:016x}",'
        f'"flags":{flags},"name":{_text(span.name)},"kind":{_KIND_NUMBERS[span.kind]},'
        f'"startTimeUnixNano":"{span.start_time}",'
        f'"attributes":{_attributes(span.attributes or {})}{more}}}'
    )


def _event(event: Event) -> str:
    return (
        f'{{"name":{_text(event.name)},"timeUnixNano":"{event.timestamp}",'
        f'"attributes":{_attributes(event.attributes or {})}}}'
    )


def _link(link: Link) -> str:
    context = link.context
    return (
        f'{{"traceId":"{context.trace_id:032x}","spanId":"{context.span_id:016x}",'
        f'"attributes":{_attributes(link.attributes or {})}}}'
    )


def _attributes(attributes: Mapping[str, Any]) -> str:
    # The list is taken in one step of the interpreter: a span in progress may get more meanwhile.
    pairs = [
        f'{{"key":{_key(key)},"value":{{"stringValue":{_text(value)}}}}}'
        if type(value) is str  # nearly every one
        else f'{{"key":{_key(key)},"value":{_any_value(value)}}}'
        for key, value in list(attributes.items())
        if value is not None
    ]
    return f"[{','.join(pairs)}]"


def _any_value(value: object) -> str:  # noqa: PLR0911  # one for each kind
    match value:
        case str():
            return f'{{"stringValue":{_text(value)}}}'
        case bool():
            return '{"boolValue":true}' if value else '{"boolValue":false}'
        case int():
            return f'{{"intValue":"{value:d}"}}'
        case float():
            return f'{{"doubleValue":{_number(value)}}}'
        case bytes():
            return f'{{"bytesValue":"{base64.b64encode(value).decode()}"}}'
        case Mapping():
            pairs = _attributes(cast("Mapping[str, Any]", value))
            return f'{{"kvlistValue":{{"values":{pairs}}}}}'
        case Sequence():
            items = ",".join(map(_any_value, cast("Sequence[object]", value)))
            return f'{{"arrayValue":{{"values":[{items}]}}}}'
        case _:
            return "{}" if value is None else _any_value(str(value))


def _number(value: float) -> str:
    if math.isfinite(value):
        return repr(float(value))
    return '"NaN"' if math.isnan(value) else f'"{"-" if value < 0 else ""}Infinity"'


@lru_cache(maxsize=1024)
def _key(key: str) -> str:
    return _text(key)


def _record(span: Json, resource: Mapping[str, Any]) -> SpanRecord | None:
    try:
        end = int(span.get("endTimeUnixNano", 0))
        status = span.get("status", {})
        return SpanRecord(
            trace_id=span["traceId"].lower(),
            span_id=span["spanId"].lower(),
            name=span.get("name", ""),
            start_ns=int(span["startTimeUnixNano"]),
            end_ns=end or None,
            parent_id=span.get("parentSpanId", "").lower() or None,
            kind=_KINDS[int(span.get("kind", 0))],
            status=_STATUSES[int(status.get("code", 0))],
            message=status.get("message", ""),
            attributes=_values(span.get("attributes", ())),
            events=tuple(
                SpanEvent(
                    event.get("name", ""),
                    int(event.get("timeUnixNano", 0)),
                    _values(event.get("attributes", ())),
                )
                for event in span.get("events", ())
            ),
            links=tuple(
                SpanLink(link["traceId"], link["spanId"], _values(link.get("attributes", ())))
                for link in span.get("links", ())
            ),
            service=str(resource.get(names.SERVICE_NAME, "")),
            instance=str(resource.get(names.SERVICE_INSTANCE_ID, "")),
        )
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def _values(pairs: Iterable[Json]) -> dict[str, Any]:
    return {pair["key"]: _value(pair.get("value", {})) for pair in pairs}


def _value(value: Json) -> Any:  # noqa: PLR0911  # one for each kind
    for kind, content in value.items():
        match kind:
            case "intValue":
                return int(content)
            case "doubleValue":
                return float(content)
            case "bytesValue":
                return base64.b64decode(content)
            case "arrayValue":
                return tuple(_value(item) for item in content.get("values", ()))
            case "kvlistValue":
                return _values(content.get("values", ()))
            case _:
                return content
    return None
