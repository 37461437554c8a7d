"""docs/how-to/separate-tenants.md: its commands run, and what it says is apart is apart."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import signal
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import NotFoundError

from motet.bus.intake import SUBMISSIONS
from motet.bus.lasting import LastingClient
from motet.bus.permissions import AGENTS, OTHERS
from motet.bus.topology import Topology
from motet.bus.users import KeyRing
from motet.client import Motet
from motet.embedded.nats import server_binary
from motet.embedded.processes import OwnedProcess, ProcessOwner, ProcessSpec
from motet.messages import Task
from motet.settings import Settings
from motet.testing import TestMesh
from tests.integration.test_readme import planner

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "how-to" / "separate-tenants.md").read_text("utf-8")
BY_NAME, BY_NAMESPACE = PAGE.split("## A namespace each")
NAMESPACES = ("acme", "globex")
PROGRAMS = {"motet": (sys.executable, "-m", "motet.cli"), "python": (sys.executable,)}


def lines(text: str) -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


@dataclass
class Shell:
    """Runs the page's lines as a shell would, in a folder, at a server."""

    folder: Path
    url: str
    variables: dict[str, str]
    server: OwnedProcess | None = None

    async def reload(self) -> None:
        """Has the server read its accounts anew."""
        log = self.folder / "nats.log"
        assert self.server is not None
        self.server.signal(signal.SIGHUP)
        async with asyncio.timeout(10):
            while "Reloaded server configuration" not in log.read_text():  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # a log gives no event

    async def __call__(self, line: str, **variables: str) -> tuple[int, str]:
        """A line's status, and all that it wrote."""
        words = shlex.split(line)
        if words[0] == "export":
            self.variables |= self._assigned(words[1:])
            return 0, ""
        assigned = [word for word in words if re.match(r"[A-Z_]+=", word)]
        program, *arguments = words[len(assigned) :]
        ran = await asyncio.create_subprocess_exec(
            *(*PROGRAMS[program], *arguments),
            cwd=self.folder,
            env={**_clean(), **self.variables, **self._assigned(assigned), **variables},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await ran.communicate()
        return ran.returncode or 0, said.decode()

    def _assigned(self, words: Iterable[str]) -> dict[str, str]:
        made = dict(word.split("=", 1) for word in words)
        return {
            name: self.url if name == "MOTET_NATS_URL" else value for name, value in made.items()
        }


def _clean() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MOTET_")}
    return {**kept, "MOTET_STREAM_MAX_BYTES": str(32 << 20), "MOTET_MODEL": "openai:none"}


@pytest_asyncio.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    """After all that the page tells to do for two namespaces, up to a client's own lines."""
    shell = Shell(tmp_path, "", {"COLUMNS": "200"})
    keys, server, *rest = lines(BY_NAMESPACE.split("## On Kubernetes")[0])
    assert (await shell(keys))[0] == 0
    config = (ROOT / "deploy" / "nats" / "nats.conf").read_text()
    for ours, theirs in {
        "port: 4222": "port: -1",
        "http_port: 8222": "",
        "/data": str(tmp_path / "store"),
    }.items():
        assert ours in config
        config = config.replace(ours, theirs, 1)
    (tmp_path / "nats.conf").write_text(config)
    words = shlex.split(server)
    assert words[0] == "nats-server"
    command = (str(server_binary()), *words[1:], "--ports_file_dir", str(tmp_path))
    log = tmp_path / "nats.log"
    async with ProcessOwner(grace_s=2) as owner:
        shell.server = process = await owner.start(
            ProcessSpec(
                "nats", ("/bin/sh", "-c", f"cd {tmp_path} && exec {shlex.join(command)}"), log
            )
        )

        def url() -> str | None:
            found = re.search(r"nats://[\d.]+:\d+", "".join(map(Path.read_text, ports())))
            return found and found[0].replace("0.0.0.0", "127.0.0.1")

        def ports() -> list[Path]:
            return list(tmp_path.glob("*.ports"))

        shell.url = await process.ready(url, within_s=20, what="has not opened its port")
        for line in rest:
            if line.startswith("export MOTET_NAMESPACE"):
                break
            status, said = await shell(line)
            assert status == 0, (line, said)
        yield shell


def clients_lines() -> list[str]:
    found = lines(BY_NAMESPACE.split("## On Kubernetes")[0])
    (first,) = (index for index, line in enumerate(found) if "acme-client" in line)
    return found[first:]


async def test_a_client_of_one_namespace_submits_there(shell: Shell) -> None:
    for line in clients_lines():
        status, said = await shell(line)
        assert status == 0, said
    task = said.strip()
    # The page's keys with the other's namespace: not to submit, and not to see.
    for words in (("submit", "x"), ("result", task), ("agents",)):
        status, said = await shell(shlex.join(["motet", *words]), MOTET_NAMESPACE="globex")
        assert status != 0, (words, said)
        assert "MOTET_NATS" in said or "NATS does not" in said or "user" in said, said


@asynccontextmanager
async def signed_on(shell: Shell, user: str) -> AsyncIterator[tuple[Client, list[str]]]:
    """A bare connection of a user, and what the server refuses it."""
    refused: list[str] = []

    async def note(error: Exception) -> None:
        refused.append(str(error))

    client = LastingClient()
    seed = (shell.folder / "accounts" / f"{user}.seed").read_text().strip()
    await client.connect(shell.url, nkeys_seed_str=seed, error_cb=note)
    try:
        yield client, refused
    finally:
        await client.close()


@asynccontextmanager
async def globex(shell: Shell) -> AsyncIterator[Motet]:
    seed = shell.folder / "accounts" / "globex-client.seed"
    settings = Settings(
        nats_url=shell.url, namespace="globex", nats_user="globex-client", nats_nkey=seed
    )
    async with Motet.open(settings) as client:
        yield client


async def test_no_key_of_one_reaches_the_other(shell: Shell) -> None:
    theirs = Topology(Settings(namespace="globex"))
    publish = [theirs.task_submit, theirs.task_cancel, theirs.event("t", "state")]
    publish += [
        f"$JS.API.STREAM.{verb}.{stream.name}"
        for stream in theirs.streams()
        for verb in ("INFO", "PURGE", "DELETE")
    ]
    hear = [theirs.event("*", "*"), theirs.result("*", "*"), "globex.>", ">"]
    for role in (*(role.name for role in AGENTS), *OTHERS):
        async with signed_on(shell, f"acme-{role}") as (client, refused):
            for subject in publish:
                await client.publish(subject, b'{"goal": "mine"}')
            for subject in hear:
                await client.subscribe(subject)
            await client.flush()
        assert len(refused) == len(publish) + len(hear), role


async def test_accounts_keep_apart_also_whoever_may_anything(shell: Shell) -> None:
    keys = KeyRing(shell.folder / "accounts")
    keys.make([f"{namespace}-anybody" for namespace in NAMESPACES])
    accounts = shell.folder / "accounts" / "accounts.conf"
    text = accounts.read_text()
    for namespace in NAMESPACES:
        (key,) = keys.public(f"{namespace}-anybody")
        head = f"  {namespace.upper()} {{\n    jetstream: enabled\n    users: ["
        assert head in text
        text = text.replace(head, f"{head} {{ nkey: {key} }}")
    accounts.write_text(text)
    await shell.reload()
    heard: list[Msg] = []

    async def hear(message: Msg) -> None:
        heard.append(message)

    async with (
        signed_on(shell, "acme-anybody") as (acme, refused),
        signed_on(shell, "globex-anybody") as (other, _),
        globex(shell) as client,
    ):
        await acme.subscribe(">", cb=hear)
        await acme.flush()
        await client.submit("ours")
        await acme.publish("globex.task.submit", b'{"goal": "mine"}')
        await acme.flush()
        tasks = await other.jetstream().stream_info("GLOBEX_TASKS")
        assert tasks.state.messages == 1
        with pytest.raises(NotFoundError):
            await acme.jetstream().stream_info("GLOBEX_TASKS")
        assert refused == []
    assert {message.subject.split(".")[0] for message in heard} <= {"globex", "$JS", "_INBOX"}
    assert [message.data for message in heard if message.subject.startswith("globex")] == [
        b'{"goal": "mine"}'
    ]


async def test_a_namespace_that_is_left_out_is_let_in_no_more(shell: Shell) -> None:
    await shell("motet nats keys accounts --namespace acme")
    text = (shell.folder / "accounts" / "accounts.conf").read_text()
    assert "GLOBEX" not in text
    assert (shell.folder / "accounts" / "globex-planner.seed").exists()


async def test_a_name_on_a_task_is_no_wall(mesh: TestMesh, tmp_path: Path) -> None:
    (line,) = lines(BY_NAME)
    shell = Shell(
        tmp_path,
        mesh.settings.nats_url,
        {"MOTET_NATS_URL": mesh.settings.nats_url, "MOTET_NAMESPACE": mesh.settings.namespace},
    )
    await mesh.join(planner("409.5"))
    status, said = await shell(line)
    assert status == 0, said
    blue = await mesh.motet.submit(Task(goal="x", tenant="blue"))
    await blue.result(20)
    record = await mesh.motet.task(said.strip()).result(20)
    assert record.task is not None
    assert record.task.tenant == "red"
    # Whoever submitted, a client sees both.
    tenants = {each.task.tenant for each in await mesh.motet.tasks() if each.task is not None}
    assert tenants == {"red", "blue"}


def test_the_numbers_are_the_codes() -> None:
    settings = Settings()
    assert f"`MOTET_METRICS_TENANTS` ({settings.metrics_tenants})" in PAGE
    topology = Topology(settings)
    assert len(topology.streams()) == 14
    assert "fourteen streams" in PAGE
    assert len((*SUBMISSIONS, "cancel", "resume")) == 5
    assert "five of which are its own" in PAGE


def test_every_program_is_there() -> None:
    programs = {re.sub(r"^(\w+=\S+ )*", "", line).split()[0] for line in lines(PAGE)}
    assert programs == {"motet", "nats-server", "export", "python", "helm"}
