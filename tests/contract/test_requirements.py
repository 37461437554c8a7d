"""The locked requirements are what the packages ask for: hashed, of one version everywhere."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECTS = [ROOT / "shared" / "pyproject.toml", *sorted(ROOT.glob("services/*/pyproject.toml"))]
LOCKS = [
    *sorted((ROOT / "requirements").glob("*.txt")),
    *(path.with_name("requirements.txt") for path in PROJECTS[1:]),
]
RELOCK = "run `make lock`"


def identity(path: Path) -> str:
    return str(path.relative_to(ROOT))


LEFT_OUT = {"openai-whisper"}
"""Extras that are in no lock: torch is not for everybody."""


def pins(lock: Path) -> dict[str, str]:
    """Version by canonical name."""
    found = re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock.read_text("utf-8"), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


def asked(project: Path, extras: set[str] | None = None) -> list[Requirement]:
    """What a package asks for, those of `motet` that come with it included; None is all extras."""
    table = tomllib.loads(project.read_text("utf-8"))["project"]
    lines = list(table["dependencies"])
    for extra, more in table.get("optional-dependencies", {}).items():
        wanted_too = extra not in LEFT_OUT if extras is None else extra in extras
        lines += more if wanted_too else []
    wanted: list[Requirement] = []
    for requirement in map(Requirement, lines):
        if requirement.name == "motet":
            wanted += asked(PROJECTS[0], requirement.extras)
        else:
            wanted.append(requirement)
    return wanted


@pytest.mark.parametrize("lock", LOCKS, ids=identity)
def test_every_pin_has_hashes_and_no_line_an_address(lock: Path) -> None:
    text = lock.read_text("utf-8")
    assert not re.search(r"://|^-|@ |/tmp|/home", text, re.MULTILINE)
    for entry in re.split(r"^(?=\w)", text, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in entry, entry


@pytest.mark.parametrize("project", PROJECTS, ids=identity)
def test_what_a_package_asks_for_is_locked(project: Path) -> None:
    locks: dict[Path, set[str] | None] = {ROOT / "requirements" / "dev.txt": None}
    if project.parent.name != "shared":
        locks[project.with_name("requirements.txt")] = set()
    for lock, extras in locks.items():
        pinned = pins(lock)
        for requirement in asked(project, extras):
            version = pinned.get(canonicalize_name(requirement.name))
            assert version, f"{requirement.name} is not in {identity(lock)}: {RELOCK}"
            assert requirement.specifier.contains(version), (
                f"{requirement.name} {version} in {identity(lock)} is not {requirement}: {RELOCK}"
            )


@pytest.mark.parametrize("lock", LOCKS, ids=identity)
def test_one_version_everywhere(lock: Path) -> None:
    reference = pins(ROOT / "requirements" / "dev.txt")
    different = {
        name: version for name, version in pins(lock).items() if reference[name] != version
    }
    assert not different, RELOCK
