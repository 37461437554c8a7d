"""The footprint benchmark measures what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

from benchmarks.footprint.answers import Answers
from benchmarks.footprint.memory import family, memory
from benchmarks.footprint.services import _documents
from benchmarks.footprint.stored import Stored, bytes_in


def test_memory_is_that_of_the_process() -> None:
    before = memory(os.getpid())["rss"]
    block = bytearray(os.urandom(1 << 20)) * 50
    grown = memory(os.getpid())["rss"] - before
    assert 45 < grown < 65
    assert len(block) > 0


def test_a_child_counts_apart() -> None:
    code = "block = bytearray(b'x') * 40_000_000; print('ready', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        found = family(os.getpid())
        child.communicate("\n")
    assert any(taken["rss"] > 40 for name, taken in found.items() if name != "own")


def test_bytes_on_disk_are_those_of_blocks(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "full").write_bytes(b"x" * 100_000)
    with (tmp_path / "hole").open("wb") as file:
        file.truncate(100_000_000)
    assert 100_000 <= bytes_in(tmp_path) < 200_000


def test_a_tasks_share() -> None:
    before = Stored({"EVENTS": (100, 1), "DEAD": (5, 1)}, 1000, 50.0, 10, 1000)
    after = Stored({"EVENTS": (500, 5), "DEAD": (5, 1)}, 3000, 51.0, 30, 21_000)
    assert after.each(before, 2) == {
        "tasks": 2,
        "stream_bytes": {"EVENTS": 200},
        "stream_bytes_all": 200,
        "messages": {"EVENTS": 2.0},
        "disk_bytes": 1000,
        "nats_memory_bytes": 500_000,
        "spans": 10.0,
        "span_store_bytes": 10_000,
        "span_bytes": 1000,
    }


def test_documents_are_the_same_each_time() -> None:
    documents = list(_documents(40))
    assert len(documents) == 4
    assert [each.text for each in documents] == [each.text for each in _documents(40)]


def test_the_answers_are_in_the_form_that_is_asked_for() -> None:
    with Answers() as server:
        for form, stream in (("plan", False), ("text", True)):
            asked = {"stream": stream, "model": "m"}
            if form != "text":
                asked["response_format"] = {"json_schema": {"name": form}}
            request = urllib.request.Request(
                f"{server.url}/chat/completions", json.dumps(asked).encode()
            )
            with urllib.request.urlopen(request) as answer:
                body = answer.read().decode()
            assert ("steps" in body) == (form == "plan")
            assert ("[DONE]" in body) == stream
