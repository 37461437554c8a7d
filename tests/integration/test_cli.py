"""The `motet` command against a mesh that `motet up` runs, as a person would use it."""

from __future__ import annotations

import json
import re
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.command_line import CommandLine
from tests.integration.embedded_agents import ECHO

pytestmark = pytest.mark.timeout(120)

LIBRARY = """
    from motet.agent import Agent, Call
    from motet.errors import FaultError
    from motet.messages import DocumentsRequest, DocumentsResult, IngestRequest, IngestResult

    agent = Agent("retriever", "Keeps documents")

    @agent.skill("ingest", "Takes documents", plannable=False)
    async def ingest(request: IngestRequest, call: Call) -> IngestResult:
        return IngestResult(items=tuple(
            IngestResult.Item(
                source=d.source, status="added",
                passages=1 if d.text is None else len(d.text.split("\\n\\n")),
                reason=None if d.blob is None else f"{d.media_type} {d.blob.size}",
            )
            for d in request.documents
        ))

    @agent.skill("documents", "Lists documents", plannable=False)
    async def documents(request: DocumentsRequest, call: Call) -> DocumentsResult:
        return DocumentsResult(documents=())

    @agent.skill("fail", "Cannot be done", max_attempts=1)
    async def fail(request: IngestRequest, call: Call) -> IngestResult:
        raise FaultError.of("not_found", "There is no such shelf.")
"""

STUBBORN = """
    import asyncio
    from contextlib import asynccontextmanager
    from motet.agent import Agent

    @asynccontextmanager
    async def resources():
        yield
        await asyncio.sleep(600)

    agent = Agent("stubborn", "Takes ten minutes to stop", lifespan=resources)
"""


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[CommandLine, dict[str, object]]]:
    """A mesh that runs in another terminal, and what it said of itself."""
    motet = CommandLine.make(tmp_path_factory.mktemp("user"), echo=ECHO, retriever=LIBRARY)
    with motet.up("--agent", "echo", "--agent", "retriever") as (_, state):
        yield motet, state


@pytest.fixture
def motet(up: tuple[CommandLine, dict[str, object]]) -> CommandLine:
    return up[0]


def test_a_goal_is_followed_to_its_answer(motet: CommandLine) -> None:
    done = motet("submit", "say hello", "--follow")
    assert done.returncode == 0, done.stderr
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert any("→" in line and "echo.say s1  from echo" in line for line in lines)
    assert any("✓" in line and "echo.say s1" in line for line in lines)
    assert "say hello" in lines
    assert any(line.startswith("$0.0000 · 0 tokens") and "1 call" in line for line in lines)
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_a_task_is_submitted_watched_and_its_result_read(motet: CommandLine) -> None:
    assert motet("submit", "one thing", "--id", "mine").stdout == "mine\n"
    assert motet.json("submit", "one thing", "--id", "mine") == {"id": "mine"}
    watched = motet("watch", "mine", "--json")
    events = [json.loads(line) for line in watched.stdout.splitlines()]
    kinds = [event["kind"] for event in events]
    assert kinds.count("call_started") == 1
    assert events[-1]["state"] == "succeeded"
    sequences = [event["sequence"] for event in events]
    assert sequences == sorted(set(sequences))
    later = motet("watch", "mine", "--after", str(sequences[-2]), "--json")
    assert [json.loads(line) for line in later.stdout.splitlines()] == events[-1:]
    record = motet.json("result", "mine")
    assert record["answer"]["text"] == "one thing"
    assert "one thing" in motet("result", "mine").stdout
    assert motet.json("cancel", "mine") == {"task": "mine", "cancelled": False}
    assert motet.json("result", "mine")["state"] == "succeeded"


def test_a_strategy_that_does_not_exist_is_refused_before_anything_is_sent(
    motet: CommandLine,
) -> None:
    for option in ("--retrieval", "--strategy"):
        refused = motet("submit", "one thing", option, "guess")
        assert refused.returncode == 2
        assert f"{option[2:]}: Input should be" in refused.stderr
    record = motet.json("submit", "one thing", "--retrieval", "multi_hop", "--id", "asked")
    assert record == {"id": "asked"}
    assert motet.json("result", "asked")["task"]["retrieval"] == "multi_hop"


FORM = {"type": "object", "properties": {"rent": {"type": "number"}}, "required": ["rent"]}


