"""All six services as containers of testcontainers, beside the servers that they stand on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from testcontainers.community.neo4j import Neo4jContainer
from testcontainers.community.qdrant import QdrantContainer
from testcontainers.core.container import DockerContainer

from motet.bus import Bus
from motet.client import Motet
from motet.messages import CallFinished, Task, TaskState
from motet.settings import Settings
from motet.telemetry import setup
from tests.containers.mesh import ROOT, ContainerMesh, healthy
from tests.unit.speech.sounds import babble, wav

SCRIPTED = "http://scripted:8000/v1"
MODEL = {"MOTET_MODEL": "local:scripted", "MOTET_MODEL_URL": SCRIPTED}
SERVICES: dict[str, dict[str, str]] = {
    "planner": MODEL,
    "retriever": {},
    "graph-embedded": {"MOTET_GRAPH_EXTRACTION": "offline"},
    "tool_executor": {},
    "speech": {
        "MOTET_SPEECH_MODEL": "openai:whisper-1",
        "MOTET_SPEECH_URL": SCRIPTED,
        "MOTET_SPEECH_API_KEY": "none",
    },
    "evaluator": MODEL,
}
FOLDER = ROOT / "tests" / "containers"
DOCUMENT = {
    "source": "harbour.md",
    "media_type": "text/markdown",
    "text": (FOLDER / "harbour.md").read_text("utf-8"),
}


def start(mesh: ContainerMesh, services: dict[str, dict[str, str]]) -> None:
    """Starts services, and waits until they take calls."""
    for container in [mesh.start(name, env=env) for name, env in services.items()]:
        healthy(container, 120)


@pytest.fixture
async def motet(mesh: ContainerMesh) -> AsyncIterator[Motet]:
    """A client on this machine."""
    settings = Settings(nats_url=mesh.url)
    async with Bus.open(settings, setup("client", settings)) as bus:
        yield Motet(bus)


@pytest.mark.timeout(300)
async def test_a_task_goes_through_all_six_services(
    mesh: ContainerMesh, motet: Motet, images: Any, tmp_path: Path
) -> None:
    images(*SERVICES)
    mesh.start(
        "cli",
        entrypoint=["python", "/scripted_server.py", "8000"],
        files={FOLDER / "scripted_server.py": "/scripted_server.py"},
        network_aliases=["scripted"],
    )
    start(mesh, SERVICES)
    await motet.call("retriever.ingest", {"documents": [DOCUMENT]})
    recording = tmp_path / "question.wav"
    recording.write_bytes(wav(babble(3)))
    task = Task(
        goal="Answer the question.",
        inputs=(await motet.attach(recording),),
        retrieval="hybrid_graph",
    )
    handle = await motet.submit(task)
    record = await handle.result(120)
    assert record.state == TaskState.SUCCEEDED, record.fault
    assert record.answer is not None
    assert "76" in record.answer.text
    assert (await handle.evaluation(60)).scores
    finished = {
        event.skill.partition(".")[0]
        async for _, event in handle.events()
        if isinstance(event, CallFinished) and event.ok
    }
    assert finished >= {"retriever", "graph", "tool_executor", "speech"}


@pytest.mark.timeout(300)
async def test_the_graph_stands_on_neo4j(
    mesh: ContainerMesh, motet: Motet, images: Any, server: Any
) -> None:
    images("graph", "retriever")
    neo4j = Neo4jContainer(server("neo4j:5.26.0-community"), password="a-test-password")
    mesh.add(neo4j, "neo4j")
    graph = {
        "MOTET_GRAPH_URL": "bolt://neo4j:7687",
        "MOTET_GRAPH_PASSWORD": neo4j.password,
        "MOTET_GRAPH_EXTRACTION": "offline",
    }
    start(mesh, {"graph": graph, "retriever": {}})
    await motet.call("retriever.ingest", {"documents": [DOCUMENT]})
    found = await motet.call("graph.search", {"query": "Who built the Harbour Tower?"})
    assert "Harbour Tower" in str(found)
    with neo4j.get_driver() as driver:
        assert driver.execute_query("MATCH (n) RETURN count(n) AS n").records[0]["n"] > 0


@pytest.mark.timeout(180)
async def test_retrievers_share_a_qdrant(
    mesh: ContainerMesh, motet: Motet, images: Any, server: Any
) -> None:
    images("retriever")
    mesh.add(QdrantContainer(server("qdrant/qdrant:v1.20.0")), "qdrant")
    own = {"MOTET_RETRIEVER_URL": "http://qdrant:6333"}
    start(mesh, {"retriever": own})
    await motet.call("retriever.ingest", {"documents": [DOCUMENT]})
    start(mesh, {"retriever": own})
    for _ in range(8):
        found = await motet.call("retriever.search", {"query": "How high is the tower?"})
        assert "38 metres" in str(found)


@pytest.mark.timeout(180)
async def test_a_call_is_seen_in_jaeger(
    mesh: ContainerMesh, motet: Motet, images: Any, server: Any
) -> None:
    images("tool_executor")
    jaeger = DockerContainer(server("jaegertracing/jaeger:2.13.0")).with_exposed_ports(16686)
    mesh.add(jaeger, "jaeger")
    start(mesh, {"tool_executor": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://jaeger:4318"}})
    await motet.call("tool_executor.calculate", {"expression": "2 * 38"})
    address = f"http://{jaeger.get_container_host_ip()}:{jaeger.get_exposed_port(16686)}"
    async with httpx.AsyncClient(base_url=address) as client:
        traces: list[Any] = []
        while not traces:
            answer = await client.get("/api/traces", params={"service": "motet-tool_executor"})
            traces = answer.json()["data"] if answer.is_success else []
    names = {span["operationName"] for trace in traces for span in trace["spans"]}
    assert "execute_tool calculate" in names
