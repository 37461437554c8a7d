"""What docs/how-to/install-without-internet.md says of images."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import docker
import yaml

from tests.containers.mesh import ROOT

PAGE = (ROOT / "docs" / "how-to" / "install-without-internet.md").read_text("utf-8")


def test_compose_names_every_image_that_it_runs(compose: list[str]) -> None:
    assert "docker compose config --images" in PAGE
    done = subprocess.run(
        [*compose, "config", "--images"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"].values()
    profiles = set(
        re.findall(r"^COMPOSE_PROFILES=(.*)$", (ROOT / ".env").read_text(), re.MULTILINE)[0].split(
            ","
        )
    )
    wanted = {each["image"] for each in services if profiles & set(each["profiles"])}
    wanted = {re.sub(r"\$\{MOTET_VERSION:-(.*)\}", r"\1", image) for image in wanted}
    assert set(done.stdout.split()) == wanted


def test_compose_has_the_options_of_the_page(compose: list[str]) -> None:
    for command, options in re.findall(r"^docker compose (\w+) (--.*)$", PAGE, re.MULTILINE):
        words = [*compose, command, "--help"]
        said = subprocess.run(words, capture_output=True, text=True, check=True)
        for option in re.findall(r"--[\w-]+", options):
            assert option in said.stdout, (command, option)


def test_an_image_that_was_carried_runs_without_a_network(
    engine: docker.DockerClient, images: Any, tmp_path: Path
) -> None:
    (tag,) = images("cli")
    # Under a name of its own, so that what others use stays.
    engine.images.get(tag).tag("motet-test/carried", "1")
    try:
        file = tmp_path / "motet-images.tar"
        saved = ["docker", "save", "--output", str(file), "motet-test/carried:1"]
        subprocess.run(saved, check=True)
        engine.images.remove("motet-test/carried:1")
        subprocess.run(["docker", "load", "--input", str(file)], check=True, capture_output=True)
        said = engine.containers.run(
            "motet-test/carried:1",
            ["models", "list"],
            network_mode="none",
            read_only=True,
            tmpfs={"/tmp": ""},
            remove=True,
        )
        assert b"bge-small-en-v1.5" in said
    finally:
        engine.images.remove("motet-test/carried:1", force=True)
