"""Telemetry goes where the settings and the standard variables say, and nowhere else."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry import metrics, trace
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from motet.errors import SetupError
from motet.settings import Settings
from motet.telemetry import names, setup


class Collector:
    """A collector's OTLP endpoint on loopback, which keeps what it is sent."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, bytes]] = []
        self.headers: list[dict[str, str]] = []
        self.answer = threading.Event()
        self.answer.set()
        self.asked = threading.Event()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector.asked.set()
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.answer.wait(30)
                collector.requests.append((self.path, body))
                collector.headers.append({k.lower(): v for k, v in self.headers.items()})
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self.answer.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def spans(self) -> dict[str, dict[str, str]]:
        """Names of spans and their resources."""
        found: dict[str, dict[str, str]] = {}
        for path, body in self.requests:
            if path == "/v1/traces":
                request = ExportTraceServiceRequest.FromString(body)
                for group in request.resource_spans:
                    resource = {a.key: a.value.string_value for a in group.resource.attributes}
                    for scope in group.scope_spans:
                        found.update({span.name: resource for span in scope.spans})
        return found

    def metrics(self) -> set[str]:
        return {
            metric.name
            for path, body in self.requests
            if path == "/v1/metrics"
            for group in ExportMetricsServiceRequest.FromString(body).resource_metrics
            for scope in group.scope_metrics
            for metric in scope.metrics
        }


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


async def test_spans_and_metrics_reach_the_endpoint(
    settings: Settings, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=motet")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    telemetry = setup("retriever", settings, version="1.2.3", instance="one")
    with telemetry.tracer.span("ours"):
        pass
    with telemetry.tracer_provider.get_tracer("library").start_as_current_span("theirs"):
        pass
    telemetry.instruments.task_ended("succeeded", 1.0)
    await telemetry.shutdown()
    assert collector.spans().keys() == {"ours", "theirs"}
    resource = collector.spans()["ours"]
    assert resource[names.SERVICE_NAME] == "motet-retriever"
    assert resource[names.SERVICE_NAMESPACE] == "motet"
    assert resource[names.SERVICE_VERSION] == "1.2.3"
    assert resource[names.SERVICE_INSTANCE_ID] == "one"
    assert resource["deployment.environment.name"] == "test"
    assert names.METRIC_TASKS in collector.metrics()
    assert all(headers["x-team"] == "motet" for headers in collector.headers)


def test_each_signal_has_a_switch_of_its_own(
    settings: Settings, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{collector.url}/v1/traces")
    telemetry = setup("retriever", settings)
    assert not telemetry.instruments.enabled
    telemetry.close()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    telemetry = setup("retriever", settings)
    assert telemetry.instruments.enabled
    with telemetry.tracer.span("work"):
        pass
    telemetry.close()
    assert collector.spans() == {}


def test_a_disabled_sdk_sends_nothing(
    settings: Settings, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_SDK_DISABLED", "TRUE")
    telemetry = setup("retriever", settings)
    with telemetry.tracer.span("work"):
        pass
    telemetry.instruments.task_ended("succeeded", 1.0)
    telemetry.close()
    assert collector.requests == []


def test_spans_arrive_without_a_shutdown(
    settings: Settings, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{collector.url}/v1/traces")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    telemetry = setup("retriever", settings)
    with telemetry.tracer.span("work"):
        pass
    assert collector.asked.wait(10)
    telemetry.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_collector_that_does_not_answer_holds_nothing_up(
    settings: Settings, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    collector.answer.clear()
    telemetry = setup("retriever", settings)
    began = time.monotonic()
    for _ in range(100):
        with telemetry.tracer.span("work"):
            pass
    telemetry.instruments.task_ended("succeeded", 1.0)
    await telemetry.shutdown(timeout_s=0.2)
    assert time.monotonic() - began < 5


async def test_a_collector_that_is_not_there_holds_nothing_up(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    others = set(threading.enumerate())
    telemetry = setup("retriever", settings)
    own = [
        thread
        for thread in set(threading.enumerate()) - others
        if thread.name.startswith(("Otel", "motet-spans"))
    ]
    assert own
    with telemetry.tracer.span("work"):
        pass
    telemetry.instruments.task_ended("succeeded", 1.0)
    began = time.monotonic()
    await telemetry.shutdown(timeout_s=0.2)
    assert time.monotonic() - began < 5
    # Nothing goes on trying once it is shut down.
    for thread in own:
        thread.join(5)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    "variable,value,told",
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json", "http/protobuf"),
        ("OTEL_BSP_SCHEDULE_DELAY", "soon", "positive whole number"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "positive whole number"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "many", "OTEL_SPAN_EVENT_COUNT_LIMIT"),
    ],
)
def test_a_wrong_variable_is_told(
    *,
    settings: Settings,
    collector: Collector,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    told: str,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv(variable, value)
    with pytest.raises(SetupError, match=variable) as raised:
        setup("retriever", settings)
    assert told in str(raised.value)


def test_a_missing_exporter_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(SetupError, match=r"motet\[otlp\]"):
        setup("retriever", settings)


def test_a_users_service_name_holds(
    settings: Settings, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    telemetry = setup("retriever", settings, exporters=[spans])
    telemetry.tracer.start_span("work").end()
    telemetry.close()
    assert spans.get_finished_spans()[0].resource.attributes[names.SERVICE_NAME] == "mine"


def test_an_instance_that_the_environment_names_holds(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=planner-0,k8s.pod.name=x")
    attributes = setup("planner", settings).tracer_provider.resource.attributes
    assert attributes[names.SERVICE_INSTANCE_ID] == "planner-0"
    assert attributes[names.SERVICE_NAME] == "motet-planner"


def test_two_set_ups_in_one_process_do_not_meet(settings: Settings) -> None:
    ends = InMemorySpanExporter(), InMemorySpanExporter()
    one, two = (setup("a", settings, exporters=[end]) for end in ends)
    with one.tracer.span("one"), two.tracer.span("two"):
        pass
    assert [span.name for span in ends[0].get_finished_spans()] == ["one"]
    assert [span.name for span in ends[1].get_finished_spans()] == ["two"]
    one.close()
    one.close()
    two.close()


def test_set_ups_may_share_an_exporter(settings: Settings, spans: InMemorySpanExporter) -> None:
    one, two = (setup(name, settings, exporters=[spans]) for name in ("a", "b"))
    one.close()
    with two.tracer.span("after the other closed"):
        pass
    assert len(spans.get_finished_spans()) == 1
    two.close()


def test_nothing_is_global_unless_asked(settings: Settings) -> None:
    before = trace.get_tracer_provider(), metrics.get_meter_provider()
    setup("a", settings).close()
    assert (trace.get_tracer_provider(), metrics.get_meter_provider()) == before


IN_A_PROCESS = """
import sys
from opentelemetry import trace
from motet.settings import Settings
from motet.telemetry import setup
telemetry = setup("a", Settings(spans_dir=sys.argv[1]), set_global=True)
with telemetry.tracer.span("ours"):
    trace.get_tracer("library").start_span("theirs").end()
heavy = [name for name in sys.modules if name.startswith(("requests", "opentelemetry.exporter"))]
assert not heavy, heavy
assert "opentelemetry.sdk.metrics" not in sys.modules
"""


def test_a_process_that_just_ends_loses_no_spans_and_imports_little(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", IN_A_PROCESS, str(tmp_path)], check=True, timeout=30)
    written = b"".join(path.read_bytes() for path in tmp_path.glob("*.jsonl"))
    assert b'"ours"' in written
    assert b'"theirs"' in written
