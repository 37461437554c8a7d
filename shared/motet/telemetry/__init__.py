"""Telemetry: traces, metrics and logs of the mesh.

One task is one trace. Import from here what services use; `motet.telemetry.names` has every name.
The span store and the drawing of traces are in `motet.telemetry.span_store` and
`motet.telemetry.tree`.
"""

from motet.telemetry import names
from motet.telemetry.metrics import Instruments, current_instruments
from motet.telemetry.propagation import extract, inject, span_context_of, traceparent_of
from motet.telemetry.setup import Telemetry, setup
from motet.telemetry.tracer import CurrentSpan, Tracer, current_tracer, fail

__all__ = [
    "CurrentSpan",
    "Instruments",
    "Telemetry",
    "Tracer",
    "current_instruments",
    "current_tracer",
    "extract",
    "fail",
    "inject",
    "names",
    "setup",
    "span_context_of",
    "traceparent_of",
]