def test_a_task_is_submitted_with_all_that_it_may_have(motet: CommandLine, tmp_path: Path) -> None:
    form, lease, photo = tmp_path / "form.json", tmp_path / "lease.pdf", tmp_path / "photo.PNG"
    form.write_text(json.dumps(FORM))
    lease.write_bytes(b"%PDF-1.7")
    photo.write_bytes(b"\x89PNG")
    options = ("--session", "talk-1", "--answer-schema", str(form), "--language", "pt-BR")
    files = ("--input", str(lease), "--input", str(photo))
    done = motet(
        *("submit", "Read them", "--id", "whole", "--length", "report", "--strategy", "react"),
        *options,
        *files,
        "--follow",
    )
    assert done.returncode == 0, done.stderr
    task = motet.json("result", "whole")["task"]
    assert task["answer_schema"] == FORM
    assert (task["session"], task["language"], task["length"]) == ("talk-1", "pt-BR", "report")
    assert task["strategy"] == "react"
    assert [(each["filename"], each["media_type"]) for each in task["inputs"]] == [
        ("lease.pdf", "application/pdf"),
        ("photo.PNG", "image/png"),
    ]


def test_what_a_task_cannot_have_is_refused_before_anything_is_sent(
    motet: CommandLine, tmp_path: Path
) -> None:
    outside, broken, large = (tmp_path / name for name in ("out.json", "bad.json", "large.bin"))
    outside.write_text(json.dumps({**FORM, "$defs": {"a": {"$ref": "file:///etc/hostname"}}}))
    broken.write_text("{")
    with large.open("wb") as file:
        file.truncate(300 << 20)
    for options, says in (
        (("--input", str(tmp_path / "none.pdf")), "none.pdf cannot be read: No such file"),
        (("--input", str(tmp_path)), "cannot be read: Is a directory"),
        (("--input", str(large)), "MOTET_TASK_INPUT_BYTES"),
        (("--input", str(broken)) * 65, "at most 64 inputs"),
        (("--answer-schema", str(tmp_path / "none.json")), "cannot be read: No such file"),
        (("--answer-schema", str(tmp_path)), "cannot be read: Is a directory"),
        (("--answer-schema", str(broken)), "is not JSON"),
        (("--answer-schema", str(outside)), "'file:///etc/hostname', which is outside of it"),
        (("--language", "German"), "language: "),
        (("--length", "epic"), "length: "),
        (("--session", "a b"), "session: "),
    ):
        refused = motet("submit", "one thing", "--id", "refused", *options)
        assert refused.returncode == 2, options
        assert says in refused.stderr.replace("\n", " "), options
    assert motet("result", "refused").returncode == 1


