"""The model server's mistakes of set-up; to serve it needs weights, which a mesh tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def start(tmp_path: Path, model: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "motet.embedded.model_server", "--model", model),
            *("--port-file", str(tmp_path / "port")),
        ],
        env={**os.environ, "MOTET_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "model,words",
    [
        ("qwen2.5-coder-1.5b", "motet models pull qwen2.5-coder-1.5b"),
        ("huge", "no local model 'huge'"),
        ("/nowhere/model.gguf", "no model file /nowhere/model.gguf"),
    ],
)
def test_a_model_that_is_missing_is_one_line(model: str, words: str, tmp_path: Path) -> None:
    ended = start(tmp_path, model)
    assert ended.returncode == 2
    assert words in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "port").exists()


def test_a_file_that_is_no_model_is_said(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    (tmp_path / "broken.gguf").write_bytes(b"no model" * 100)
    ended = start(tmp_path, str(tmp_path / "broken.gguf"))
    assert ended.returncode == 2
    assert any("llama.cpp cannot serve" in line for line in ended.stderr.splitlines()[-3:])
