"""Motet's own tracer behaves as OpenTelemetry's does, and is cheaper."""

from __future__ import annotations

import asyncio
import timeit
from pathlib import Path

import pytest
from opentelemetry import baggage, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode

from motet.errors import FaultError
from motet.messages import FaultType
from motet.settings import Settings
from motet.telemetry import Telemetry, current_tracer, extract, fail, inject, names, setup
from motet.telemetry.tracer import RecordedSpan

SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = SAMPLED[:-2] + "00"


def only(spans: InMemorySpanExporter) -> RecordedSpan:
    (span,) = spans.get_finished_spans()
    assert isinstance(span, RecordedSpan)
    return span


def test_a_span_has_what_it_was_given(telemetry: Telemetry, spans: InMemorySpanExporter) -> None:
    given = {"a": 1, "b": "two"}
    earlier = SpanContext(1, 2, True)
    with telemetry.tracer.span(
        "work", SpanKind.CONSUMER, given, links=[Link(earlier, {"why": "retry"})]
    ) as span:
        given["a"] = 2
        span.set_attribute("c", 3.5)
        span.set_attributes({"d": [True, False]})
        span.add_event("half", {"percent": 50})
        span.add_link(SpanContext(3, 4, True))
        span.update_name("better work")
        assert span.is_recording()
    assert not span.is_recording()
    ended = only(spans)
    assert ended.name == "better work"
    assert ended.kind is SpanKind.CONSUMER
    assert ended.attributes == {"a": 1, "b": "two", "c": 3.5, "d": [True, False]}
    assert [(event.name, event.attributes) for event in ended.events] == [("half", {"percent": 50})]
    assert [link.context.span_id for link in ended.links] == [2, 4]
    assert ended.start_time is not None
    assert ended.end_time is not None
    assert ended.start_time <= ended.end_time
    assert ended.status.status_code is StatusCode.UNSET
    assert ended.resource.attributes[names.SERVICE_NAME] == "motet-tester"
    assert ended.instrumentation_scope is not None
    assert ended.instrumentation_scope.name == names.SCOPE


def test_an_ended_span_does_not_change(telemetry: Telemetry, spans: InMemorySpanExporter) -> None:
    span = telemetry.tracer.start_span("work")
    span.end(17)
    span.end(18)
    span.set_attribute("late", 1)
    span.add_event("late")
    span.add_link(SpanContext(1, 2, True))
    span.update_name("late")
    span.set_status(StatusCode.ERROR)
    fail(span, RuntimeError("late"))
    ended = only(spans)
    assert (ended.name, ended.end_time, ended.attributes, ended.events) == ("work", 17, {}, ())
    assert ended.status.status_code is StatusCode.UNSET
    assert ended.links == ()


def test_spans_nest_by_what_is_current(telemetry: Telemetry, spans: InMemorySpanExporter) -> None:
    with telemetry.tracer.span("outer") as outer:
        with telemetry.tracer.span("inner"):
            pass
        assert trace.get_current_span() is outer
    assert trace.get_current_span() is trace.INVALID_SPAN
    inner, ended = spans.get_finished_spans()
    assert inner.parent == ended.context
    assert ended.parent is None
    assert inner.context is not None
    assert ended.context is not None
    assert inner.context.trace_id == ended.context.trace_id


def test_a_message_makes_the_next_process_a_child(
    telemetry: Telemetry, spans: InMemorySpanExporter
) -> None:
    headers: dict[str, str] = {}
    with telemetry.tracer.span(
        "send", context=baggage.set_baggage("tenant", "a", Context())
    ) as sent:
        inject(headers)
    with telemetry.tracer.span("process", context=extract(headers)):
        assert baggage.get_baggage("tenant") == "a"
        inject(further := {})
    assert baggage.get_baggage("tenant") is None
    _, received = spans.get_finished_spans()
    assert received.parent is not None
    assert received.parent.is_remote
    assert received.parent.span_id == sent.get_span_context().span_id
    assert further["baggage"] == headers["baggage"]


def test_libraries_spans_join(telemetry: Telemetry, spans: InMemorySpanExporter) -> None:
    library = telemetry.tracer_provider.get_tracer("library")
    with (
        telemetry.tracer.span("ours"),
        library.start_as_current_span("theirs"),
        telemetry.tracer.span("ours again"),
    ):
        pass
    innermost, theirs, ours = spans.get_finished_spans()
    assert innermost.parent == theirs.context
    assert theirs.parent == ours.context


def test_code_that_is_given_no_tracer_finds_the_one_of_its_caller(telemetry: Telemetry) -> None:
    with telemetry.tracer.span("outer"):
        assert current_tracer() is telemetry.tracer
        with telemetry.tracer_provider.get_tracer("library").start_as_current_span("theirs"):
            assert current_tracer() is not telemetry.tracer
    assert current_tracer() is not telemetry.tracer


def test_opentelemetrys_own_form_works(telemetry: Telemetry, spans: InMemorySpanExporter) -> None:
    def work() -> None:
        with telemetry.tracer.start_as_current_span("work", attributes={"a": 1}) as span:
            assert trace.get_current_span() is span
            raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        work()
    assert only(spans).status.status_code is StatusCode.ERROR


def test_an_unsampled_parent_is_carried_on(
    telemetry: Telemetry, spans: InMemorySpanExporter
) -> None:
    headers: dict[str, str] = {}
    with telemetry.tracer.span("work", context=extract({"traceparent": UNSAMPLED})) as span:
        assert not span.is_recording()
        inject(headers)
    assert headers["traceparent"].startswith(SAMPLED[:35])
    assert headers["traceparent"].endswith("-00")
    assert spans.get_finished_spans() == ()


