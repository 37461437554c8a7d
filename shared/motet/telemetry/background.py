"""Exports spans from a thread of their own, so that ending a span costs an append.

OpenTelemetry's `BatchSpanProcessor` takes 4 µs a span, wakes its thread from the thread that ends
a span, and ignores the time that a flush is given. What always holds here:

- The thread that ends a span waits neither for a lock nor for the sink; when the queue is full,
  the span is dropped and counted.
- A span is handed to the sink within `interval_s` of its end, unless the sink is behind.
- Between batches the thread lets go of the interpreter, so that an event loop beside it waits for
  one batch at most.
- `force_flush` and `close` return in the time that they are given, whatever the sink does.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from opentelemetry import context as context_api
from opentelemetry.context import (
    _SUPPRESS_INSTRUMENTATION_KEY,  # pyright: ignore[reportPrivateUsage]  # as the SDK's processors do
    Context,
)
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

__all__ = ["BackgroundProcessor", "Sink"]

_PAUSE_S: Final = 0.0005
_log = logging.getLogger(__name__)


class Sink(Protocol):
    """Where spans go: an OpenTelemetry `SpanExporter` is one."""

    def export(self, spans: Sequence[ReadableSpan], /) -> object:
        """Takes a batch; called by one thread at a time."""
        ...

    def shutdown(self) -> None:
        """Ends an export that is under way, and gives resources back."""
        ...


class BackgroundProcessor(SpanProcessor):
    """Hands sampled spans to a sink, in batches, from a daemon thread."""

    def __init__(
        self,
        sink: Sink,
        *,
        interval_s: float,
        max_batch: int = 512,
        max_queue: int = 20_000,
        close_within_s: float = 5,
    ) -> None:
        """At most `max_queue` spans wait; `close_within_s` bounds `shutdown`."""
        self.dropped = 0
        """Spans that found the queue full or the processor closed."""
        self._sink = sink
        self._interval_s = interval_s
        self._max_batch = max_batch
        self._max_queue = max_queue
        self._close_within_s = close_within_s
        self._queue: deque[ReadableSpan] = deque()
        self._wake = threading.Event()
        self._flush = threading.Condition()
        self._flushes_asked = 0
        self._flushes_done = 0
        self._closing = False
        self._failing = False
        self._sink_open = True
        self._thread = threading.Thread(target=self._run, name="motet-spans", daemon=True)
        self._thread.start()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing to do."""

    def on_end(self, span: ReadableSpan) -> None:
        """Queues a span."""
        context = span.context
        if context is None or not context.trace_flags & 1:
            return
        if self._closing or len(self._queue) >= self._max_queue:
            self.dropped += 1
        else:
            self._queue.append(span)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Waits until the spans that have ended are exported; False when that takes longer."""
        with self._flush:
            self._flushes_asked += 1
            mine = self._flushes_asked
            self._wake.set()
            return self._flush.wait_for(lambda: self._flushes_done >= mine, timeout_millis / 1000)

    def shutdown(self) -> None:
        """Exports what is left and closes the sink, within the processor's own bound."""
        self.close(self._close_within_s)

    def close(self, timeout_s: float) -> bool:
        """`shutdown` within another time; False when spans may be lost."""
        self._closing = True
        self._wake.set()
        self._thread.join(timeout_s)
        in_time = not self._thread.is_alive()
        self._close_sink()
        return in_time

    def on_interval(self) -> None:
        """What a subclass does besides, in the thread, each `interval_s`."""

    def _run(self) -> None:
        context_api.attach(context_api.set_value(_SUPPRESS_INSTRUMENTATION_KEY, value=True))
        while not self._closing:
            self._wake.wait(self._interval_s)
            self._wake.clear()
            self._drain()
        self._drain()
        self._close_sink()

    def _drain(self) -> None:
        asked = self._flushes_asked
        left = len(self._queue)
        while left > 0 and self._sink_open:
            size = min(left, self._max_batch)
            batch = [self._queue.popleft() for _ in range(size)]
            self._guard(lambda spans=batch: self._sink.export(spans))
            left -= size
            if left > 0:
                time.sleep(_PAUSE_S)
        self._guard(self.on_interval)
        with self._flush:
            self._flushes_done = asked
            self._flush.notify_all()

    def _close_sink(self) -> None:
        with self._flush:
            was_open, self._sink_open = self._sink_open, False
        if was_open:
            self._guard(self._sink.shutdown)

    def _guard(self, step: Callable[[], object]) -> None:
        """Runs a step whose failure must not end the thread; the first of a row is logged."""
        try:
            step()
        except Exception:  # noqa: BLE001  # a sink is foreign code
            if not self._failing:
                _log.warning("spans could not be written", exc_info=True)
            self._failing = True
        else:
            self._failing = False
