"""Buckets: reading all of one, and following it."""

from __future__ import annotations

import asyncio

import pytest

from motet.bus import Bucket
from motet.bus.pages import PAGE_MESSAGES
from motet.testing import TestMesh


@pytest.fixture
def bucket(mesh: TestMesh) -> Bucket:
    return Bucket(mesh.bus, "checkpoints")


async def test_all_values_come_however_many_there_are(bucket: Bucket) -> None:
    count = 2 * PAGE_MESSAGES + 1
    await asyncio.gather(*(bucket.put(f"t.{number}", b"old") for number in range(count)))
    await bucket.put("t.0", b"new")
    await bucket.delete("t.1")
    await bucket.put("other.0", b"")

    items = await bucket.items("t")

    assert len(items) == count - 1
    assert items[-1].key == "t.0"
    assert {item.key: item.value for item in items}["t.0"] == b"new"
    assert "t.1" not in {item.key for item in items}
    assert len(await bucket.items()) == count


async def test_a_page_that_is_just_full_is_not_the_end(bucket: Bucket) -> None:
    await asyncio.gather(*(bucket.put(f"t.{number}", b"") for number in range(PAGE_MESSAGES)))
    assert len(await bucket.items("t")) == PAGE_MESSAGES


async def test_an_empty_bucket_has_no_values(bucket: Bucket) -> None:
    assert await bucket.items() == []
    await bucket.put("t.1", b"x")
    assert await bucket.items("t.1") == []


async def test_reading_all_leaves_nothing_on_the_server(mesh: TestMesh, bucket: Bucket) -> None:
    await bucket.put("t.1", b"x")
    for _ in range(50):
        assert len(await bucket.items("t")) == 1
    info = await mesh.bus.js.stream_info(f"KV_{mesh.bus.topology.bucket('checkpoints')}")
    assert info.state.consumer_count == 0


async def test_what_is_purged_leaves_no_mark(mesh: TestMesh, bucket: Bucket) -> None:
    revisions = [await bucket.put(f"t.{number}", b"x") or 0 for number in range(4)]
    await bucket.put("tx.1", b"x")

    await bucket.purge("t", before=revisions[2])
    assert [item.key for item in await bucket.items()] == ["t.2", "t.3", "tx.1"]
    await bucket.purge("t")
    assert [item.key for item in await bucket.items()] == ["tx.1"]

    info = await mesh.bus.js.stream_info(f"KV_{mesh.bus.topology.bucket('checkpoints')}")
    assert info.state.messages == 1


async def test_a_watch_says_when_all_was_given(bucket: Bucket) -> None:
    await bucket.put("t.1", b"one")
    await bucket.put("t.2", b"two")
    given: list[tuple[str, bytes] | None] = []

    async with asyncio.timeout(10):
        async for item in bucket.watch("t"):
            given.append(None if item is None else (item.key, item.value))
            if item is None:
                await bucket.put("t.1", b"three")
                await bucket.delete("t.2")
            if len(given) == 5:
                break

    assert given == [("t.1", b"one"), ("t.2", b"two"), None, ("t.1", b"three"), ("t.2", b"")]


async def test_a_watch_of_nothing_says_so_at_once(bucket: Bucket) -> None:
    async with asyncio.timeout(10):
        assert await anext(bucket.watch("t")) is None