def test_the_page_on_files_and_conversations_says_what_works(
    motet: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Path(__file__).parents[2] / "docs" / "how-to" / "ask-about-files.md"
    text = page.read_text("utf-8")
    (form,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    (tmp_path / "lease.json").write_text(form)
    (tmp_path / "contract.pdf").write_bytes(b"%PDF-1.7")
    (tmp_path / "prices.csv").write_text("item,price\n")
    monkeypatch.chdir(tmp_path)
    commands = "".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).splitlines()
    assert len(commands) == 5
    tasks: list[dict[str, object]] = []
    for command in commands:
        _, *words = shlex.split(command)
        done = motet(*words, "--follow", "--json")
        assert done.returncode == 0, done.stderr
        named = json.loads(done.stdout.splitlines()[0])["task"]
        tasks.append(motet.json("result", named)["task"])
    assert [len(each["inputs"]) for each in tasks] == [2, 0, 0, 1, 1]  # type: ignore[arg-type]
    assert [each["session"] for each in tasks] == [None, "sites", "sites", None, None]
    assert tasks[3]["answer_schema"] == json.loads(form)
    assert (tasks[4]["language"], tasks[4]["length"]) == ("de", "short")


def test_the_page_on_deep_tasks_submits_one(motet: CommandLine) -> None:
    page = Path(__file__).parents[2] / "docs" / "explanation" / "strategies.md"
    (block,) = re.findall(r"```sh\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    _, *words = shlex.split(block)
    (task,) = motet(*words).stdout.split()
    assert motet.json("result", task)["task"]["strategy"] == "deep"


def test_the_trace_of_a_task_is_one_tree(motet: CommandLine) -> None:
    motet("submit", "trace this", "--id", "traced", "--follow")
    drawn = motet("trace", "traced")
    assert drawn.returncode == 0, drawn.stderr
    assert "echo.say (s1)" in drawn.stdout
    assert "└─ " in drawn.stdout
    [root] = motet.json("trace", "traced")
    assert root["children"]
    assert "send motet.call.echo.say" in motet("trace", "traced", "--spans").stdout


def test_agents_are_listed_with_their_skills(motet: CommandLine) -> None:
    shown = motet("agents").stdout
    assert "echo 0.1.0" in shown
    assert "say" in shown
    assert "Takes documents (not for planners)" in shown
    cards = motet.json("agents")
    assert [card["name"] for card in cards] == ["echo", "retriever"]


def test_documents_are_ingested_from_folders(motet: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "one.md").write_text("# One\n\nText")
    (tmp_path / "two.txt").write_text("Text")
    (tmp_path / "bad.txt").symlink_to("nowhere")
    done = motet("ingest", str(tmp_path))
    assert done.returncode == 1
    assert done.stdout.startswith("3 documents: 2 added, 1 failed; 3 passages\n")
    assert "bad.txt: it cannot be read: No such file or directory" in done.stdout
    (tmp_path / "bad.txt").unlink()
    items = motet.json("ingest", str(tmp_path))["items"]
    assert [item["status"] for item in items] == ["added", "added"]


def test_recordings_go_through_the_object_store(motet: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "call.wav").write_bytes(b"RIFF of a call")
    (tmp_path / "notes.md").write_text("# Notes")
    (tmp_path / "picture.png").write_bytes(b"PNG")
    items = motet.json("ingest", str(tmp_path))["items"]
    assert sorted((Path(item["source"]).name, item["reason"]) for item in items) == [
        ("call.wav", "audio/wav 14"),
        ("notes.md", None),
    ]


def test_a_task_takes_files_along(motet: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "call.wav").write_bytes(b"RIFF of a call")
    motet("submit", "hear this", "--id", "heard", "-i", str(tmp_path / "call.wav"), "--follow")
    [given] = motet.json("result", "heard")["task"]["inputs"]
    assert (given["filename"], given["media_type"], given["size"]) == ("call.wav", "audio/wav", 14)
    missing = motet("submit", "hear this", "--input", str(tmp_path / "none.wav"))
    assert missing.returncode == 2
    assert "cannot be read" in missing.stderr


def test_dead_letters_are_listed_shown_replayed_and_dropped(
    up: tuple[CommandLine, dict[str, object]],
) -> None:
    motet, state = up
    publish(str(state["nats_url"]), "motet.task.submit", b"this is no JSON")
    sequence = wait_for_dead_letter(motet)
    shown = motet("dead", "show", sequence)
    assert "motet.task.submit" in shown.stdout
    assert "this is no JSON" in shown.stdout
    assert "(invalid_input)" in motet("dead", "list").stdout
    assert motet.json("dead", "show", sequence)["letter"]["fault"]["type"] == "invalid_input"
    assert motet.json("dead", "replay", sequence) == {"replayed": [int(sequence)]}
    again = wait_for_dead_letter(motet)
    assert again != sequence
    assert motet("dead", "drop", again).stdout == f"{again} is gone.\n"
    gone = motet("dead", "show", again)
    assert gone.returncode == 4
    assert "There is no dead letter" in gone.stderr


def test_doctor_finds_the_mesh_and_its_agents(motet: CommandLine) -> None:
    checks = json.loads(motet("doctor", "--json").stdout)
    found = {(check["name"], check["found"]): check["verdict"] for check in checks}
    assert found["agent", "echo is alive"] == "good"
    assert found["agent", "retriever is alive"] == "good"


def test_a_task_that_does_not_exist_is_a_sentence(motet: CommandLine) -> None:
    for command in ("watch", "result", "trace", "cancel"):
        done = motet(command, "nothing")
        assert done.returncode == 1
        assert "'nothing'" in done.stderr
        assert "Traceback" not in done.stderr


def test_output_may_be_cut_off_by_a_pipe(motet: CommandLine) -> None:
    with motet.started("agents", "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_nothing_is_left_of_a_mesh_that_is_interrupted(
    tmp_path: Path, number: signal.Signals
) -> None:
    motet = CommandLine.make(tmp_path, echo=ECHO)
    with motet.up("--agent", "echo") as (process, state):
        owned = [psutil.Process(each["pid"]) for each in state["processes"]]
        owned += psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        assert process.wait(30) == (128 + number if number != signal.SIGKILL else -number)
        _, alive = psutil.wait_procs(owned, timeout=30)
    assert [one for one in alive if one.status() != psutil.STATUS_ZOMBIE] == []


def test_a_second_interruption_does_not_wait_for_what_will_not_stop(tmp_path: Path) -> None:
    motet = CommandLine.make(tmp_path, stubborn=STUBBORN)
    with motet.up("--agent", "stubborn") as (process, _):
        owned = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) in {130, 143}
        _, alive = psutil.wait_procs(owned, timeout=30)
    assert [one for one in alive if one.status() != psutil.STATUS_ZOMBIE] == []


def publish(url: str, subject: str, body: bytes) -> None:
    """Publishes as a client that knows nothing of Motet: NATS' text protocol on a socket."""
    import socket
    from urllib.parse import urlsplit

    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        reader = connection.makefile("rb")
        assert reader.readline().startswith(b"INFO ")
        connection.sendall(
            b'CONNECT {"verbose":false}\r\nPUB %s %d\r\n%s\r\nPING\r\n'
            % (subject.encode(), len(body), body)
        )
        assert reader.readline() == b"PONG\r\n"


def wait_for_dead_letter(motet: CommandLine) -> str:
    """The sequence of the one dead letter, once it is there."""
    for _ in range(50):
        letters = motet.json("dead", "list")
        if letters:
            return str(letters[0]["sequence"])
    raise AssertionError("no dead letter came")
