"""Jaeger, the collector and Prometheus as processes on loopback, with the files of deploy/.

What differs from deploy/ is said here: ports, that nobody but this machine is answered, and how
soon things happen. Everything else that a test sees is what operators get.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from motet.embedded.processes import ProcessOwner, ProcessSpec
from motet.telemetry import names
from motet.telemetry.otlp_json import decode
from motet.telemetry.tree import TraceTree
from tests.tools.built import built

DEPLOY = Path(__file__).parents[3] / "deploy"

T = TypeVar("T")


def free_ports(count: int) -> list[str]:
    """Addresses on loopback that nobody listened on a moment ago."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return addresses


async def get(url: str, **query: str) -> Any:
    """What an API answers, as JSON or, where that it is not, as text; None when it does not."""
    if query:
        url = f"{url}?{urllib.parse.urlencode(query)}"
    return await asyncio.to_thread(_get, url)


def _get(url: str) -> Any:
    request = urllib.request.Request(url, headers={"Accept": "application/openmetrics-text, */*"})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            body = response.read().decode()
    except urllib.error.HTTPError as error:
        if error.code in (404, 503):  # 503: it starts
            return None
        raise AssertionError(f"{url}: {error.code} {error.read().decode()}") from None
    except OSError:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return body


async def until(look: Callable[[], Any], within_s: float = 60) -> Any:
    """The first thing that an awaited look gives which is true; the last one when time is up."""
    deadline = time.monotonic() + within_s
    while not (found := await look()) and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    return found


@dataclass(frozen=True)
class Jaeger:
    """Jaeger, or what speaks with it."""

    api: str
    otlp: str
    """Where it takes OTLP over HTTP."""
    otlp_grpc: str

    async def search(self, tags: Mapping[str, str], service: str = "motet-planner") -> list[str]:
        """Ids of the traces that its search finds, as its own page asks for them."""
        answer = await get(
            f"{self.api}/api/traces", service=service, tags=json.dumps(tags), lookback="1h"
        )
        return [trace["traceID"] for trace in (answer or {}).get("data") or []]

    async def tree(self, trace: str) -> TraceTree:
        """A trace, read from its API in the form of OTLP."""
        answer = await get(f"{self.api}/api/v3/traces/{trace}")
        return TraceTree.of(decode(json.dumps((answer or {"result": {}})["result"]).encode()))

    async def task(self, task: str, spans: int) -> TraceTree:
        """The trace of a task, found by its tag, once it has so many spans."""

        async def look() -> TraceTree | None:
            traces = await self.search({names.TASK: task})
            tree = await self.tree(traces[0]) if len(traces) == 1 else None
            return tree if tree and len(list(tree.walk())) >= spans else None

        found: TraceTree | None = await until(look)
        assert found is not None, f"Jaeger has no trace of task {task} with {spans} spans"
        return found


@dataclass(frozen=True)
class Collector:
    """The collector's addresses."""

    otlp: str
    metrics: str
    """What Prometheus reads: the services' metrics."""
    own_metrics: str
    """Its own."""


@asynccontextmanager
async def jaeger(folder: Path, *, store: str = "in_memory") -> AsyncGenerator[Jaeger]:
    """Jaeger with deploy/jaeger/config.yaml."""
    http, grpc, query, query_grpc, health, own = free_ports(6)
    disk = {"keys": str(folder / "keys"), "values": str(folder / "values")}
    changes = {
        "receivers": _otlp(grpc, http),
        "extensions": {
            "jaeger_query": {"http": {"endpoint": query}, "grpc": {"endpoint": query_grpc}},
            "jaeger_storage": {"backends": {"on_disk": {"badger": {"directories": disk}}}},
            "healthcheckv2": {"http": {"endpoint": health}},
        },
        "service": {"telemetry": _telemetry(own)},
    }
    async with _running("jaeger", folder, changes, health, {"MOTET_TRACE_STORE": store}):
        yield Jaeger(f"http://{query}", f"http://{http}", grpc)


@asynccontextmanager
async def collector(
    folder: Path, jaeger_otlp: str, *, percent: int = 100, decision_s: float = 1
) -> AsyncGenerator[Collector]:
    """The collector with deploy/collector/config.yaml.

    Args:
        folder: For its log.
        jaeger_otlp: Where it sends traces.
        percent: Of traces without anything remarkable.
        decision_s: After which a trace is decided on.
    """
    http, grpc, metrics, health, own = free_ports(5)
    changes = {
        "receivers": _otlp(grpc, http),
        "processors": {"tail_sampling": {"decision_wait": f"{decision_s}s"}},
        "exporters": {"prometheus": {"endpoint": metrics}},
        "extensions": {"healthcheckv2": {"http": {"endpoint": health}}},
        "service": {"telemetry": _telemetry(own)},
    }
    env = {"MOTET_JAEGER_OTLP": jaeger_otlp, "MOTET_TRACE_PERCENT": str(percent)}
    async with _running("collector", folder, changes, health, env):
        yield Collector(f"http://{http}", f"http://{metrics}/metrics", f"http://{own}/metrics")


@asynccontextmanager
async def prometheus(folder: Path, motet: Collector) -> AsyncGenerator[str]:
    """Prometheus with deploy/prometheus; gives the URL of its API."""
    (address,) = free_ports(1)
    config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(DEPLOY / "prometheus/rules/*.yml")]
    targets = {"motet": motet.metrics, "collector": motet.own_metrics}
    config["scrape_configs"] = [
        {**job, "static_configs": [{"targets": [urllib.parse.urlparse(target).netloc]}]}
        for job in config["scrape_configs"]
        if (target := targets.get(job["job_name"]))
    ]
    command = (
        str(built("prometheus") / "prometheus"),
        f"--config.file={_written(folder / 'prometheus.yml', config)}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--enable-feature=exemplar-storage",
    )
    async with ProcessOwner() as owner:
        await owner.start(ProcessSpec("prometheus", command, folder / "prometheus.log"))
        url = f"http://{address}"
        assert await until(lambda: get(f"{url}/-/ready")), (folder / "prometheus.log").read_text()
        yield url


@asynccontextmanager
async def _running(
    name: str, folder: Path, changes: dict[str, Any], health: str, env: dict[str, str]
) -> AsyncGenerator[None]:
    changed = _written(folder / f"{name}.yaml", changes)
    command = (
        str(built("jaeger") / "jaeger"),
        f"--config={DEPLOY / name / 'config.yaml'}",
        f"--config={changed}",
    )
    log = folder / f"{name}.log"
    async with ProcessOwner() as owner:
        await owner.start(ProcessSpec(name, command, log, {**os.environ, **env}))
        assert await until(lambda: get(f"http://{health}/status")), log.read_text()
        yield


def _written(path: Path, config: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(config))
    return path


def _otlp(grpc: str, http: str) -> dict[str, Any]:
    return {"otlp": {"protocols": {"grpc": {"endpoint": grpc}, "http": {"endpoint": http}}}}


def _telemetry(address: str) -> dict[str, Any]:
    host, _, port = address.partition(":")
    reader = {"pull": {"exporter": {"prometheus": {"host": host, "port": int(port)}}}}
    return {"metrics": {"readers": [reader]}}
