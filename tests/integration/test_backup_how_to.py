"""docs/how-to/back-up-and-restore.md: what it has an operator ask Qdrant for."""

from __future__ import annotations

import inspect
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from qdrant_client.http.api import snapshots_api

from tests.integration.qdrant_wire import WireServer

PAGE = (Path(__file__).parents[2] / "docs/how-to/back-up-and-restore.md").read_text("utf-8")
SNIPPETS = re.findall(r"exec -T retriever python -c '\n(.*?)'\n", PAGE, re.DOTALL)
CURLS = re.findall(r"^curl ((?:.*\\\n)*.*)$", PAGE, re.MULTILINE)


def test_the_snippets_ask_as_qdrants_interface_has_it() -> None:
    """Of a stand-in, which holds requests to the models of Qdrant's OpenAPI document."""
    made, recovered = SNIPPETS
    with WireServer() as wire:
        for snippet, says in ((made, "motet-1\n"), (recovered, "")):
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
        "POST /collections/motet/snapshots",
        "PUT /collections/motet/snapshots/recover",
    ]


@pytest.mark.parametrize("curl", CURLS)
def test_the_addresses_are_those_of_qdrants_interface(curl: str) -> None:
    words = shlex.split(curl)
    (address,) = (word for word in words if word.startswith("http://127.0.0.1:6333"))
    path, _, query = address.removeprefix("http://127.0.0.1:6333").partition("?")
    path = path.replace("/motet/", "/{collection_name}/").replace("NAME", "{snapshot_name}")
    method = "POST" if {"--form", "POST"} & {*words} else "GET"
    known = re.findall(r'method="(\w+)",\s+url="([^"]+)"', inspect.getsource(snapshots_api))
    assert (method, path) in known
    assert query in ("", "priority=snapshot")


def test_three_requests_are_shown() -> None:
    assert len(CURLS) == 3
