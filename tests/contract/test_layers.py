"""Importing Motet stays light. What may import what is held by import-linter (`make lint`)."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {
    "agents",
    "chromadb",
    "faiss",
    "faster_whisper",
    "google",
    "grpc",
    "huggingface_hub",
    "langchain",
    "langchain_core",
    "langgraph",
    "langsmith",
    "llama_index",
    "milvus_lite",
    "neo4j",
    "numpy",
    "onnxruntime",
    "openai",
    "pint",
    "pydantic_ai",
    "pymilvus",
    "qdrant_client",
    "qdrant_edge",
    "rich",
    "tokenizers",
    "torch",
    "transformers",
    "typer",
    "workflows",
    "xllamacpp",
}
"""Top-level modules that only the code which needs them may load, when it needs them."""

PYDANTIC = {
    "annotated_types",
    "pydantic",
    "pydantic_core",
    "typing_extensions",
    "typing_inspection",
}


def loaded_by(module: str) -> set[str]:
    """The top-level modules in a fresh interpreter after `module` was imported, less its own."""
    script = (
        "import sys; before = set(sys.modules); "
        f"import {module}, json; "
        "print(json.dumps(sorted({name.partition('.')[0] for name in set(sys.modules) - before})))"
    )
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return set(json.loads(ran.stdout))


@pytest.mark.parametrize(
    "module",
    [
        "motet",
        "motet.settings",
        "motet.telemetry",
        "motet.bus",
        "motet.agent",
        "motet.client",
        "motet.adapters",
        "motet.adapters.functions",
    ],
)
def test_the_core_loads_nothing_heavy(module: str) -> None:
    assert loaded_by(module) & HEAVY == set()


def test_messages_stand_on_pydantic_alone() -> None:
    known = {"motet", *sys.stdlib_module_names, *PYDANTIC}
    assert {name for name in loaded_by("motet.messages") - known if name[0] != "_"} == set()
