"""Backups: nothing half is taken for whole, and nothing that is there is written over."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from motet.bus import Bucket, Topology, connection, snapshots
from motet.bus.backups import Progress, back_up, stream_names
from motet.bus.manifest import MANIFEST, DamagedBackupError, verify
from motet.bus.restores import StreamExistsError, restore
from motet.embedded.services import environment
from motet.errors import FaultError, SetupError
from motet.settings import Settings
from motet.testing import Line, TestMesh, TestServer, test_mesh, test_server
from tests.integration.bus.restoring import held_at, signed_on, untold

Action = Callable[[], Awaitable[None]]


@pytest.fixture
async def empty(tmp_path: Path) -> AsyncIterator[TestServer]:
    """A server that has nothing."""
    async with test_server(tmp_path / "another") as server:
        yield server


# What must not be taken for a backup, or restored over


async def backed_up(mesh: TestMesh, folder: Path) -> Path:
    """A backup with something in it."""
    for number in range(20):
        await Bucket(mesh.bus, "results").put(f"t.{number}", os.urandom(1000))
    await back_up(mesh.bus, folder, untold)
    return folder


def cut_short(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])


def change_a_byte(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def rename_a_stream(file: Path) -> None:
    file.write_text(file.read_text().replace('"name": "', '"name": "../', 1))


@pytest.mark.parametrize(
    "file,damage,told",
    [
        ("{results}/stream.tar.s2", cut_short, r"results/stream.tar.s2 has .* bytes, and had"),
        ("{results}/stream.tar.s2", change_a_byte, r"results/stream.tar.s2 was changed since"),
        ("{results}/stream.tar.s2", Path.unlink, r"results/stream.tar.s2 is missing"),
        ("{results}/backup.json", change_a_byte, r"results/backup.json was changed since"),
        ("manifest.json", Path.unlink, r"is no whole backup: manifest.json is not in it"),
        ("manifest.json", cut_short, r"manifest.json is damaged"),
        ("manifest.json", rename_a_stream, r"manifest.json is damaged"),
    ],
)
async def test_a_damaged_backup_is_refused_before_anything_is_asked(
    mesh: TestMesh,
    empty: TestServer,
    tmp_path: Path,
    file: str,
    damage: Callable[[Path], None],
    told: str,
) -> None:
    folder = await backed_up(mesh, tmp_path / "backup")
    damage(folder / file.format_map(stream_names(mesh.bus.topology)))
    async with signed_on(empty.url, mesh.settings) as bus:
        with pytest.raises(DamagedBackupError, match=told):
            await restore(bus, folder, untold)
        assert await bus.js.streams_info() == []


async def test_what_is_there_is_left_alone(
    mesh: TestMesh, empty: TestServer, tmp_path: Path
) -> None:
    folder, names = await backed_up(mesh, tmp_path / "backup"), stream_names(mesh.bus.topology)
    async with signed_on(empty.url, mesh.settings) as bus:
        only = next(each for each in bus.topology.streams() if each.name == names["tasks"])
        await bus.js.add_stream(only)
        await Bucket(bus, "tasks").put("mine", b"{}")
        with pytest.raises(StreamExistsError, match=rf"has {names['tasks']} already.*empty store"):
            await restore(bus, folder, untold)
        (standing,) = await bus.js.streams_info()
        assert standing.state.messages == 1

        await bus.js.delete_stream(names["tasks"])
        await restore(bus, folder, untold)
        assert len(await bus.js.streams_info()) == len(names)
        with pytest.raises(StreamExistsError):
            await restore(bus, folder, untold)


async def test_a_backup_of_another_mesh_is_refused(
    mesh: TestMesh, empty: TestServer, tmp_path: Path
) -> None:
    folder = await backed_up(mesh, tmp_path / "backup")
    async with signed_on(empty.url, mesh.settings, namespace="another") as bus:
        with pytest.raises(SetupError, match=f"set it to '{mesh.settings.namespace}'"):
            await restore(bus, folder, untold)
    manifest = json.loads((folder / MANIFEST).read_text())
    for key, value in (("topology", Topology.VERSION + 1), ("format", 2)):
        (folder / MANIFEST).write_text(json.dumps({**manifest, key: value}))
        async with signed_on(empty.url, mesh.settings) as bus:
            with pytest.raises(SetupError, match="restore it with that version"):
                await restore(bus, folder, untold)


async def test_a_folder_with_something_in_it_is_not_written(mesh: TestMesh, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "backup"
    folder.mkdir(parents=True)
    await back_up(mesh.bus, folder, untold)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    before = (folder / MANIFEST).read_bytes()
    with pytest.raises(SetupError, match="is there already: give each backup a folder of its own"):
        await back_up(mesh.bus, folder, untold)
    assert (folder / MANIFEST).read_bytes() == before
    assert list(folder.parent.iterdir()) == [folder]


async def test_a_mesh_without_streams_is_told_so(empty: TestServer, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    async with signed_on(empty.url, settings) as bus:
        with pytest.raises(SetupError, match=r"'KV_results' does not exist: .*provision"):
            await back_up(bus, tmp_path / "backup", untold)
    assert backups(tmp_path) == []


# What dies or stops on the way


async def filled(mesh: TestMesh, pieces: int = 48) -> None:
    """Has a bucket hold more than is ever under way."""
    for number in range(pieces):
        await Bucket(mesh.bus, "results").put(f"t.{number}", os.urandom(256 * 1024))


class Then:
    """Hears how far it is, and does something once a bucket's step has come so far."""

    def __init__(self, mesh: TestMesh, step: str, done: int, do: Action) -> None:
        self._when = (step, stream_names(mesh.bus.topology)["results"], done)
        self._do = do
        self._doing: asyncio.Future[None] | None = None

    def __call__(self, progress: Progress) -> None:
        step, stream, done = self._when
        reached = (progress.step, progress.stream) == (step, stream) and progress.done >= done
        if reached and self._doing is None:
            self._doing = asyncio.ensure_future(self._do())

    async def done(self) -> None:
        assert self._doing is not None
        await self._doing


