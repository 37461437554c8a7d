"""`motet backup` and `motet restore`, as an operator uses them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from motet.bus.backups import ORDER
from motet.bus.manifest import MANIFEST
from motet.messages import new_id
from tests.integration.command_line import CommandLine
from tests.integration.embedded_agents import ECHO

PAGE = (Path(__file__).parents[2] / "docs/how-to/back-up-and-restore.md").read_text("utf-8")


@pytest.mark.timeout(120)
def test_a_mesh_is_backed_up_and_restored_elsewhere(
    tmp_path: Path, nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the two commands that docs/how-to/back-up-and-restore.md begins with."""
    monkeypatch.chdir(tmp_path)
    motet = CommandLine.make(tmp_path, echo=ECHO).with_(MOTET_NAMESPACE=f"t{new_id()[:12]}")
    (backup, monday), (restore, again_monday) = re.findall(
        r"^motet (\w+) (\S+)$", PAGE, re.MULTILINE
    )
    assert (backup, restore, again_monday) == ("backup", "restore", monday)
    tuesday = str(tmp_path / "backups" / "tuesday")
    with motet.up("--agent", "echo"):
        assert motet("submit", "--follow", "--id", "mine", "go").returncode == 0
        done = motet("backup", monday)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"{len(ORDER)} streams, ")
        assert done.stdout.endswith(f" MB are in {monday}.\n")
        # Where it is no terminal, each step is a line.
        steps = done.stderr.splitlines()
        assert len([step for step in steps if step.startswith("copying ")]) == len(ORDER)

        again = motet("backup", monday)
        assert again.returncode == 3
        assert "give each backup a folder of its own" in again.stderr
        standing = motet("restore", monday)
        assert standing.returncode == 3
        assert "a restore changes nothing that is there" in standing.stderr
        manifest = motet.json("backup", tuesday)
    assert manifest == json.loads(Path(tuesday, MANIFEST).read_text())

    elsewhere = motet.with_(MOTET_NATS_URL=nats_url)
    archive = Path(monday, manifest["streams"][-1]["name"], "stream.tar.s2")
    whole = archive.read_bytes()
    archive.write_bytes(whole[:-1])
    damaged = elsewhere("restore", monday)
    assert damaged.returncode == 3
    assert "is damaged" in damaged.stderr
    archive.write_bytes(whole)

    lonely = elsewhere("restore", monday, "--replicas", "3")
    assert lonely.returncode == 4
    assert "`--replicas 1` restores to a single server" in lonely.stderr
    back = elsewhere("restore", monday)
    assert back.returncode == 0, back.stderr
    assert back.stdout.endswith(f" MB are back from {monday}.\n")
    steps = back.stderr.splitlines()
    assert len([step for step in steps if step.startswith("restoring ")]) == len(ORDER)
    assert elsewhere.json("result", "mine")["answer"]["text"] == "go"
