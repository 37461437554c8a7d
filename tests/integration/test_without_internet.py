"""docs/how-to/install-without-internet.md: nothing calls out, and what is carried is enough."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from motet.models import weights

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "install-without-internet.md").read_text("utf-8")
LINES = [
    line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]
CUT_OFF = ("unshare", "--net", "--mount")
# The smallest of the locked requirements, in the place of all of them.
SMALL = "requirements/core.txt"


def can_be_cut_off() -> str:
    """Why no network of its own can be made here; empty where it can."""
    if os.geteuid() != 0:
        return "a network namespace takes root"
    for program in ("unshare", "ip", "mount"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    tried = subprocess.run(
        [*CUT_OFF, "ip", "link", "set", "lo", "up"],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if tried.returncode == 0 else f"no network namespace: {tried.stderr.strip()}"


needs_namespace = pytest.mark.skipif(bool(can_be_cut_off()), reason=can_be_cut_off())


def environment() -> dict[str, str]:
    left_out = re.compile(r"(MOTET|OTEL|PIP|UV)_|\w+_proxy$", re.IGNORECASE)
    return {name: value for name, value in os.environ.items() if not left_out.match(name)}


@needs_namespace
@pytest.mark.timeout(300)
def test_a_mesh_does_a_task_and_calls_nobody(tmp_path: Path) -> None:
    done = subprocess.run(
        [*CUT_OFF, sys.executable, "-m", "tests.integration.cut_off", str(tmp_path)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    did = json.loads(done.stdout.splitlines()[-1])
    assert len(did["agents"]) == 6
    assert did["state"] == "succeeded", did
    assert "38 metres" in did["answer"]
    assert did["scores"] > 0
    assert did["asked"] == []
    assert did["connected"] == []
    # A name that is not there, and an address that would be: both would have been noted.
    assert did["probes"] == [False, True, True, True]


@needs_namespace
@pytest.mark.timeout(300)
def test_wheels_that_were_carried_are_installed(tmp_path: Path) -> None:
    download, build = (line for line in LINES if line.startswith("pip download"))
    everything = "--requirement requirements/bootstrap.txt --requirement requirements/dev.txt"
    assert everything in download
    download = download.replace(everything, f"--requirement {ROOT / SMALL}")
    for line in (download, build):
        got = subprocess.run(
            [sys.executable, "-m", *line.split()],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        if got.returncode and "No matching distribution" in got.stderr:
            pytest.skip(f"no package index is reached: {got.stderr.splitlines()[-1]}")
        assert got.returncode == 0, got.stderr
    (variables,) = (line for line in LINES if line.startswith("export PIP_NO_INDEX"))
    uv = Path(sys.executable).parent / "uv"
    script = f"""
        set -e
        ip link set lo up
        {variables}
        {sys.executable} -m venv --without-pip there
        {uv} pip sync --quiet --no-cache --require-hashes --python there/bin/python {ROOT / SMALL}
        there/bin/python -c 'import nats, pydantic, faststream, nkeys'
    """
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", script],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_weights_are_found_where_they_were_carried_to(tmp_path: Path) -> None:
    (line,) = (line for line in LINES if "models pull" in line)
    name = line.split()[-1]
    assert line.startswith("MOTET_CACHE_DIR=$PWD/weights ")
    carried = tmp_path / "weights" / "models" / name
    carried.mkdir(parents=True)
    for file in weights.manifest()[name].files:
        with (carried / file.name).open("wb") as made:
            made.truncate(file.size)
    found = subprocess.run(
        [sys.executable, "-m", "motet.cli", "models", "path", name],
        env={
            **environment(),
            "MOTET_WEIGHTS_DIR": str(tmp_path / "weights"),
            "MOTET_CACHE_DIR": str(tmp_path / "cache"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert Path(found.stdout.strip()).parent == carried


def test_composes_servers_report_to_nobody() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    told = {name: each.get("environment", {}) for name, each in services.items()}
    assert told["qdrant"]["QDRANT__TELEMETRY_DISABLED"] == "true"
    assert told["neo4j"]["NEO4J_dbms_usage__report_enabled"] == "false"
    grafana = told["grafana"]
    for name in ("REPORTING_ENABLED", "CHECK_FOR_UPDATES", "CHECK_FOR_PLUGIN_UPDATES"):
        assert grafana[f"GF_ANALYTICS_{name}"] == "false"
    assert grafana["GF_NEWS_NEWS_FEED_ENABLED"] == "false"
    assert grafana["GF_PLUGINS_PREINSTALL_DISABLED"] == "true"
    assert grafana["GF_SECURITY_DISABLE_GRAVATAR"] == "true"
    # Every server of others that compose runs is spoken of.
    others = {each["image"] for each in services.values() if "motet/" not in each["image"]}
    for image in others:
        name = image.partition(":")[0].rpartition("/")[2].removesuffix("-contrib")
        known = name.replace("opentelemetry-collector", "collector").replace("nats", "NATS")
        assert known.casefold() in PAGE.casefold(), image


def test_its_links_are_there() -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", PAGE):
        assert (ROOT / "docs" / "how-to" / link).exists(), link
