"""The user `backup`: copies what there is and brings it back, and may do nothing else."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from motet.bus import TASK_CALL, Bucket
from motet.bus.backups import back_up, stream_names
from motet.bus.restores import restore
from motet.embedded.services import environment
from motet.errors import FaultError
from motet.messages import Answer, Task
from tests.integration.bus.agents import Done, echo, planner, worker
from tests.integration.bus.restoring import untold
from tests.integration.security.secured import secured_mesh, secured_server


async def plan(task: Task, call: object) -> Answer:
    return Answer(text=task.goal)


async def motet(environment_: dict[str, str], *arguments: str) -> str:
    """What a command that must succeed prints."""
    ran = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "motet.cli", *arguments),
        env=environment_,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await ran.communicate()
    assert ran.returncode == 0, err.decode()
    return out.decode()


async def test_it_backs_up_a_mesh_and_brings_it_back(tmp_path: Path) -> None:
    """Each on a server with accounts, by the command, with nothing refused."""
    async with secured_mesh(tmp_path / "one") as mesh:
        await mesh.join(worker(echo))
        await mesh.join(planner(plan))
        task = await mesh.motet.submit("go")
        assert (await task.result(20)).answer == Answer(text="go")
        await mesh.outcome(task.id, TASK_CALL)
        assert await mesh.motet.call("worker.work", {"text": "x"}, Done) == Done(text="x")
        signed = mesh.users.signed(mesh.settings, "backup")
        said = await motet(environment(signed), "backup", str(tmp_path / "backup"), "--json")
        assert len(json.loads(said)["streams"]) == len(stream_names(mesh.bus.topology))
        assert not mesh.server.violations()
        accounts, users = mesh.users.accounts(), mesh.users

    async with secured_server(tmp_path / "two", accounts) as server:
        settings = mesh.settings.model_copy(update={"nats_url": server.url})
        back = environment(users.signed(settings, "backup"))
        await motet(back, "restore", str(tmp_path / "backup"))
        operator = environment(users.signed(settings, "operator"))
        record = json.loads(await motet(operator, "result", task.id, "--json"))
        assert record["answer"]["text"] == "go"
        provisioner = environment(users.signed(settings, "provision"))
        ran = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "motet.bus.provision"), env=provisioner
        )
        assert await ran.wait() == 0
        assert not server.violations()


@pytest.mark.parametrize("role", ["operator", "planner", "client"])
async def test_nobody_else_may(role: str, tmp_path: Path) -> None:
    async with secured_mesh(tmp_path / "one") as mesh:
        other = await mesh.bus_of(role)
        with pytest.raises(FaultError, match=rf"'{role}' publish to '\$js.api.stream.snapshot"):
            await back_up(other, tmp_path / "backup", untold)
        assert not (tmp_path / "backup").exists()

        backup = await mesh.bus_of("backup")
        await back_up(backup, tmp_path / "backup", untold)
        for name in stream_names(mesh.bus.topology).values():
            await mesh.bus.js.delete_stream(name)
        with pytest.raises(FaultError, match=rf"'{role}' publish to '\$js.api.stream.restore"):
            await restore(other, tmp_path / "backup", untold)


async def test_it_may_neither_write_nor_take(tmp_path: Path) -> None:
    async with secured_mesh(tmp_path) as mesh:
        backup = await mesh.bus_of("backup")
        with pytest.raises(FaultError, match="does not let the user 'backup'"):
            await Bucket(backup, "tasks").put("t", b"{}")
        with pytest.raises(FaultError, match="does not let the user 'backup'"):
            await backup.store(backup.topology.task_submit, b'{"goal": "g"}')
