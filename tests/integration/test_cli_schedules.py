"""`motet schedules`, as a person would use it, and what its page tells people to run."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from motet.bus import Scheduler
from motet.testing import TestMesh, test_mesh
from tests.integration.command_line import CommandLine

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "schedule-tasks.md").read_text("utf-8")
LATER = "2099-01-01T09:00"
USAGE, FAULT = 2, 4


@dataclass(frozen=True)
class Idle:
    """A mesh without a planner, in a loop of its own, since commands have theirs."""

    mesh: TestMesh
    runner: asyncio.Runner

    def sweep(self, now: datetime) -> None:
        self.runner.run(Scheduler(self.mesh.bus).sweep(now))


@pytest.fixture
def idle(nats_url: str, tmp_path: Path) -> Iterator[Idle]:
    with asyncio.Runner() as runner:
        opened = test_mesh(nats_url, tmp_path)
        yield Idle(runner.run(opened.__aenter__()), runner)
        runner.run(opened.__aexit__(None, None, None))


@pytest.fixture
def motet(idle: Idle, tmp_path: Path) -> CommandLine:
    chosen = idle.mesh.settings
    return CommandLine.make(tmp_path).with_(
        MOTET_NATS_URL=chosen.nats_url, MOTET_NAMESPACE=chosen.namespace
    )


def commands(program: str) -> list[list[str]]:
    """Each command of the page that runs `program`."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    split = [shlex.split(line) for block in blocks for line in block.splitlines()]
    return [words for words in split if words[0] == program]


async def run(*words: str) -> None:
    process = await asyncio.create_subprocess_exec(*words)
    assert await process.wait() == 0


def test_the_commands_of_the_page_run(motet: CommandLine) -> None:
    for _, *words in commands("motet"):
        done = motet(*words)
        assert done.returncode == 0, done.stderr
    assert [each["id"] for each in motet.json("schedules", "list")] == ["morning", "pulse"]


async def test_the_snippet_of_the_page_runs(
    mesh: TestMesh, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOTET_NATS_URL", mesh.settings.nats_url)
    monkeypatch.setenv("MOTET_NAMESPACE", mesh.settings.namespace)
    [snippet] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    indented = "".join(f"    {line}\n" for line in snippet.splitlines())
    names: dict[str, object] = {}
    exec(f"async def main():\n{indented}", names)
    await names["main"]()  # type: ignore[operator]
    assert capsys.readouterr().out == "evening False\n"


@pytest.mark.skipif(shutil.which("nats") is None, reason="the `nats` command is not installed")
async def test_the_nats_commands_of_the_page_run(nats_url: str, tmp_path: Path) -> None:
    async with test_mesh(nats_url, tmp_path, namespace="motet") as mesh:
        put, *others = commands("nats")
        await run(*put, "-s", nats_url)
        [schedule] = await mesh.motet.schedules.list()
        assert (schedule.id, schedule.task.goal) == ("nightly", "Tidy up")
        for words in others:
            await run(*words, "-s", nats_url)


def test_the_json_that_bare_clients_put_is_a_schedule() -> None:
    from motet.bus import Item
    from motet.bus.schedules import read

    [[*_, key, body]] = [words for words in commands("nats") if words[2] == "put"]
    assert read(Item(key, body.encode(), 1)).cron == "0 3 * * *"


def test_a_schedule_from_its_beginning_to_its_end(motet: CommandLine) -> None:
    assert motet("schedules", "list").stdout == "Nothing is scheduled.\n"
    added = motet.json("schedules", "add", "once", "count", "--at", LATER, "--zone", "Europe/Oslo")
    assert added["next"] == "2099-01-01T08:00:00+00:00"
    listed = motet("schedules", "list").stdout
    assert listed == ("once  at 2099-01-01 09:00:00 CET  next 2099-01-01 09:00:00 CET\n    count\n")

    assert motet("schedules", "pause", "once").stdout == "once: paused\n"
    assert motet.json("schedules", "show", "once")["next"] is None
    assert "next 2099-01-01" in motet("schedules", "resume", "once").stdout
    assert motet.json("schedules", "remove", "once") == {"removed": "once"}
    assert motet.json("schedules", "list") == []


def test_the_last_runs_are_shown(motet: CommandLine, idle: Idle) -> None:
    motet.json("schedules", "add", "often", "count", "--every", "1m")
    at = datetime.now(UTC) + timedelta(minutes=1)
    idle.sweep(at)
    shown = motet.json("schedules", "show", "often")
    [run] = shown["runs"]
    assert run["state"] == "submitted"
    assert f"{run['task']}  submitted" in motet("schedules", "show", "often").stdout


@pytest.mark.parametrize(
    "words, said",
    [
        (["--cron", "61 * * * *"], "Schedule 's' never runs: '61 * * * *' is no cron expression"),
        (["--at", "2020-01-01T00:00"], "its time 2020-01-01T00:00:00+00:00 has passed"),
        (["--at", "soon"], "'soon' is no time; write it as 2030-01-31T07:00."),
        (["--at", LATER, "--zone", "Mars/Base"], "'Mars/Base' is no time zone"),
        (["--cron", "* * * * *", "--zone", "Mars/Base"], "'Mars/Base' is no time zone"),
        (["--every", "often"], "'often' is no interval; write it as 90s, 15m, 2h or 1d."),
        (["--every", "0"], "every_s: Input should be greater than or equal to 1"),
        ([], "exactly one of `cron`, `at` and `every_s` must say when it runs"),
        (["--every", "5s", "--cron", "* * * * *"], "exactly one of"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(motet: CommandLine, words: list[str], said: str) -> None:
    done = motet("schedules", "add", "s", "count", *words)
    assert done.returncode in {USAGE, FAULT}
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert said in " ".join(done.stderr.split())
    assert motet.json("schedules", "list") == []


def test_a_schedule_that_is_not_there_or_there_already(motet: CommandLine) -> None:
    for command in ("show", "pause", "resume", "remove"):
        done = motet("schedules", command, "nobody")
        assert done.returncode == FAULT
        assert "There is no schedule 'nobody'" in done.stderr
    motet.json("schedules", "add", "s", "count", "--every", "1h")
    done = motet("schedules", "add", "s", "count", "--every", "2h")
    assert "There is a schedule 's' already" in done.stderr
    assert motet.json("schedules", "add", "s", "count", "--every", "2h", "--replace")["every_s"]
    assert json.dumps(motet.json("schedules", "list")).count('"every_s": 7200') == 1
