"""What the package must not do: load heavy libraries when imported, or send traces to anybody."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("anthropic", "genai_prices", "httpx", "jsonschema", "langchain", "langchain_core")
HEAVY += ("numpy", "onnxruntime", "openai", "tokenizers", "xllamacpp")


def test_importing_models_imports_no_model_library() -> None:
    program = f"import sys, motet.models; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_langchain_traces_nothing_unless_somebody_switches_it_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from langsmith import utils

    for prefix in ("LANGSMITH", "LANGCHAIN"):
        for name in ("TRACING", "TRACING_V2"):
            monkeypatch.delenv(f"{prefix}_{name}", raising=False)
    utils.get_env_var.cache_clear()
    assert not utils.tracing_is_enabled()
