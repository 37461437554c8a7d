"""docker-compose.yml: what it states, and that it answers a task."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest

from motet.bus import Bus
from motet.client import Motet
from motet.errors import SetupError
from motet.settings import Settings
from motet.telemetry import setup
from tests.containers.compose import EMBEDDED, Compose, free_port
from tests.containers.mesh import ROOT
from tests.containers.scripted_server import QUESTION


def configuration(compose: list[str], *profiles: str) -> dict[str, Any]:
    """The file as Compose reads it."""
    options = [word for profile in profiles for word in ("--profile", profile)]
    done = subprocess.run(
        [*compose, *options, "config", "--format", "json"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    read: dict[str, Any] = json.loads(done.stdout)
    return read


def test_without_a_profile_everything_is_meant(compose: list[str]) -> None:
    services = configuration(compose)["services"]
    assert services.keys() >= {"nats", "qdrant", "neo4j", "planner", "retriever", "graph", "model"}
    assert services.keys() >= {"collector", "jaeger", "prometheus", "grafana"}
    assert "graph-embedded" not in services


def test_embedded_needs_neither_qdrant_nor_neo4j(compose: list[str]) -> None:
    services = configuration(compose, "embedded")["services"]
    assert services.keys() >= {"nats", "planner", "retriever-embedded", "graph-embedded"}
    assert not services.keys() & {"qdrant", "neo4j", "retriever", "graph", "jaeger", "model"}


def test_every_container_is_pinned_limited_and_on_loopback_only(compose: list[str]) -> None:
    for name, service in configuration(compose, "*")["services"].items():
        assert re.search(r":v?\d+\.\d+[\w.-]*$", service["image"]), name
        assert int(service["mem_limit"]) > 0, name
        assert service["pids_limit"] > 0, name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert {port["host_ip"] for port in service.get("ports", [])} <= {"127.0.0.1"}, name
        if name != "neo4j":
            assert service["read_only"], name
            assert service["cap_drop"] == ["ALL"], name


def test_a_container_sees_its_own_key_only(compose: list[str]) -> None:
    services = configuration(compose, "*")["services"]
    keys: dict[str, set[str]] = {}
    for name, service in services.items():
        for volume in service.get("volumes", []):
            if volume["type"] == "volume" and volume["source"].startswith("key"):
                keys.setdefault(volume["source"], set()).add(name.removesuffix("-embedded"))
    keys.pop("keys")
    for source, readers in keys.items():
        assert len(readers - {"keys"}) == 1, source


@pytest.fixture(scope="module")
def stack(compose: list[str], engine: docker.DockerClient, images: Any) -> Iterator[Compose]:
    """The services with stores of their own, up and healthy, and a scripted model."""
    images(*EMBEDDED)
    with Compose(compose, ["compose.test.yml"], MOTET_FOLDER=str(ROOT / "tests/containers")) as up:
        up.up()
        yield up


@pytest.mark.timeout(400)
def test_compose_answers_a_task(stack: Compose) -> None:
    agents = stack.motet("agents")
    for name in ("planner", "retriever", "graph", "tool_executor", "speech", "evaluator"):
        assert name in agents
    assert "1 added" in stack.motet("ingest", "/work/harbour.md")
    answer = stack.motet("submit", "--follow", QUESTION)
    assert "76" in answer
    assert "harbour" in answer


@pytest.mark.timeout(400)
async def test_services_stand_on_neo4j_and_are_seen_by_prometheus(
    compose: list[str], images: Any, server: Any
) -> None:
    images("cli", "graph", "tool_executor")
    parts = ("neo4j", "collector", "jaeger", "prometheus")
    services = configuration(compose, "*")["services"]
    for part in parts:
        server(services[part]["image"])
    port = free_port()
    variables = {
        "COMPOSE_PROFILES": "core,observability",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
        "MOTET_JAEGER_PORT": str(free_port()),
        "MOTET_PROMETHEUS_PORT": str(port),
        "MOTET_MODEL": "none",
    }
    with Compose(compose, ["compose.test.yml"], **variables) as up:
        up.up("graph", "tool_executor", *parts[1:])
        async with httpx.AsyncClient() as client:
            while True:
                asked = await client.get(f"http://127.0.0.1:{port}/api/v1/targets")
                targets = asked.json()["data"]["activeTargets"]
                if targets and all(target["health"] == "up" for target in targets):
                    break
                await asyncio.sleep(1)  # Prometheus tells nobody when it has asked
            while True:
                jobs = await client.get(f"http://127.0.0.1:{port}/api/v1/label/job/values")
                if {"motet/motet-graph", "motet/motet-tool_executor"} <= set(jobs.json()["data"]):
                    break
                await asyncio.sleep(1)  # nor when it has been told of somebody


@pytest.mark.timeout(400)
async def test_nats_asks_for_a_key(stack: Compose, tmp_path: Path) -> None:
    key = tmp_path / "operator.nkey"
    take = ("run", "--rm", "--no-deps", "-T", "--entrypoint", "cat", "cli", "/run/motet/nkey")
    seed = next(line for line in stack.run(*take).splitlines() if line.startswith("SU"))
    key.write_text(seed, "ascii")
    url = f"nats://127.0.0.1:{stack.nats_port}"
    known = Settings(nats_url=url, nats_nkey=key, nats_user="operator")
    async with Bus.open(known, setup("client", known)) as bus:
        assert not await Motet(bus).wait_for_agents({"planner"}, 20)
    unknown = Settings(nats_url=url)
    with pytest.raises(SetupError):
        async with Bus.open(unknown, setup("client", unknown)):
            pass
