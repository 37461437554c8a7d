"""docs/how-to/back-up-and-restore.md: what it has an operator ask Qdrant for."""

from __future__ import annotations

import inspect
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from qdrant_client import QdrantClient, models
from qdrant_client.http.api import aliases_api, snapshots_api

from tests.integration.qdrant_wire import WireServer

PAGE = (Path(__file__).parents[2] / "docs/how-to/back-up-and-restore.md").read_text("utf-8")
SNIPPETS = re.findall(r"exec -T retriever python -c '\n(.*?)'\n", PAGE, re.DOTALL)
CURLS = re.findall(r"^curl ((?:.*\\\n)*.*)$", PAGE, re.MULTILINE)


def test_the_snippets_ask_as_qdrants_interface_has_it() -> None:
    """Of a stand-in, which holds requests to the models of Qdrant's OpenAPI document."""
    made, recovered = SNIPPETS
    with WireServer() as wire:
        client = QdrantClient(url=wire.url)
        for name in ("motet", "motet-memory", "others"):
            vectors = models.VectorParams(size=3, distance=models.Distance.COSINE)
            client.create_collection(f"{name}-1f0c2a9b", {"dense": vectors})
            alias = models.CreateAlias(collection_name=f"{name}-1f0c2a9b", alias_name=name)
            client.update_collection_aliases([models.CreateAliasOperation(create_alias=alias)])
        client.close()
        both = "motet-1f0c2a9b motet-1f0c2a9b-1\nmotet-memory-1f0c2a9b motet-memory-1f0c2a9b-1\n"
        for snippet, says in ((made, both), (recovered, "")):
            text = snippet.replace("http://qdrant:6333", wire.url)
            done = subprocess.run(
                [sys.executable, "-W", "ignore", "-c", text],
                capture_output=True,
                text=True,
                check=False,
            )
            assert not done.returncode, done.stderr
            assert done.stdout == says
        asked = [request for request in wire.requests if "snapshots" in request]
    assert asked == [
        "POST /collections/motet-1f0c2a9b/snapshots",
        "POST /collections/motet-memory-1f0c2a9b/snapshots",
        "PUT /collections/COLLECTION/snapshots/recover",
    ]


@pytest.mark.parametrize("curl", CURLS)
def test_the_addresses_are_those_of_qdrants_interface(curl: str) -> None:
    words = shlex.split(curl)
    (address,) = (word for word in words if word.startswith("http://127.0.0.1:6333"))
    path, _, query = address.removeprefix("http://127.0.0.1:6333").partition("?")
    path = path.replace("/COLLECTION/", "/{collection_name}/").replace("NAME", "{snapshot_name}")
    method = "POST" if {"--form", "POST"} & {*words} else "GET"
    api = snapshots_api if "snapshots" in path else aliases_api
    known = re.findall(r'method="(\w+)",\s+url="([^"]+)"', inspect.getsource(api))
    assert (method, path) in known
    assert query in ("", "priority=snapshot")


def test_four_requests_are_shown() -> None:
    assert len(CURLS) == 4
