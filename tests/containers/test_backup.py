"""docs/how-to/back-up-and-restore.md and upgrade.md: their commands of Compose, carried out."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from motet.bus.manifest import MANIFEST
from tests.containers.compose import EMBEDDED, Compose
from tests.containers.mesh import ROOT, version
from tests.containers.scripted_server import QUESTION

PAGE = (ROOT / "docs/how-to/back-up-and-restore.md").read_text("utf-8")
BLOCKS = re.findall(
    r"^```sh\n(.*?)^```",
    PAGE + (ROOT / "docs/how-to/upgrade.md").read_text("utf-8"),
    re.DOTALL | re.MULTILINE,
)

pytestmark = pytest.mark.timeout(600)


def block(*words: str) -> str:
    """The one block of commands of the two pages that has these words."""
    (found,) = (each for each in BLOCKS if all(word in each for word in words))
    return found


def carried_out(stack: Compose, commands: str, folder: Path) -> str:
    """What a block's commands say, with the project of the test in the place of `motet`."""
    compose = shlex.join(stack.command)
    text = commands.replace("docker compose up", "docker compose up --no-build --pull never")
    text = text.replace("docker compose", compose)
    text = text.replace("docker volume rm motet_", f"docker volume rm {stack.project}_")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=stack.env,
        timeout=300,
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert not done.returncode, f"{text}: {done.stdout}\n{done.stderr}"
    return done.stdout


def test_streams_stores_and_keys(compose: list[str], images: Any, tmp_path: Path) -> None:
    """A mesh whose NATS and stores are lost answers as before, and keeps its keys."""
    images(*EMBEDDED)
    with Compose(compose, ["compose.test.yml"], MOTET_FOLDER=str(ROOT / "tests/containers")) as up:
        up.up()
        assert "1 added" in up.motet("ingest", "/work/harbour.md")
        assert "76" in up.motet("submit", "--follow", "--id", "mine", QUESTION)
        carried_out(up, block("compose run --rm backup backup monday"), tmp_path)
        out, back = block("--entrypoint tar backup -c").splitlines()
        carried_out(up, out, tmp_path)
        subprocess.run(["tar", "-xf", "monday.tar"], cwd=tmp_path, check=True)
        assert len(json.loads((tmp_path / "monday" / MANIFEST).read_text())["streams"]) == 14
        carried_out(up, block("stop retriever-embedded", "cp retriever-embedded"), tmp_path)
        (keys,) = re.findall(r"`(docker compose run .*? keys -c .*?)`", PAGE)
        carried_out(up, keys, tmp_path)
        listed = subprocess.run(
            ["tar", "-tf", "keys.tar"], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        assert {"keys/backup.seed", "keys/neo4j"} <= set(listed.stdout.split())

        up.run("run", "--rm", "-T", "--entrypoint", "rm", "backup", "-r", "monday")
        carried_out(up, back, tmp_path)
        carried_out(up, block("docker volume rm", "backup restore monday"), tmp_path)
        assert "76" in up.motet("result", "mine")
        assert "1 unchanged" in up.motet("ingest", "/work/harbour.md")
        upgrade = block("export MOTET_VERSION=0.2.0").replace("0.2.0", version())
        carried_out(up, upgrade, tmp_path)
        assert "76" in up.motet("submit", "--follow", QUESTION)


def test_neo4j(compose: list[str], images: Any, server: Any, tmp_path: Path) -> None:
    """A graph that was emptied after its dump is there again, and its password opens it."""
    images("cli", "graph")
    services = json.loads(
        subprocess.run(
            [*compose, "--profile", "*", "config", "--format", "json"],
            cwd=ROOT,
            check=True,
            capture_output=True,
        ).stdout
    )["services"]
    server(services["neo4j"]["image"])
    variables = {"COMPOSE_PROFILES": "core", "MOTET_MODEL": "none"}
    with Compose(compose, ["compose.test.yml"], **variables) as up:
        up.up("graph")
        count = "MATCH (n:Harbour) RETURN count(n) AS n"
        assert asked(up, "CREATE (:Harbour {name: 'mole'})") == []
        carried_out(up, block("database dump neo4j --to-path"), tmp_path)
        assert (tmp_path / "neo4j.dump").stat().st_size > 1000
        up.up("graph")
        asked(up, "MATCH (n:Harbour) DETACH DELETE n")
        assert asked(up, count) == [{"n": 0}]
        carried_out(up, block("database load neo4j --from-path"), tmp_path)
        up.up("graph")
        assert asked(up, count) == [{"n": 1}]


ASK = """
import json, pathlib, sys, neo4j
password = pathlib.Path("/run/motet/motet_graph_password").read_text().strip()
with neo4j.GraphDatabase.driver("bolt://neo4j:7687", auth=("neo4j", password)) as driver:
    records, _, _ = driver.execute_query(sys.argv[1])
    print("answer:", json.dumps([record.data() for record in records]))
"""


def asked(stack: Compose, statement: str) -> Any:
    """What Neo4j answers the graph's container."""
    said = stack.run("exec", "-T", "graph", "python", "-c", ASK, statement)
    return json.loads(said.partition("answer:")[2].splitlines()[0])
