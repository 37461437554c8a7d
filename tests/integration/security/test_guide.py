"""docs/how-to/secure-nats.md: its commands do what it says, and the server takes their files."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import trustme
from typer.testing import CliRunner

from motet.cli.main import app
from motet.embedded.nats import server_binary

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "how-to" / "secure-nats.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)
    for line in block.splitlines()
]


def accepted(folder: Path) -> subprocess.CompletedProcess[str]:
    """What the server says of a folder's configuration."""
    command = [str(server_binary()), "-c", "nats.conf", "-t"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a server, with the repository's configuration."""
    for file in (ROOT / "deploy" / "nats").glob("*.conf"):
        shutil.copy(file, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command_is_run(server: Path) -> None:
    assert any(command.startswith("nats-server") for command in COMMANDS)
    for command in COMMANDS:
        words = shlex.split(command)
        if words[0] == "nats-server":
            words[0] = str(server_binary())
            subprocess.run(words, cwd=server, check=True, capture_output=True)
        else:
            assert words[0] == "motet"
            done = CliRunner().invoke(app, words[1:])
            assert done.exit_code == 0, (command, done.output)
    assert accepted(server).returncode == 0


def test_the_configuration_takes_tls(server: Path) -> None:
    CliRunner().invoke(app, ["nats", "keys", "accounts"])
    certs = server / "certs"
    certs.mkdir()
    authority = trustme.CA()
    authority.cert_pem.write_to_path(certs / "ca.crt")
    made = authority.issue_cert("nats.example")
    made.cert_chain_pems[0].write_to_path(certs / "tls.crt")
    made.private_key_pem.write_to_path(certs / "tls.key")
    config, tls = server / "nats.conf", server / "tls.conf"
    config.write_text(config.read_text().replace("# include tls.conf", "include tls.conf"))
    assert accepted(server).returncode == 0
    tls.write_text(re.sub(r"# (ca_file|verify)", r"\1", tls.read_text()))
    assert "verify: true" in tls.read_text()
    done = accepted(server)
    assert done.returncode == 0, done.stderr


def test_a_server_without_accounts_does_not_start(server: Path) -> None:
    assert accepted(server).returncode != 0
