"""docs/how-to/choose-a-passage-store.md names what can be set and installed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import get_args

from motet_retriever.settings import RetrieverSettings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/how-to/choose-a-passage-store.md").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "services/retriever/pyproject.toml").read_text("utf-8"))["project"]


def test_every_store_is_there_and_each_extra_can_be_installed() -> None:
    stores = set(get_args(RetrieverSettings.model_fields["store"].annotation))
    assert set(re.findall(r"^\| `([a-z]+)` \|", PAGE, re.MULTILINE)) == stores
    installed = re.findall(r"^pip install '([\w-]+)\[(\w+)\]'$", PAGE, re.MULTILINE)
    assert {name for name, _ in installed} == {PROJECT["name"]}
    assert {extra for _, extra in installed} == set(PROJECT["optional-dependencies"])
    assert stores == {"qdrant", *PROJECT["optional-dependencies"]}


def test_what_is_exported_is_a_setting() -> None:
    for name, value in re.findall(r"^export MOTET_RETRIEVER_(\w+)=(\w+)$", PAGE, re.MULTILINE):
        RetrieverSettings.model_validate({name.lower(): value})
    for name in re.findall(r"`MOTET_RETRIEVER_(\w+)`", PAGE):
        assert name.lower() in RetrieverSettings.model_fields


def test_no_image_has_an_extra() -> None:
    locked = (ROOT / "services/retriever/requirements.txt").read_text("utf-8")
    wanted = (ROOT / "requirements/dev.txt").read_text("utf-8")
    for lines in PROJECT["optional-dependencies"].values():
        for name in (re.split(r"[^\w-]", line)[0] for line in lines):
            assert f"\n{name}==" not in f"\n{locked}"
            assert f"\n{name}==" in f"\n{wanted}"
