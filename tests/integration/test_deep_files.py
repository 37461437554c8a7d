"""Files of deep tasks on a real bus: two replicas, tenants, bounds, and deepagents' own view."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from deepagents.backends.utils import grep_matches_from_files
from hypothesis import given
from hypothesis import strategies as st

from motet.bus import Blobs, Bucket
from motet.errors import FaultError
from motet.messages import Principal
from motet.testing import TestMesh
from motet_planner.deep.backend import FilesBackend
from motet_planner.deep.files import Files, Limits, clean_path

ANYBODY = Principal()


def files(
    mesh: TestMesh,
    principal: Principal = ANYBODY,
    task: str = "t1",
    ttl_s: float = 600,
    limits: Limits | None = None,
) -> Files:
    return Files(
        Bucket(mesh.bus, "files"),
        Blobs(mesh.bus),
        principal=principal,
        task=task,
        ttl_s=lambda: ttl_s,
        limits=limits,
    )


async def stored(mesh: TestMesh) -> int:
    """Messages in the object store: one a piece, and one for what it says of each blob."""
    stream = f"OBJ_{mesh.bus.topology.blobs}"
    return (await mesh.bus.js.stream_info(stream)).state.messages


async def test_one_replica_reads_what_another_has_written(mesh: TestMesh) -> None:
    one, other = FilesBackend(files(mesh)), FilesBackend(files(mesh))

    assert (await one.awrite("/notes/plan.md", "first\nsecond\nthird\n")).error is None
    read = await other.aread("/notes/plan.md", offset=1, limit=1)
    edited = await other.aedit("notes/plan.md", "second", "2nd")

    assert read.file_data is not None
    assert (read.file_data["content"], read.next_offset, read.total_lines) == ("second\n", 2, 3)
    assert (edited.path, edited.occurrences) == ("/notes/plan.md", 1)
    assert (await one.adownload_files(["/notes/plan.md"]))[0].content == b"first\n2nd\nthird\n"
    assert await stored(mesh) == 2  # of what was replaced nothing is left


async def test_folders_searches_and_patterns(mesh: TestMesh) -> None:
    backend = FilesBackend(files(mesh))
    texts = {
        "/a.md": "alpha\nbeta",
        "/src/b.py": "alpha = 1",
        "/src/deep/c d.py": "x\nalpha = [1]\n",
        "/memories/likes.md": "beta",
    }
    for path, text in texts.items():
        await backend.awrite(path, text)
    await backend.aupload_files([("/picture.png", b"\xff\xfealpha")])

    root, src = await backend.als("/"), await backend.als("/src/")
    assert [each["path"] for each in root.entries or []] == [
        "/a.md", "/memories/", "/picture.png", "/src/",
    ]  # fmt: skip
    assert [(e["path"], e.get("is_dir")) for e in src.entries or []] == [
        ("/src/b.py", False),
        ("/src/deep/", True),
    ]
    assert (await backend.als("/nowhere")).entries == []
    data = {path: {"content": text, "encoding": "utf-8"} for path, text in texts.items()}
    for path, glob in [(None, None), ("/src", None), ("/src/b.py", None), (None, "*.md")]:
        found = await backend.agrep("alpha", path, glob)
        wanted = grep_matches_from_files(data, "alpha", path, glob)
        assert sorted(found.matches or [], key=str) == sorted(wanted.matches or [], key=str)
    assert (await backend.agrep("[1]")).matches == [
        {"path": "/src/deep/c d.py", "line": 2, "text": "alpha = [1]"}
    ]
    capped = await backend.agrep("alpha", max_count=1)
    assert (len(capped.matches or []), capped.truncated) == (1, True)
    globbed = await backend.aglob("*.py", "/src")
    assert {each["path"] for each in globbed.matches or []} == {"/src/b.py", "/src/deep/c d.py"}
    assert [e["path"] for e in (await backend.aglob("/*.py", "/src")).matches or []] == [
        "/src/b.py"
    ]
    assert (await backend.aglob("../*")).error
    picture = await backend.aread("/picture.png")
    assert picture.file_data is not None
    assert picture.file_data["encoding"] == "base64"
    assert (await backend.aedit("/picture.png", "a", "b")).error
    assert (await backend.adelete("/src")).path == "/src"
    assert (await backend.aread("/src/b.py")).error == "File '/src/b.py' not found"
    assert (await backend.adelete("/src")).error
    assert (await backend.awrite("/src/b.py", "again")).error is None
    assert (await backend.aedit("/a.md", "nothing", "x")).error
    assert (await backend.aedit("/none.md", "a", "b")).error == "Error: File '/none.md' not found"


@pytest.mark.parametrize(
    "path", ["/../t2/a", "../a", "/a/../../b", "~/a", "/a\\b", "/a\0b", "/" + "a" * 300, "/a" * 20]
)
async def test_a_path_that_leads_elsewhere_is_refused_by_every_operation(
    mesh: TestMesh, path: str
) -> None:
    backend = FilesBackend(files(mesh))

    assert (await backend.als(path)).error
    assert (await backend.aread(path)).error
    assert (await backend.awrite(path, "x")).error
    assert (await backend.aedit(path, "x", "y")).error
    assert (await backend.adelete(path)).error
    assert (await backend.agrep("x", path)).error
    assert (await backend.aglob("*", path)).error
    assert (await backend.aupload_files([(path, b"x")]))[0].error == "invalid_path"
    assert (await backend.adownload_files([path]))[0].error == "invalid_path"
    assert await stored(mesh) == 0


@given(st.text(max_size=60))
def test_a_path_is_refused_or_stays_inside(path: str) -> None:
    try:
        cleaned = clean_path(path)
    except FaultError:
        return
    assert cleaned.startswith("/")
    assert ".." not in cleaned.split("/")
    assert clean_path(cleaned) == cleaned


async def test_nobody_reaches_the_files_of_another_task_tenant_or_access(mesh: TestMesh) -> None:
    legal = Principal(access=("legal", "staff"))
    mine = files(mesh, legal)
    await mine.write("/secret.md", b"secret")
    await mine.write("/memories/secret.md", b"secret")
    others = {
        "same access": files(mesh, Principal(access=("staff", "legal")), task="t2"),
        "less access": files(mesh, Principal(access=("staff",)), task="t2"),
        "more access": files(mesh, Principal(access=("legal", "staff", "board")), task="t2"),
        "tenant": files(mesh, Principal(tenant="red", access=("legal", "staff")), task="t1"),
        "odd tenant": files(mesh, Principal(tenant="default-task", access=()), task="t1"),
    }

    seen = {name: [each.path for each in await each.list()] for name, each in others.items()}

    assert seen == {
        "same access": ["/memories/secret.md"],
        "less access": [],
        "more access": [],
        "tenant": [],
        "odd tenant": [],
    }
    for name, each in others.items():
        assert await each.read("/secret.md") is None
        assert (await each.read("/memories/secret.md") is None) == (name != "same access")
        assert await each.delete("/secret.md") == 0
    assert await mine.read("/secret.md") is not None


async def test_no_edit_is_lost_and_no_content_torn_when_replicas_write_at_once(
    mesh: TestMesh,
) -> None:
    replicas = [files(mesh) for _ in range(3)]
    await replicas[0].write("/count.txt", b"")

    def adding(mark: str):
        return lambda content: (content or b"") + f"{mark};".encode()

    async def work(replica: Files, name: str) -> None:
        for number in range(5):
            done = False
            while not done:
                with suppress(FaultError):  # others were ahead too often
                    await replica.change("/count.txt", adding(f"{name}{number}"))
                    done = True

    await asyncio.gather(*(work(each, "abc"[n]) for n, each in enumerate(replicas)))

    found = await replicas[0].read("/count.txt")
    assert found is not None
    marks = found[1].decode().strip(";").split(";")
    assert sorted(marks) == sorted(f"{name}{number}" for name in "abc" for number in range(5))
    assert await stored(mesh) == 2

    large = [bytes([65 + n]) * 300_000 for n in range(3)]
    await asyncio.gather(
        *(each.write("/large", data) for each, data in zip(replicas, large, strict=True))
    )
    written = await replicas[1].read("/large")
    assert written is not None
    assert written[1] in large


async def test_what_a_task_wrote_expires_and_its_memories_stay(mesh: TestMesh) -> None:
    mine = files(mesh, ttl_s=1)
    await mine.write("/draft.md", b"draft")
    await mine.write("/memories/likes.md", b"tea")

    async with asyncio.timeout(20):
        # A server tells nobody that a message has expired.
        while await stored(mesh) > 2:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        while len(await mine.list()) > 1:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    assert [each.path for each in await mine.list()] == ["/memories/likes.md"]
    assert await mine.read("/draft.md") is None
    kept = await mine.read("/memories/likes.md")
    assert kept is not None
    assert kept[1] == b"tea"


async def test_sizes_are_bounded_for_the_task_and_for_memories_each(mesh: TestMesh) -> None:
    backend = FilesBackend(files(mesh, limits=Limits(file_bytes=10, files=2, bytes=15)))

    assert "10" in ((await backend.awrite("/a", "x" * 11)).error or "")
    assert (await backend.awrite("/a", "x" * 10)).error is None
    assert "15" in ((await backend.awrite("/b", "x" * 6)).error or "")
    assert (await backend.awrite("/memories/b", "x" * 6)).error is None
    assert (await backend.awrite("/a", "x" * 9)).error is None
    assert (await backend.awrite("/b", "x")).error is None
    assert "2" in ((await backend.awrite("/c", "x")).error or "")
    assert (await backend.aedit("/b", "x", "xxxxxxxxxxx")).error
    assert (await backend.aread("/b")).file_data["content"] == "x"  # type: ignore[index]
    assert (await backend.awrite("/memories", "x")).error
