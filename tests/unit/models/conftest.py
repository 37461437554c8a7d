"""What the tests of models share: a fake server, settings for it, and no keys from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from motet.models.choice import PROVIDERS
from motet.settings import Settings
from tests.unit.models.fake_server import FakeServer, completion, serving


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    with serving(FakeServer(answers=[completion("an answer")])) as server:
        yield server


@pytest.fixture
def second_fake() -> Iterator[FakeServer]:
    with serving(FakeServer(answers=[completion("from the second")])) as server:
        yield server


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for provider in PROVIDERS.values():
        for variable in (*provider.keys, *provider.also):
            monkeypatch.delenv(variable, raising=False)
    for variable in ("MOTET_MODEL", "MOTET_MODEL_URL", "MOTET_MODEL_FALLBACKS"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def settings_of(tmp_path: Path) -> Callable[..., Settings]:
    """Settings with a cache of the test's own."""

    def settings(**values: Any) -> Settings:
        return Settings(cache_dir=tmp_path / "cache", data_dir=tmp_path / "data", **values)

    return settings
