"""Spans of a test's mesh: what has ended, what has not, and waiting for the rest."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from typing_extensions import override

from motet.telemetry import Telemetry, names
from motet.telemetry.record import SpanRecord
from motet.telemetry.tree import TraceTree

__all__ = ["SpanRecorder"]


class SpanRecorder(SpanProcessor):
    """Keeps every span of the set-ups that it records."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._open: dict[tuple[int, int], ReadableSpan] = {}
        self._ended: list[ReadableSpan] = []
        self._changed = asyncio.Event()

    def record(self, telemetry: Telemetry) -> Telemetry:
        """Records the spans of a set-up, and gives the set-up back."""
        telemetry.tracer_provider.add_span_processor(self)
        return telemetry

    @override
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Notes that a span is in progress."""
        with self._lock:
            self._open[_key(span)] = span

    @override
    def on_end(self, span: ReadableSpan) -> None:
        """Keeps a span."""
        with self._lock:
            self._open.pop(_key(span), None)
            self._ended.append(span)
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._changed.set)

    def spans(self) -> list[SpanRecord]:
        """What has ended, in the order of its end.

        Subjects in names are spelled as in the default namespace, so that an assertion on them
        holds in any.
        """
        with self._lock:
            ended = list(self._ended)
        return [self._renamed(SpanRecord.of(span)) for span in ended]

    async def trace(self, task: str, timeout_s: float) -> TraceTree:
        """The trace of a task once nothing in it is in progress, or what there is in time."""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    self._changed.clear()
                    tree = TraceTree.of(self.spans(), task=task)
                    traces = {node.span.trace_id for node in tree.walk()}
                    with self._lock:
                        busy = any(f"{trace:032x}" in traces for trace, _ in self._open)
                    if tree.connected and not busy:
                        return tree
                    await self._changed.wait()
        except TimeoutError:
            return TraceTree.of(self.spans(), task=task)

    def _renamed(self, span: SpanRecord) -> SpanRecord:
        for key in (names.MESSAGING_DESTINATION_NAME, names.MESSAGING_DESTINATION_TEMPLATE):
            destination = span.attributes.get(key)
            if not isinstance(destination, str) or not span.name.endswith(destination):
                continue
            renamed = f"motet.{destination.removeprefix(self._namespace + '.')}"
            return dataclasses.replace(
                span,
                name=span.name.removesuffix(destination) + renamed,
                attributes={**span.attributes, key: renamed},
            )
        return span


def _key(span: Any) -> tuple[int, int]:
    context = span.get_span_context()
    return context.trace_id, context.span_id
