"""The planner's checkpointer on a real bucket: LangGraph's own conformance suite, large values."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.conformance import checkpointer_test, validate

from motet.bus import Bucket
from motet.errors import FaultError
from motet.testing import TestMesh
from motet_planner import checkpoints
from motet_planner.checkpoints import KeyValueCheckpointer


@pytest.fixture
def bucket(mesh: TestMesh) -> Bucket:
    return Bucket(mesh.bus, "checkpoints")


async def test_it_conforms(bucket: Bucket) -> None:
    @checkpointer_test(name="KeyValueCheckpointer")
    async def made() -> AsyncIterator[KeyValueCheckpointer]:
        yield KeyValueCheckpointer(bucket)

    report = await validate(made)

    failures = {name: result.failures for name, result in report.results.items() if result.failures}
    assert not failures
    assert report.passed_all_base()
    assert report.results["prune"].passed


async def _put(saver: KeyValueCheckpointer, thread: str, value: object) -> None:
    checkpoint = empty_checkpoint()
    checkpoint["channel_values"] = {"text": value}
    config = {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}
    await saver.aput(config, checkpoint, {"source": "loop", "step": 1}, {})


async def test_a_state_over_the_message_size_is_kept_in_parts(bucket: Bucket) -> None:
    saver = KeyValueCheckpointer(bucket)
    text = "0123456789" * 300_000

    await _put(saver, "large", text)

    saved = await saver.aget_tuple({"configurable": {"thread_id": "large"}})
    assert saved is not None
    assert saved.checkpoint["channel_values"]["text"] == text
    assert len(await bucket.items("large")) == 1 + 6


async def test_a_state_beyond_all_bounds_is_refused(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "PART_BYTES", 1000)

    with pytest.raises(FaultError, match=r"too_large: The task's state has .* bytes"):
        await _put(KeyValueCheckpointer(bucket), "huge", "x" * 100_000)


async def test_nothing_of_a_deleted_thread_is_left(bucket: Bucket) -> None:
    saver = KeyValueCheckpointer(bucket)
    await _put(saver, "one", "x")
    await _put(saver, "two", "y")

    await saver.adelete_thread("one")

    assert await bucket.items("one") == []
    assert len(await bucket.items("two")) == 1
