"""The planner's checkpointer on a real bucket: LangGraph's own conformance suite, large values.

And forged ones: who writes a checkpoint must not have the planner run anything.
"""

from __future__ import annotations

import asyncio
import json
import pickle
from collections.abc import AsyncIterator
from pathlib import Path, PurePath

import ormsgpack
import pytest
from langchain_core.messages import AIMessage
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.types import Send

from motet.bus import Bucket
from motet.errors import FaultError
from motet.testing import TestMesh
from motet_planner import checkpoints
from motet_planner.checkpoints import KeyValueCheckpointer
from motet_planner.agents.state import MESSAGES


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


async def test_what_is_finished_goes_after_a_while(
    mesh: TestMesh, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "KEPT_S", 1)
    saver = KeyValueCheckpointer(bucket)
    await _put(saver, "other", "z")
    for value in ("x" * (2 * checkpoints.PART_BYTES), "y" * (2 * checkpoints.PART_BYTES)):
        await _put(saver, "done", value)

    await saver.finish("done")

    saved = await saver.aget_tuple({"configurable": {"thread_id": "done"}})
    assert saved is not None
    assert saved.checkpoint["channel_values"]["text"][0] == "y"
    stream = f"KV_{mesh.bus.topology.bucket('checkpoints')}"
    async with asyncio.timeout(20):
        while (await mesh.bus.js.stream_info(stream)).state.messages > 1:  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # that a value expires is told to nobody
    assert [item.key.split(".")[0] for item in await bucket.items()] == ["other"]


def _forged(kind: str, value: bytes) -> bytes:
    """A checkpoint with a value of somebody else's, as the bucket has it."""
    return b"\1" + ormsgpack.packb([None, kind, value, "msgpack", ormsgpack.packb({})])


def _object(code: int, *parts: object) -> bytes:
    """A state in MessagePack, with an object that is to be made of `parts`."""
    return ormsgpack.packb(
        {"channel_values": {"goal": ormsgpack.Ext(code, ormsgpack.packb(parts))}}
    )


def _writing(mark: Path) -> list[tuple[str, bytes]]:
    """Values that would write `mark`, or call something else, when they are read."""
    name, write = str(mark), "write_text"
    constructor = {"lc": 2, "type": "constructor", "id": ["pathlib", "Path"], "args": [name]}
    return [
        ("msgpack", _object(0, "os", "system", f"touch {name}")),
        ("msgpack", _object(1, "os", "system", (f"touch {name}",))),
        ("msgpack", _object(2, "subprocess", "check_call", {"args": ["touch", name]})),
        ("msgpack", _object(3, "os", "sys", f"touch {name}", "exit")),
        ("msgpack", _object(4, "subprocess", "check_call", {"args": ["touch", name]})),
        ("msgpack", _object(5, "subprocess", "check_call", {"args": ["touch", name]}, write)),
        ("msgpack", _object(1, "pathlib", "Path", (name,))),
        ("msgpack", _object(1, "langgraph.types", "Command", ())),
        ("msgpack", ormsgpack.packb({"goal": ormsgpack.Ext(7, _object(0, "os", "system", ":"))})),
        ("msgpack", ormsgpack.packb(ormsgpack.Ext(1, _object(0, "os", "system", f"touch {name}")))),
        ("json", json.dumps({"channel_values": {"goal": constructor}}).encode()),
        ("pickle", pickle.dumps(PurePath(name))),
    ]


@pytest.mark.parametrize("types", [(), MESSAGES], ids=["plan", "deep"])
@pytest.mark.parametrize("number", range(12))
async def test_a_forged_checkpoint_makes_nothing_and_calls_nothing(
    bucket: Bucket, tmp_path: Path, number: int, types: tuple[type, ...]
) -> None:
    mark = tmp_path / "mark"
    kind, value = _writing(mark)[number]
    await bucket.put("task._.1f.state", _forged(kind, value))
    saver = KeyValueCheckpointer(bucket, types)

    with pytest.raises(FaultError, match="which no planner writes") as refused:
        await saver.aget_tuple({"configurable": {"thread_id": "task"}})

    assert not refused.value.fault.retryable
    assert not mark.exists()


@pytest.mark.parametrize(
    "types, values",
    [
        ((), {"content": "x"}),  # no message is ever in a plan's state
        (MESSAGES, {"content": 7}),
        (MESSAGES, {"content": ormsgpack.Ext(5, _object(0, "os", "system", ":"))}),
    ],
)
async def test_a_message_is_read_where_there_may_be_one_and_as_nothing_else(
    bucket: Bucket, types: tuple[type, ...], values: dict[str, object]
) -> None:
    said = AIMessage("x", tool_calls=[{"name": "now", "args": {"city": "Ely"}, "id": "c"}])
    deep = KeyValueCheckpointer(bucket, MESSAGES)
    await _put(deep, "kept", [said])
    kept = await deep.aget_tuple({"configurable": {"thread_id": "kept"}})
    assert kept is not None
    assert kept.checkpoint["channel_values"]["text"] == [said]

    forged = _object(5, "langchain_core.messages.ai", "AIMessage", values, "model_validate_json")
    await bucket.put("task._.1f.state", _forged("msgpack", forged))
    with pytest.raises(FaultError, match="which no planner writes"):
        await KeyValueCheckpointer(bucket, types).aget_tuple(
            {"configurable": {"thread_id": "task"}}
        )


async def test_what_comes_next_is_kept(bucket: Bucket) -> None:
    saver = KeyValueCheckpointer(bucket)
    await _put(saver, "task", [Send("run", {"step": {"id": "s1"}, "input": {"limit": 6}})])

    saved = await saver.aget_tuple({"configurable": {"thread_id": "task"}})

    assert saved is not None
    (send,) = saved.checkpoint["channel_values"]["text"]
    assert (send.node, send.arg) == ("run", {"step": {"id": "s1"}, "input": {"limit": 6}})