def backups(folder: Path) -> list[Path]:
    """What looks like a backup, or a part of one."""
    return [each for each in folder.iterdir() if "backup" in each.name]


async def test_a_server_that_dies_leaves_no_backup(
    nats_server: TestServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "GIVE_UP_S", 0.5)
    async with test_mesh(nats_server.url, tmp_path) as mesh:
        await filled(mesh)
        then = Then(mesh, "copying", 1, nats_server.kill)
        with pytest.raises(FaultError, match=r"NATS did not|lost during") as raised:
            await back_up(mesh.bus, tmp_path / "backup", then)
        await then.done()
        assert raised.value.fault.type == "unavailable"
        assert backups(tmp_path) == []
        await nats_server.start()


async def test_a_server_that_comes_back_is_asked_again(
    nats_server: TestServer, tmp_path: Path
) -> None:
    async with test_mesh(nats_server.url, tmp_path) as mesh:
        await filled(mesh)
        then = Then(mesh, "copying", 1, nats_server.restart)
        manifest = await back_up(mesh.bus, tmp_path / "backup", then)
        await then.done()
    (results,) = [each for each in manifest.streams if each.name.endswith("-results")]
    assert results.messages == 48
    assert await asyncio.to_thread(verify, tmp_path / "backup", lambda *_: None) == manifest


async def test_a_server_that_falls_silent_is_a_fault(
    nats_server: TestServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "SILENCE_S", 0.5)
    monkeypatch.setattr(snapshots, "ATTEMPTS", 1)

    async def pause() -> None:
        nats_server.pause()

    async with test_mesh(nats_server.url, tmp_path) as mesh:
        await filled(mesh)
        then = Then(mesh, "copying", 1, pause)
        with pytest.raises(FaultError, match="fell silent during the snapshot of stream"):
            await back_up(mesh.bus, tmp_path / "backup", then)
        nats_server.resume()
    assert backups(tmp_path) == []


