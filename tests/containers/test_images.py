"""Each image is what deploy/Dockerfile promises."""

from __future__ import annotations

import json
import re
from typing import Any

import docker
import pytest

from tests.containers.mesh import HARDENED, ROOT, ContainerMesh, healthy, output, version

SERVICES = sorted(path.parent.name for path in ROOT.glob("services/*/requirements.txt"))
IMAGES = ["cli", "graph-embedded", *SERVICES]
LOCKS = {
    "cli": ["requirements/cli.txt"],
    "graph-embedded": ["requirements/graph-embedded.txt", "requirements/core.txt"],
    **{name: [f"services/{name}/requirements.txt", "requirements/core.txt"] for name in SERVICES},
}
LIST = (
    "import importlib.metadata as m, json, sys;"
    "print(json.dumps({d.metadata['Name']: d.version for d in m.distributions()}))"
)


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_says_what_it_is_and_starts_without_a_shell_or_root(
    name: str, engine: docker.DockerClient, images: Any
) -> None:
    (tag,) = images(name)
    config = engine.images.get(tag).attrs["Config"]
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"][0] in {"python", "motet"}
    assert not config.get("Cmd") or name == "cli"
    assert list(config["Volumes"]) == ["/data"]
    labels = config["Labels"]
    assert labels["org.opencontainers.image.title"] == f"motet/{name.removesuffix('-embedded')}"
    assert labels["org.opencontainers.image.version"] == version()
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    if name != "cli":
        assert config["Healthcheck"]["Test"][0] == "CMD"


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_has_what_its_locks_name_and_nothing_else(
    name: str, engine: docker.DockerClient, images: Any
) -> None:
    (tag,) = images(name)
    said = engine.containers.run(
        tag, ["-c", LIST], entrypoint="/opt/motet/bin/python", remove=True, **HARDENED
    )
    installed = {canonical(each): pin for each, pin in json.loads(said).items()}
    own = {each for each in installed if each == "motet" or each.startswith("motet-")}
    service = name.removesuffix("-embedded").replace("_", "-")
    assert own == ({"motet"} if name == "cli" else {"motet", f"motet-{service}"})
    locked = {
        canonical(each): pin
        for lock in LOCKS[name]
        for each, pin in re.findall(
            r"^([\w.-]+)==([^\s;\\]+)", (ROOT / lock).read_text("utf-8"), re.MULTILINE
        )
    }
    strangers = {each: pin for each, pin in installed.items() if each not in own}
    assert strangers.items() <= locked.items()


EMBEDS = (
    "import asyncio; from motet.models import embedder; from motet.settings import load_settings;"
    "print(asyncio.run(embedder(load_settings()).embed(['a text'])).shape)"
)
HEARS = (
    "import numpy as np; from motet.settings import load_settings;"
    "from motet_speech.choice import transcriber_of; from motet_speech.settings import *;"
    "print(transcriber_of(load_settings(SpeechSettings), load_settings()).name)"
)


@pytest.mark.parametrize(
    "name, code, expected",
    [
        *((name, EMBEDS, "(1, 384)") for name in ("evaluator", "graph", "retriever")),
        ("speech", HEARS, "local:whisper-tiny.en"),
    ],
)
def test_an_image_carries_its_weights(
    name: str, code: str, expected: str, engine: docker.DockerClient, images: Any
) -> None:
    (tag,) = images(name)
    said = engine.containers.run(
        tag, ["-c", code], entrypoint="python", remove=True, network_mode="none", **HARDENED
    )
    assert said.decode().splitlines()[-1] == expected


@pytest.mark.timeout(180)
def test_a_service_lives_and_stops_in_a_read_only_container(
    mesh: ContainerMesh, images: Any
) -> None:
    images("tool_executor")
    service = mesh.start("tool_executor")
    healthy(service)
    assert output(service, "id", "-u") == (0, "10001\n")
    assert output(service, "cat", "/proc/1/cmdline") == (0, "python\0/opt/run_agent.py\0")
    for path in ("/x", "/app/x", "/opt/motet/x", "/etc/x"):
        status, said = output(service, "touch", path)
        assert status, path
        assert "Read-only" in said
    for path in ("/data/x", "/data/cache/x", "/tmp/x"):
        assert output(service, "touch", path) == (0, "")
    service.stop(timeout=20)
    service.reload()
    assert service.attrs["State"]["ExitCode"] == 0, service.logs().decode()
    assert '"error"' not in service.logs().decode()


@pytest.mark.timeout(180)
def test_a_service_without_nats_is_not_healthy(mesh: ContainerMesh, images: Any) -> None:
    images("tool_executor")
    service = mesh.start("tool_executor")
    healthy(service)
    mesh.nats.stop(timeout=5)
    status, said = output(service, "python", "-I", "-S", "/opt/healthy.py")
    assert status == 1, said
    assert "not healthy" in said


@pytest.mark.timeout(120)
def test_a_wrong_setting_ends_a_container_with_a_sentence(mesh: ContainerMesh, images: Any) -> None:
    images("tool_executor")
    service = mesh.start("tool_executor", env={"MOTET_ACK_WAIT_S": "soon"})
    assert service.wait(timeout=60)["StatusCode"] == 2
    said = service.logs().decode()
    assert "Traceback" not in said
    assert "MOTET_ACK_WAIT_S='soon' is wrong" in said
