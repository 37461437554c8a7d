"""Where settings come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from motet.errors import SetupError
from motet.settings import Settings, load_settings
from motet_graph.settings import GraphSettings


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTET_MODEL_URL", "")
    assert load_settings(Settings).model_url is None


def test_a_setting_is_read_from_a_file_unless_the_environment_has_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "motet_graph_password").write_text("from a file\n")
    monkeypatch.setenv("MOTET_SECRETS_DIR", str(tmp_path))
    password = load_settings(GraphSettings).password
    assert password is not None
    assert password.get_secret_value() == "from a file"
    monkeypatch.setenv("MOTET_GRAPH_PASSWORD", "from the environment")
    password = load_settings(GraphSettings).password
    assert password is not None
    assert password.get_secret_value() == "from the environment"


def test_a_folder_of_secrets_that_is_not_there_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MOTET_SECRETS_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(SetupError, match="MOTET_SECRETS_DIR"):
        load_settings(Settings)
