"""Prompts are read from files that say what they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from motet.errors import MotetError
from motet.models.prompts import Prompts

GREET = """---
name: greet
version: {version}
purpose: Greet somebody.
---
# system
Version {version}.
# user
Hello $name
"""


@pytest.fixture
def prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prompts:
    package = tmp_path / "some_prompts"
    package.mkdir()
    (package / "__init__.py").touch()
    for version in (1, 2, 10):
        (package / f"greet.v{version}.md").write_text(GREET.format(version=version))
    (package / "other.v1.md").write_text(GREET.format(version=1))
    (package / "plain.v1.md").write_text("Hello")
    monkeypatch.syspath_prepend(tmp_path)
    return Prompts("some_prompts")


def test_the_newest_version_is_read_unless_one_is_named(prompts: Prompts) -> None:
    assert prompts.load("greet").version == 10
    assert prompts.load("greet", 2).messages(name="x")[0] == ("system", "Version 2.")


def test_a_value_is_never_searched_for_names(prompts: Prompts) -> None:
    assert prompts.load("greet").messages(name="$name")[1] == ("user", "Hello $name")
    with pytest.raises(KeyError):
        prompts.load("greet").messages()


@pytest.mark.parametrize(
    "name, version, said",
    [
        ("none", None, "no prompt"),
        ("greet", 3, "no prompt"),
        ("other", None, "front matter"),
        ("plain", None, "malformed"),
    ],
)
def test_what_is_wrong_is_said(prompts: Prompts, name: str, version: int | None, said: str) -> None:
    with pytest.raises(MotetError, match=said):
        prompts.load(name, version)
