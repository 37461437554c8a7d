"""Exporting never holds up whoever ends a span, and always ends in time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, TraceFlags

from motet.telemetry.background import BackgroundProcessor, Sink

SAMPLED, UNSAMPLED = TraceFlags(1), TraceFlags(0)


class Collected:
    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.closed = 0

    def export(self, spans: Sequence[ReadableSpan], /) -> None:
        self.batches.append([span.name for span in spans])

    def shutdown(self) -> None:
        self.closed += 1

    @property
    def names(self) -> list[str]:
        return [name for batch in self.batches for name in batch]


class Stuck(Collected):
    """Exports nothing until it is shut down or let go."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.let_go = threading.Event()

    def export(self, spans: Sequence[ReadableSpan], /) -> None:
        self.entered.set()
        self.let_go.wait()
        super().export(spans)

    def shutdown(self) -> None:
        super().shutdown()
        self.let_go.set()


def span(name: str, flags: TraceFlags = SAMPLED) -> ReadableSpan:
    return ReadableSpan(name, SpanContext(1, 2, False, flags))


@contextmanager
def processing(sink: Sink, **options: float) -> Iterator[BackgroundProcessor]:
    processor = BackgroundProcessor(sink, **{"interval_s": 60, **options})  # type: ignore[arg-type]
    yield processor
    processor.close(5)


def test_spans_are_exported_in_order_and_in_batches() -> None:
    sink = Collected()
    with processing(sink, max_batch=4) as processor:
        for number in range(10):
            processor.on_end(span(str(number)))
        assert processor.force_flush(5000)
        assert [len(batch) for batch in sink.batches] == [4, 4, 2]
        assert sink.names == [str(number) for number in range(10)]
        assert processor.dropped == 0


def test_spans_are_exported_without_being_asked() -> None:
    exported = threading.Event()

    class Noticed(Collected):
        def export(self, spans: Sequence[ReadableSpan], /) -> None:
            exported.set()

    with processing(Noticed(), interval_s=0.01) as processor:
        processor.on_end(span("a"))
        assert exported.wait(5)


def test_unsampled_spans_are_left_out() -> None:
    sink = Collected()
    with processing(sink) as processor:
        processor.on_end(span("a", UNSAMPLED))
        assert processor.force_flush(5000)
        assert sink.batches == []


def test_closing_exports_the_rest_and_closes_the_sink_once() -> None:
    sink = Collected()
    with processing(sink) as processor:
        processor.on_end(span("a"))
        assert processor.close(5)
        processor.on_end(span("too late"))
        processor.shutdown()
    assert sink.names == ["a"]
    assert sink.closed == 1
    assert processor.dropped == 1


def test_a_full_queue_drops_and_does_not_wait() -> None:
    sink = Stuck()
    with processing(sink, interval_s=0.001, max_queue=2) as processor:
        processor.on_end(span("being exported"))
        assert sink.entered.wait(5)
        for number in range(5):
            processor.on_end(span(str(number)))
        assert processor.dropped == 3
        sink.let_go.set()
        assert processor.force_flush(5000)
        assert sink.names == ["being exported", "0", "1"]


def test_a_stuck_sink_does_not_hold_up_flush_and_close() -> None:
    sink = Stuck()
    with processing(sink, interval_s=0.001) as processor:
        processor.on_end(span("a"))
        assert sink.entered.wait(5)
        began = time.monotonic()
        assert not processor.force_flush(50)
        assert not processor.close(0.05)
        assert time.monotonic() - began < 2
        assert sink.closed == 1


def test_a_failing_sink_is_told_once_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Collected):
        def export(self, spans: Sequence[ReadableSpan], /) -> None:
            if len(self.batches) < 3:
                self.batches.append([])
                raise OSError("no space left")
            super().export(spans)

    sink = Failing()
    with caplog.at_level(logging.WARNING), processing(sink, max_batch=1) as processor:
        for number in range(5):
            processor.on_end(span(str(number)))
        assert processor.force_flush(5000)
        assert sink.names == ["3", "4"]
    assert len([record for record in caplog.records if record.name.startswith("motet")]) == 1
