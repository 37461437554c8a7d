"""Where weights come from: a model hub over HTTPS, or the packages of an index that carry them.

Invariants:

- Every source of a file gives the same bytes, so that one goes on where another stopped.
- Nothing that is fetched is imported or run: wheels and jars are opened as archives.
- A source that cannot give a file raises `SourceUnavailableError` within seconds when its host is
  not reached; whether the bytes are right is for the caller to check.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import weakref
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Literal, Protocol, cast
from zipfile import BadZipFile, ZipFile

from motet.messages import Value

__all__ = [
    "HubFile",
    "HubSource",
    "JarFile",
    "MavenSource",
    "Source",
    "SourceUnavailableError",
    "Weights",
    "WeightsFile",
    "WheelFile",
    "WheelSource",
]

_CHUNK = 1 << 20
_CONNECT_TIMEOUT_S = 3.0
_READ_TIMEOUT_S = 30.0
_FETCH_TIMEOUT_S = 900.0
_PARTS_AT_ONCE = 3
_PARTIAL_CONTENT = 206
_MAVEN_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"


class HubFile(Value):
    """A file on a model hub."""

    repository: str
    revision: str
    path: str


class WheelFile(Value):
    """A file that wheels carry in parts, joined in order; `{part}` counts from 1."""

    project: str
    version: str
    member: str
    """Path inside the wheel."""
    parts: int
    part_size: int
    """Bytes of every part but the last."""


class JarFile(Value):
    """A file that an artifact of a Maven repository carries."""

    group: str
    artifact: str
    version: str
    member: str
    """Path inside the jar."""


class WeightsFile(Value):
    """One file of a model, and where its bytes are to be had."""

    name: str
    size: int
    sha256: str
    hub: HubFile | None = None
    wheels: WheelFile | None = None
    jar: JarFile | None = None


class Weights(Value):
    """A model that runs on this machine."""

    kind: Literal["chat", "embedding", "speech", "voice"]
    """`speech` hears, `voice` speaks."""
    profile: Literal["small", "capable"] | None = None
    """Of a chat model: how far it is left to itself; see `motet.models.capability`."""
    license: str
    about: str
    files: tuple[WeightsFile, ...]
    """The model itself first."""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


class SourceUnavailableError(Exception):
    """This source cannot give the file; the message says why in a phrase."""


class Source(Protocol):
    """Something that has files of weights."""

    name: str

    def has(self, file: WeightsFile) -> bool:
        """Whether the manifest says that `file` is there."""
        ...

    def read(self, file: WeightsFile, offset: int, scratch: Path) -> Generator[bytes]:
        """The bytes of `file` from `offset` on; `scratch` is a folder for what is in passing.

        Raises:
            SourceUnavailableError: It cannot give the file.
        """
        ...


class HubSource:
    """A model hub that speaks the Hugging Face Hub's URLs; `HF_ENDPOINT` names another host.

    The hub states the SHA-256 of a large file in the header `X-Linked-Etag`, so a file that
    changed upstream is refused before it is downloaded.
    """

    name = "model hub"

    def __init__(self, endpoint: str | None = None) -> None:
        self._endpoint = endpoint or os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
        self._unreached: str | None = None

    def has(self, file: WeightsFile) -> bool:
        """See `Source.has`."""
        return file.hub is not None

    def read(
        self,
        file: WeightsFile,
        offset: int,
        scratch: Path,  # noqa: ARG002 - nothing is in passing here
    ) -> Generator[bytes]:
        """See `Source.read`."""
        import httpx

        if self._unreached:  # not waited for again with every file
            raise SourceUnavailableError(self._unreached)
        timeout = httpx.Timeout(_READ_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S)
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        url = self._url(file)
        try:
            with httpx.Client(timeout=timeout) as client:
                linked = client.head(url).headers.get("x-linked-etag", "").strip('"')
                if len(linked) == len(file.sha256) and linked != file.sha256:
                    raise SourceUnavailableError(f"{file.name} has changed there")
                with client.stream("GET", url, headers=headers, follow_redirects=True) as answer:
                    answer.raise_for_status()
                    if offset and answer.status_code != _PARTIAL_CONTENT:
                        raise SourceUnavailableError("it cannot go on in the middle of a file")
                    yield from answer.iter_bytes(_CHUNK)
        except httpx.HTTPError as error:
            reason = f"{self._endpoint}: {error}"
            if isinstance(error, httpx.TransportError):
                self._unreached = reason
            raise SourceUnavailableError(reason) from error

    def _url(self, file: WeightsFile) -> str:
        hub = cast("HubFile", file.hub)
        endpoint = self._endpoint.rstrip("/")
        return f"{endpoint}/{hub.repository}/resolve/{hub.revision}/{hub.path}"


class WheelSource:
    """The package index that this Python's installer is set up for.

    A wheel that carries whole files is kept until this object is gone, as a model's other files
    are often in the same one.
    """

    name = "package index"

    def __init__(self, *options: str) -> None:
        """`options` go to the installer, such as `--find-links FOLDER`."""
        self._options = options
        self._kept: dict[tuple[str, str], Path] = {}

    def has(self, file: WeightsFile) -> bool:
        """See `Source.has`."""
        return file.wheels is not None

    def read(self, file: WeightsFile, offset: int, scratch: Path) -> Generator[bytes]:
        """See `Source.read`. Parts are fetched a few ahead, and removed once they are read."""
        wheels = cast("WheelFile", file.wheels)
        if wheels.parts == 1:
            with _open_member(self._whole(wheels), wheels.member) as stream:
                stream.seek(offset)
                yield from iter(partial(stream.read, _CHUNK), b"")
            return
        first, skip = divmod(offset, wheels.part_size)
        parts = iter(range(first + 1, wheels.parts + 1))
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(dir=scratch))
            pool = stack.enter_context(ThreadPoolExecutor(_PARTS_AT_ONCE))
            stack.callback(pool.shutdown, cancel_futures=True)

            def fetch(part: int) -> Future[Path]:
                return pool.submit(self._fetch, wheels, part, Path(folder) / str(part))

            pending = deque((part, fetch(part)) for part in islice(parts, _PARTS_AT_ONCE))
            while pending:
                part, fetched = pending.popleft()
                with _open_member(fetched.result(), wheels.member.format(part=part)) as stream:
                    stream.seek(skip)
                    yield from iter(partial(stream.read, _CHUNK), b"")
                skip = 0
                shutil.rmtree(fetched.result())
                pending.extend((part, fetch(part)) for part in islice(parts, 1))

    def _whole(self, wheels: WheelFile) -> Path:
        """The folder of a wheel that carries whole files."""
        key = (wheels.project, wheels.version)
        if key not in self._kept:
            folder = Path(tempfile.mkdtemp(prefix="motet-wheel-"))
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            self._kept[key] = self._fetch(wheels, 1, folder / "1")
        return self._kept[key]

    def _fetch(self, wheels: WheelFile, part: int, folder: Path) -> Path:
        folder.mkdir()
        requirement = f"{wheels.project.format(part=part)}=={wheels.version}"
        command = [*_fetch_command(folder), *self._options, requirement]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_FETCH_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise SourceUnavailableError(f"{requirement} did not come in time") from None
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["no message"]
            raise SourceUnavailableError(f"{requirement} was not fetched: {lines[-1]}")
        return folder


class MavenSource:
    """The Maven repository that MOTET_MAVEN_URL names, or that the command `mvn` is set up for.

    A jar is kept until this object is gone, as a model's other files are in the same one.
    """

    name = "Maven repository"

    def __init__(self, url: str | None = None) -> None:
        self._url = url or os.environ.get("MOTET_MAVEN_URL")
        self._kept: dict[str, Path] = {}

    def has(self, file: WeightsFile) -> bool:
        """See `Source.has`."""
        return file.jar is not None

    def read(
        self,
        file: WeightsFile,
        offset: int,
        scratch: Path,  # noqa: ARG002 - the jar is kept for the model's other files
    ) -> Generator[bytes]:
        """See `Source.read`."""
        jar = cast("JarFile", file.jar)
        name = f"{jar.artifact}-{jar.version}.jar"
        if name not in self._kept:
            folder = Path(tempfile.mkdtemp(prefix="motet-jar-"))
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            if self._url:
                self._download(jar, folder / name)
            else:
                _copy_by_maven(jar, folder)
            self._kept[name] = folder / name
        try:
            with ZipFile(self._kept[name]) as archive, archive.open(jar.member) as stream:
                stream.seek(offset)
                yield from iter(partial(stream.read, _CHUNK), b"")
        except (KeyError, OSError, BadZipFile) as error:
            raise SourceUnavailableError(f"{name} does not hold {jar.member}: {error}") from None

    def _download(self, jar: JarFile, target: Path) -> None:
        import httpx

        path = "/".join((*jar.group.split("."), jar.artifact, jar.version, target.name))
        timeout = httpx.Timeout(_READ_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S)
        try:
            with (
                httpx.Client(timeout=timeout, follow_redirects=True) as client,
                client.stream("GET", f"{cast('str', self._url).rstrip('/')}/{path}") as answer,
                target.open("wb") as out,
            ):
                answer.raise_for_status()
                for chunk in answer.iter_bytes(_CHUNK):
                    out.write(chunk)
        except httpx.HTTPError as error:
            raise SourceUnavailableError(f"{target.name} was not fetched: {error}") from error


def _copy_by_maven(jar: JarFile, folder: Path) -> None:
    if (maven := shutil.which("mvn")) is None:
        raise SourceUnavailableError("MOTET_MAVEN_URL is not set, and there is no command mvn")
    command = [
        *(maven, "--batch-mode", "--quiet", _MAVEN_COPY),
        f"-Dartifact={jar.group}:{jar.artifact}:{jar.version}",
        f"-DoutputDirectory={folder}",
    ]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_FETCH_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise SourceUnavailableError(f"{jar.artifact} did not come in time") from None
    if done.returncode:
        lines = done.stdout.strip().splitlines() or ["no message"]
        raise SourceUnavailableError(f"{jar.artifact} was not fetched: {lines[0]}")


def _fetch_command(folder: Path) -> list[str]:
    """The installer that is there: pip as a downloader, or uv, which only unpacks."""
    if importlib.util.find_spec("pip") is not None:
        return [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir"),
            *("--disable-pip-version-check", "--only-binary", ":all:", "--dest", str(folder)),
        ]
    if uv := shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}"):
        return [
            *(uv, "pip", "install", "--quiet", "--no-deps", "--no-cache"),
            *("--only-binary", ":all:", "--python", sys.executable, "--target", str(folder)),
        ]
    raise SourceUnavailableError("neither pip nor uv is installed for this Python")


def _open_member(folder: Path, member: str) -> IO[bytes]:
    """The file `member`, out of the one wheel in `folder` or unpacked there."""
    wheel = next(folder.glob("*.whl"), None)
    try:
        return (folder / member).open("rb") if wheel is None else ZipFile(wheel).open(member)
    except (KeyError, FileNotFoundError):
        raise SourceUnavailableError(f"{member} is not in its wheel") from None
