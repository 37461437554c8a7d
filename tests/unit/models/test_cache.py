from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from motet.models.cache import ResponseCache, request_key

WRITER = """
import asyncio, sys
from pathlib import Path
from motet.models.cache import ResponseCache

async def main(folder, who):
    cache = ResponseCache(Path(folder))
    for number in range(50):
        await cache.put(f"{who}-{number}", f"answer {number}")
        assert await cache.get(f"{who}-{number}") == f"answer {number}"

asyncio.run(main(*sys.argv[1:]))
"""


async def test_an_answer_comes_back(tmp_path: Path) -> None:
    cache = ResponseCache(tmp_path / "new")
    assert await cache.get("key") is None
    await cache.put("key", "ünïcode")
    assert await ResponseCache(tmp_path / "new").get("key") == "ünïcode"


def test_the_key_depends_on_every_part_and_not_on_their_order() -> None:
    assert request_key(a=1, b="x") == request_key(b="x", a=1)
    assert request_key(a=1) != request_key(a=2) != request_key(b=2)


async def test_the_bound_holds_and_what_is_used_stays(tmp_path: Path) -> None:
    bound = 400_000
    cache = ResponseCache(tmp_path, max_bytes=bound)
    await cache.put("used", "x" * 1000)
    for number in range(600):
        await cache.put(f"key {number}", "y" * 1000)
        assert await cache.get("used") is not None
    assert await cache.get("key 0") is None
    assert await cache.get("key 599") is not None
    assert (tmp_path / "answers.sqlite3").stat().st_size < 1.2 * bound


async def test_several_processes_share_it(tmp_path: Path) -> None:
    writers = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, str(tmp_path), str(who), stderr=subprocess.PIPE
        )
        for who in range(3)
    ]
    ended = await asyncio.gather(*(writer.communicate() for writer in writers))
    assert [stderr for _, stderr in ended] == [b""] * 3
    cache = ResponseCache(tmp_path)
    for who in range(3):
        assert await cache.get(f"{who}-49") == "answer 49"


async def test_a_broken_cache_is_a_slow_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "answers.sqlite3").write_bytes(b"no database" * 1000)
    cache = ResponseCache(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert await cache.get("key") is None
        await cache.put("key", "answer")
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
