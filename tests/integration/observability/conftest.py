"""A mesh whose spans leave the process, over OTLP."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from motet.settings import Settings
from motet.telemetry import Telemetry, setup
from motet.testing import TestMesh
from motet.testing.mesh import test_mesh


class Traced(Protocol):
    """Makes a mesh that sends its spans to an address."""

    def __call__(self, otlp: str, /) -> Any: ...


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", cache_dir=tmp_path / "cache")


@pytest.fixture
def traced(nats_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Traced:
    @asynccontextmanager
    async def traced(otlp: str) -> AsyncGenerator[TestMesh]:
        made: list[Telemetry] = []

        def kept(*given: Any, **named: Any) -> Telemetry:
            made.append(setup(*given, **named))
            return made[-1]

        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{otlp}/v1/traces")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        monkeypatch.setattr("motet.testing.mesh.setup", kept)
        # In the default namespace spans have the names that outlines have.
        async with test_mesh(nats_url, tmp_path / "mesh", namespace="motet") as mesh:
            yield mesh
        for telemetry in made:
            await telemetry.shutdown()

    return traced
