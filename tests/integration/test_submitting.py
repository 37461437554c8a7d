"""What the client sends with a task, and what it refuses to send."""

from __future__ import annotations

from pathlib import Path

import pytest

from motet.agent import Agent, Call
from motet.bus import Bucket
from motet.errors import FaultError
from motet.messages import Answer, BlobRef, FaultType, Task
from motet.testing import TestMesh

OUTSIDE = {"type": "object", "properties": {"a": {"$ref": "https://x.test/a.json"}}}


@pytest.fixture
async def planned(mesh: TestMesh) -> TestMesh:
    agent = Agent("planner", "Reads what it is sent")

    @agent.task
    async def run(task: Task, call: Call) -> Answer:
        read = [(await call.blobs.get(each)).decode() for each in task.inputs]
        return Answer(text=", ".join(read), data={"names": [each.filename for each in task.inputs]})

    await mesh.join(agent)
    return mesh


async def test_files_become_inputs(planned: TestMesh, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("one.txt", "two.txt")]
    for path in paths:
        path.write_text(path.stem)
    earlier = await planned.motet.attach(paths[0])
    handle = await planned.motet.submit(Task(goal="Read.", inputs=(earlier,)), files=paths)
    record = await handle.result(20)
    assert record.answer is not None, record.fault
    assert record.answer.text == "one, one, two"
    assert record.answer.data["names"] == ["one.txt", "one.txt", "two.txt"]
    alone = await (await planned.motet.submit("Read.", files=paths[1:])).result(20)
    assert alone.answer is not None
    assert alone.answer.text == "two"


async def test_what_the_mesh_would_refuse_is_not_sent(mesh: TestMesh, tmp_path: Path) -> None:
    file = BlobRef(name="files/none", size=64 << 20, sha256="0" * 64)
    large = tmp_path / "large.bin"
    with large.open("wb") as opened:
        opened.truncate(mesh.settings.task_input_bytes + 1)
    small = tmp_path / "small.txt"
    small.write_text("x")
    for task, files, kind, says in (
        (Task(goal="x", answer_schema=OUTSIDE), (), FaultType.INVALID_INPUT, "outside of it"),
        (Task(goal="x", inputs=(file,) * 64), (), FaultType.TOO_LARGE, "MOTET_TASK_INPUT_BYTES"),
        (Task(goal="x"), (large,), FaultType.TOO_LARGE, "MOTET_TASK_INPUT_BYTES"),
        (Task(goal="x"), (small,) * 65, FaultType.TOO_LARGE, "at most 64 inputs"),
    ):
        with pytest.raises(FaultError, match=says) as raised:
            await mesh.motet.submit(task, files=files)
        assert raised.value.fault.type == kind
    for path, error in ((tmp_path / "none", FileNotFoundError), (tmp_path, IsADirectoryError)):
        with pytest.raises(error):
            await mesh.motet.submit("x", files=[path])
    assert await mesh.waiting("TASKS") == 0
    assert await Bucket(mesh.bus, "tasks").items() == []
