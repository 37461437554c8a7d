"""Sets the telemetry of one service up: traces, metrics, and where they go.

- OTLP over HTTP, when the standard variables name an endpoint: `OTEL_EXPORTER_OTLP_ENDPOINT`, or
  `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` and `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`. Headers,
  certificates, compression, timeouts, intervals, samplers and limits have their standard variables
  too (OpenTelemetry specification, `configuration/sdk-environment-variables.md`).
- The local span store, when `Settings.spans_dir` is set.
- Exporters that are given; they are called as each span ends, which suits tests.

`OTEL_SDK_DISABLED=true` turns everything off; context still travels. Several set-ups live side by
side in one process: only `set_global=True` changes anything beyond the `Telemetry` it returns.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from opentelemetry import metrics as metrics_api
from opentelemetry import trace
from opentelemetry.metrics import (
    CallbackOptions,
    Meter,
    MeterProvider,
    NoOpMeterProvider,
    Observation,
)
from opentelemetry.sdk import environment_variables as otel
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import (
    SpanLimits,
    SpanProcessor,
    SynchronousMultiSpanProcessor,
    TracerProvider,
)
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from motet.errors import SetupError
from motet.settings import Settings
from motet.telemetry import names, otlp
from motet.telemetry.background import BackgroundProcessor
from motet.telemetry.metrics import Instruments
from motet.telemetry.span_store import SpanFiles, SpanStoreProcessor
from motet.telemetry.tracer import Tracer

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricReader

__all__ = ["Telemetry", "setup"]

_log = logging.getLogger(__name__)

_LAST_S: Final = 0.1
"""Seconds that the end of metrics takes at least."""

Closing = Callable[[float], object]
"""Ends something within the seconds that it is given."""


@dataclass(frozen=True)
class Telemetry:
    """What a service measures itself with; who sets it up shuts it down."""

    service: str
    """The agent's name, or the program's."""
    tracer_provider: TracerProvider
    """The SDK's provider, for libraries that take one."""
    tracer: Tracer
    """Starts Motet's own spans."""
    meter: Meter
    """For metrics that `instruments` does not have."""
    instruments: Instruments
    """Motet's metrics."""
    _closings: list[Closing] = field(default_factory=list[Closing], repr=False)

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Exports the spans that have ended; False when that takes longer."""
        return self.tracer_provider.force_flush(int(timeout_s * 1000))

    async def shutdown(self, timeout_s: float = 5.0) -> None:
        """Exports what is left and stops, in about `timeout_s`; the event loop goes on."""
        await asyncio.to_thread(self.close, timeout_s)

    def close(self, timeout_s: float = 5.0) -> None:
        """`shutdown` for code without an event loop. A second call does nothing."""
        atexit.unregister(self.close)
        deadline = time.monotonic() + timeout_s
        while self._closings:
            closing = self._closings.pop(0)
            try:
                closing(max(0.0, deadline - time.monotonic()))
            except Exception:  # noqa: BLE001  # exporters are foreign code; the others still close
                _log.warning("telemetry could not be shut down in order", exc_info=True)


def setup(
    service: str,
    settings: Settings,
    *,
    version: str = "",
    instance: str = "",
    exporters: Sequence[SpanExporter] = (),
    metric_readers: Sequence[MetricReader] = (),
    set_global: bool = False,
) -> Telemetry:
    """Sets up what `service`, an agent's name, measures itself with.

    Args:
        service: Becomes `service.name` as `motet-<service>`, unless `OTEL_SERVICE_NAME` is set.
        settings: Where the span store is, and the mesh's namespace.
        version: Of the service; the version of `motet` when empty.
        instance: What tells this process from others of the service; random when empty.
        exporters: Called as each span ends, in the thread that ends it. They remain the caller's:
            several set-ups may share one, and none shuts it down.
        metric_readers: Read metrics besides OTLP.
        set_global: Whether libraries that ask OpenTelemetry for the process' tracer and meter get
            these; for the main of a process.

    Raises:
        SetupError: A variable is wrong, a package is missing, or the store cannot be written.
    """
    instance = instance or uuid4().hex
    resource = _resource(service, settings, version, instance)
    enabled = os.environ.get(otel.OTEL_SDK_DISABLED, "").strip().lower() != "true"
    closings: list[Closing] = []
    processors: list[SpanProcessor] = []
    sender: BackgroundProcessor | None = None
    if enabled:
        if settings.spans_dir is not None:
            process = re.sub(r"[^A-Za-z0-9_.-]", "_", f"{service}-{instance}")
            store = SpanStoreProcessor(SpanFiles(settings.spans_dir, process))
            processors.append(store)
            closings.append(store.close)
        processors.extend(SimpleSpanProcessor(exporter) for exporter in exporters)
        if otlp.wanted("traces"):
            sender = otlp.span_processor()
            processors.append(sender)
            closings.append(sender.close)
    provider, tracer = _tracing(resource, processors, enabled=enabled)
    meters = _metering(resource, metric_readers, closings) if enabled else None
    if set_global:
        trace.set_tracer_provider(provider)
        if meters is not None:
            metrics_api.set_meter_provider(meters)
    meter = (meters or NoOpMeterProvider()).get_meter(names.SCOPE)
    instruments = Instruments(meter, enabled=meters is not None, tenants=settings.metrics_tenants)
    tracer.instruments = instruments
    if meters is not None and sender is not None:
        _count_dropped(meter, sender)
    telemetry = Telemetry(service, provider, tracer, meter, instruments, closings)
    if closings:
        atexit.register(telemetry.close)
    return telemetry


def _resource(service: str, settings: Settings, version: str, instance: str) -> Resource:
    attributes = {
        names.SERVICE_NAMESPACE: settings.namespace,
        names.SERVICE_VERSION: version or _motet_version(),
    }
    # What is given here goes before the environment; a pod's name says more than a random number.
    if f"{names.SERVICE_INSTANCE_ID}=" not in os.environ.get(otel.OTEL_RESOURCE_ATTRIBUTES, ""):
        attributes[names.SERVICE_INSTANCE_ID] = instance
    if not os.environ.get(otel.OTEL_SERVICE_NAME):
        attributes[names.SERVICE_NAME] = f"motet-{service}"
    return Resource.create(attributes)


def _motet_version() -> str:
    try:
        return metadata.version("motet")
    except metadata.PackageNotFoundError:  # run from a source tree that is not installed
        return "unknown"


def _tracing(
    resource: Resource, processors: Sequence[SpanProcessor], *, enabled: bool
) -> tuple[TracerProvider, Tracer]:
    try:
        limits = SpanLimits()
    except ValueError as error:
        raise SetupError(f"A limit of OpenTelemetry is wrong: {error}.") from error
    chain = SynchronousMultiSpanProcessor()
    provider = TracerProvider(
        resource=resource, active_span_processor=chain, span_limits=limits, shutdown_on_exit=False
    )
    for processor in processors:
        provider.add_span_processor(processor)
    scope = InstrumentationScope(names.SCOPE, _motet_version())
    return provider, Tracer(provider, chain, scope, limits, enabled=enabled)


def _count_dropped(meter: Meter, sender: BackgroundProcessor) -> None:
    def dropped(_: CallbackOptions) -> list[Observation]:
        return [Observation(sender.dropped)]

    meter.create_observable_counter(
        names.METRIC_SPANS_DROPPED, [dropped], "{span}", "Spans that could not be sent in time."
    )


def _metering(
    resource: Resource, readers: Sequence[MetricReader], closings: list[Closing]
) -> MeterProvider | None:
    """A provider with the readers, or None when nobody reads."""
    readers = [*readers, otlp.metric_reader()] if otlp.wanted("metrics") else readers
    if not readers:
        return None
    from opentelemetry.sdk import metrics as sdk  # costs 50 ms, seldom wanted

    provider = sdk.MeterProvider(readers, resource, shutdown_on_exit=False)
    # Without any time left, its thread would not even be told to end.
    closings.append(lambda timeout_s: provider.shutdown(max(_LAST_S, timeout_s) * 1000))
    return provider