HALF = (
    r"9 of 14 streams were brought back, and .*-results perhaps in part\. .*"
    r"empty the server's store, and restore .* again"
)


async def left_half(mesh: TestMesh, server: TestServer, folder: Path) -> None:
    """Sees that nobody can take half a mesh for a whole one."""
    async with signed_on(server.url, mesh.settings) as bus:
        with pytest.raises(StreamExistsError):
            await restore(bus, folder, untold)
        names = [info.config.name for info in await bus.js.streams_info()]
    # Agents wait for the queues, which come last.
    assert not {mesh.bus.topology.stream("TASKS"), mesh.bus.topology.stream("CALLS")} & {*names}


async def test_a_server_that_dies_while_it_restores_is_to_be_emptied(
    mesh: TestMesh, empty: TestServer, tmp_path: Path
) -> None:
    await filled(mesh)
    await back_up(mesh.bus, tmp_path / "backup", untold)
    then = Then(mesh, "restoring", 4 << 20, empty.restart)
    async with signed_on(empty.url, mesh.settings) as bus:
        with pytest.raises(FaultError, match=HALF):
            await restore(bus, tmp_path / "backup", then)
        await then.done()
    await left_half(mesh, empty, tmp_path / "backup")


async def test_so_is_one_that_gave_up_a_slow_restore(
    mesh: TestMesh, empty: TestServer, tmp_path: Path
) -> None:
    await filled(mesh)
    await back_up(mesh.bus, tmp_path / "backup", untold)
    async with held_at(empty.url, mesh, "restoring", "results", 4 << 20) as held:
        restoring = asyncio.create_task(restore(held.bus, tmp_path / "backup", held.told))
        await held.reached.wait()
        await asyncio.sleep(6)  # after five seconds a server gives up, and tells nobody
        held.line.release()
        with pytest.raises(FaultError, match=HALF):
            await restoring
    await left_half(mesh, empty, tmp_path / "backup")


async def test_a_full_disk_is_told_and_leaves_nothing(mesh: TestMesh, tmp_path: Path) -> None:
    """On a file system of 2 MB, which a user may make within a namespace."""
    await filled(mesh, 16)
    disk = tmp_path / "disk"
    disk.mkdir()
    command = f"""
        mount -t tmpfs -o size=2m tmpfs {disk} || exit 77
        {sys.executable} -m motet.cli backup {disk}/backup
        status=$?
        ls -A {disk}
        exit $status
    """
    ran = await asyncio.create_subprocess_exec(
        *("unshare", "--map-root-user", "--mount", "sh", "-c", command),
        env={**os.environ, **environment(mesh.settings)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await ran.communicate()
    if b"unshare failed" in err or ran.returncode == 77:
        pytest.skip(f"no file system of one's own can be made here: {err.decode().strip()}")
    assert ran.returncode == 3, err.decode()
    assert b"There is no room for the backup" in err
    assert out == b""


async def test_memory_is_bounded_and_a_slow_line_is_borne(
    mesh: TestMesh, empty: TestServer, tmp_path: Path
) -> None:
    await filled(mesh, 80)
    async with Line.to(mesh.settings.nats_url) as line, signed_on(line.url, mesh.settings) as bus:
        line.delay_s = 0.002
        tracemalloc.start()
        try:
            await back_up(bus, tmp_path / "backup", untold)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert sum(file.stat().st_size for file in (tmp_path / "backup").rglob("*.s2")) > 20e6
    assert peak < 8e6
    async with Line.to(empty.url) as line, signed_on(line.url, mesh.settings) as bus:
        line.delay_s = 0.002
        await restore(bus, tmp_path / "backup", untold)
        assert len(await Bucket(bus, "results").items()) == 80
