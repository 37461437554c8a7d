"""OTLP over HTTP, as the standard variables of OpenTelemetry ask for it.

The exporter is an extra, `motet[otlp]`, and imported only when an endpoint is set.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Literal

from opentelemetry.sdk import environment_variables as otel

from motet.errors import SetupError
from motet.telemetry.background import BackgroundProcessor

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricReader

__all__ = ["metric_reader", "span_processor", "wanted"]

_INTERVAL_MS: Final = 1000
"""The SDK waits five seconds; `motet trace` and Jaeger should know sooner."""
_METRICS_INTERVAL_MS: Final = 15_000
"""The SDK waits a minute; Prometheus asks four times in one."""
_BATCH: Final = 512
_QUEUE: Final = 20_000
_PROTOCOL: Final = "http/protobuf"


def wanted(signal: Literal["traces", "metrics"]) -> bool:
    """Whether an endpoint is set for a signal, and its export is not switched off.

    Raises:
        SetupError: The protocol asked for is not `http/protobuf`.
    """
    own = f"OTEL_EXPORTER_OTLP_{signal.upper()}"
    endpoint = os.environ.get(f"{own}_ENDPOINT") or os.environ.get(otel.OTEL_EXPORTER_OTLP_ENDPOINT)
    exporters = os.environ.get(f"OTEL_{signal.upper()}_EXPORTER") or "otlp"
    if not endpoint or "otlp" not in [name.strip() for name in exporters.split(",")]:
        return False
    variable = f"{own}_PROTOCOL"
    if not os.environ.get(variable):
        variable = otel.OTEL_EXPORTER_OTLP_PROTOCOL
    protocol = os.environ.get(variable) or _PROTOCOL
    if protocol != _PROTOCOL:
        raise SetupError(
            f"{variable}={protocol!r} is not supported: set it to {_PROTOCOL}, and the endpoint to "
            "the collector's port for that, 4318 as a rule."
        )
    return True


def span_processor() -> BackgroundProcessor:
    """Sends spans in batches.

    Raises:
        SetupError: The exporter is not installed, or a variable is wrong.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
            OTLPSpanExporter,
        )
    except ImportError as error:
        raise _not_installed() from error
    return BackgroundProcessor(
        OTLPSpanExporter(),
        interval_s=_number(otel.OTEL_BSP_SCHEDULE_DELAY, _INTERVAL_MS) / 1000,
        max_batch=_number(otel.OTEL_BSP_MAX_EXPORT_BATCH_SIZE, _BATCH),
        max_queue=_number(otel.OTEL_BSP_MAX_QUEUE_SIZE, _QUEUE),
    )


def metric_reader() -> MetricReader:
    """Sends metrics at the interval `OTEL_METRIC_EXPORT_INTERVAL`, 15 seconds by default.

    Raises:
        SetupError: The exporter is not installed, or a variable is wrong.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import (
            OTLPMetricExporter,
        )
    except ImportError as error:
        raise _not_installed() from error
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    return PeriodicExportingMetricReader(
        OTLPMetricExporter(), _number(otel.OTEL_METRIC_EXPORT_INTERVAL, _METRICS_INTERVAL_MS)
    )


def _number(variable: str, default: int) -> int:
    text = os.environ.get(variable, "").strip() or str(default)
    if not text.isdecimal() or int(text) == 0:
        raise SetupError(f"{variable}={text!r} is wrong: it must be a positive whole number.")
    return int(text)


def _not_installed() -> SetupError:
    return SetupError(
        "An OTLP endpoint is set (OTEL_EXPORTER_OTLP_...ENDPOINT), but the exporter is not "
        "installed. Install it with `pip install 'motet[otlp]'`, or unset the variable."
    )