@pytest.mark.parametrize(
    "sampler,root,child",
    [
        ("always_off", False, False),
        ("parentbased_always_off", False, True),
        ("always_on", True, True),
    ],
)
def test_the_standard_sampler_variable_holds(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, sampler: str, root: bool, child: bool
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    tracer = setup("tester", settings).tracer
    context = extract({"traceparent": SAMPLED})
    for span, expected in (
        (tracer.start_span("r"), root),
        (tracer.start_span("c", context), child),
    ):
        assert span.is_recording() == expected
        assert span.get_span_context().trace_flags.sampled == expected
        span.end()


def test_the_standard_limits_hold(
    settings: Settings, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "2")
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "3")
    monkeypatch.setenv("OTEL_SPAN_EVENT_COUNT_LIMIT", "1")
    telemetry = setup("tester", settings, exporters=[spans])
    with telemetry.tracer.span("work", attributes={"a": "abcdef"}) as span:
        span.set_attributes({"b": 1, "c": 2})
        span.set_attribute("b", 3)
        span.add_event("first")
        span.add_event("second")
    ended = only(spans)
    assert ended.attributes == {"a": "abc", "b": 3}
    assert ended.dropped_attributes == 1
    assert [event.name for event in ended.events] == ["first"]
    telemetry.close()


def test_a_disabled_sdk_records_nothing_and_hands_the_context_on(
    settings: Settings,
    spans: InMemorySpanExporter,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    settings = settings.model_copy(update={"spans_dir": tmp_path / "spans"})
    telemetry = setup("tester", settings, exporters=[spans])
    headers: dict[str, str] = {}
    with telemetry.tracer.span("work", context=extract({"traceparent": SAMPLED})):
        inject(headers)
    assert headers == {"traceparent": SAMPLED}
    with telemetry.tracer.span("root"):
        inject(nothing := {})
    assert nothing == {}
    assert spans.get_finished_spans() == ()
    assert not (tmp_path / "spans").exists()


def test_a_fault_is_told_by_its_type(telemetry: Telemetry, spans: InMemorySpanExporter) -> None:
    with pytest.raises(FaultError), telemetry.tracer.span("work"):
        raise FaultError.of(FaultType.NOT_FOUND, "There is no such thing.")
    ended = only(spans)
    assert ended.attributes == {names.ERROR_TYPE: "not_found"}
    assert ended.status.status_code is StatusCode.ERROR
    assert ended.status.description == "There is no such thing."
    assert ended.events == ()


def test_an_exception_is_told_with_its_traceback(
    telemetry: Telemetry, spans: InMemorySpanExporter
) -> None:
    with pytest.raises(LookupError), telemetry.tracer.span("work"):
        raise LookupError("gone")
    ended = only(spans)
    assert ended.attributes == {names.ERROR_TYPE: "LookupError"}
    assert ended.status.description == "LookupError: gone"
    (event,) = ended.events
    assert event.name == names.EXCEPTION_EVENT
    assert event.attributes is not None
    assert event.attributes[names.EXCEPTION_TYPE] == "LookupError"
    assert "in test_an_exception" in str(event.attributes[names.EXCEPTION_STACKTRACE])


def test_a_cancellation_is_told_as_such(telemetry: Telemetry, spans: InMemorySpanExporter) -> None:
    with pytest.raises(asyncio.CancelledError), telemetry.tracer.span("work"):
        raise asyncio.CancelledError
    assert only(spans).attributes == {names.ERROR_TYPE: "cancelled"}


async def test_tasks_of_one_loop_have_spans_of_their_own(
    telemetry: Telemetry, spans: InMemorySpanExporter
) -> None:
    async def work(name: str) -> None:
        with telemetry.tracer.span(name):
            await asyncio.sleep(0)
            with telemetry.tracer.span(f"{name} inner"):
                await asyncio.sleep(0)

    with telemetry.tracer.span("outer") as outer:
        await asyncio.gather(*(work(f"task {number}") for number in range(10)))
    ended = {span.name: span for span in spans.get_finished_spans()}
    for number in range(10):
        assert ended[f"task {number}"].parent == outer.get_span_context()
        assert ended[f"task {number} inner"].parent == ended[f"task {number}"].context


def test_exporters_take_recorded_spans(telemetry: Telemetry, spans: InMemorySpanExporter) -> None:
    with telemetry.tracer.span(
        "work", SpanKind.PRODUCER, {"a": 1}, links=[Link(SpanContext(1, 2, True))]
    ):
        pass
    request = encode_spans(spans.get_finished_spans())
    (encoded,) = request.resource_spans[0].scope_spans[0].spans
    assert encoded.name == "work"
    assert encoded.attributes[0].key == "a"
    assert len(encoded.links) == 1
    assert only(spans).to_json()


def test_a_span_costs_less_than_half_of_the_sdks(settings: Settings) -> None:
    telemetry = setup("tester", settings)
    attributes = {f"motet.attribute.{number}": "a value" for number in range(8)}
    context = extract({"traceparent": SAMPLED})
    ours, theirs = (
        min(
            timeit.repeat(
                lambda tracer=tracer: tracer.start_span(
                    "work", context, SpanKind.CONSUMER, attributes
                ).end(),
                number=500,
                repeat=7,
            )
        )
        for tracer in (telemetry.tracer, telemetry.tracer_provider.get_tracer("sdk"))
    )
    assert ours * 2 < theirs
