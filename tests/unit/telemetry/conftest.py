"""What the telemetry tests share: settings, spans in memory, no OTEL_ variables from outside."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from motet.settings import Settings
from motet.telemetry import Telemetry, setup


@pytest.fixture(autouse=True)
def no_otel_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def telemetry(settings: Settings, spans: InMemorySpanExporter) -> Iterator[Telemetry]:
    telemetry = setup("tester", settings, exporters=[spans])
    yield telemetry
    telemetry.close()
