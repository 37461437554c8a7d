"""`motet ingest`, `documents` and `search` against a mesh that runs, as a person would use them."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from watchfiles import watch

from tests.integration.command_line import CommandLine
from tests.integration.shelf import SHELF, calls

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """A mesh with a scripted retriever that runs in another terminal."""
    folder = tmp_path_factory.mktemp("user")
    motet = CommandLine.make(folder, retriever=SHELF).with_(SHELF_LOG=str(folder / "log"))
    with motet.up("--agent", "retriever"):
        yield motet


@pytest.fixture
def motet(up: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """A user in a folder of their own, which is their tenant's name, too."""
    monkeypatch.chdir(tmp_path)
    (up.folder / "log").unlink(missing_ok=True)
    return up


@pytest.fixture
def log(motet: CommandLine) -> Path:
    return motet.folder / "log"


@pytest.fixture
def tenant(tmp_path: Path) -> tuple[str, str]:
    return ("--tenant", tmp_path.name)


def write(folder: Path, **texts: str) -> None:
    """Files, each with a text; `a__b` is the file `a/b`."""
    for name, text in texts.items():
        file = folder / (name.replace("__", "/") + ".md")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def statuses(answer: dict[str, Any]) -> dict[str, str]:
    return {item["source"]: item["status"] for item in answer["items"]}


def test_what_is_there_is_not_sent_again(
    motet: CommandLine, tmp_path: Path, tenant: tuple[str, str], log: Path
) -> None:
    write(tmp_path / "d", **{f"n{number}": f"text {number}" for number in range(120)})
    (tmp_path / "d" / "latin.txt").write_bytes(b"caf\xe9")
    (tmp_path / "d" / "picture.unknown").write_bytes(b"?")
    first = motet.json("ingest", "d", *tenant)
    assert set(statuses(first).values()) == {"added"}
    assert first["skipped"][0]["source"] == "d/picture.unknown"
    sent = [source for sources in calls(log, "ingest") for source in sources]
    assert sorted(sent) == sorted(statuses(first))
    assert len(calls(log, "ingest")) < 10

    log.unlink()
    again = motet.json("ingest", "./d", *tenant)
    assert set(statuses(again).values()) == {"unchanged"}
    assert len(again["items"]) == 121
    assert calls(log, "ingest") == []

    write(tmp_path / "d", n7="another text")
    assert {
        s for s, did in statuses(motet.json("ingest", "d", *tenant)).items() if did == "replaced"
    } == {"d/n7.md"}
    assert calls(log, "ingest") == [["d/n7.md"]]
    assert statuses(motet.json("ingest", "d/n7.md", "--again", *tenant)) == {"d/n7.md": "replaced"}


def test_a_change_of_label_or_field_or_time_is_sent(
    motet: CommandLine, tmp_path: Path, tenant: tuple[str, str]
) -> None:
    write(tmp_path, a="text")
    for options, status in (
        ((), "added"),
        (("--field", "year=2024", "--field", "tag=a", "--field", "tag=b"), "replaced"),
        (("--field", "year=2024", "--field", "tag=a", "--field", "tag=b"), "unchanged"),
        (("--mtime",), "replaced"),
        (("--mtime",), "unchanged"),
        (("--label", "staff"), "replaced"),
        (("--label", "staff"), "unchanged"),
    ):
        assert statuses(motet.json("ingest", "a.md", *options, *tenant)) == {"a.md": status}, (
            options
        )


def test_one_bad_file_does_not_stop_the_rest(
    motet: CommandLine, tmp_path: Path, tenant: tuple[str, str], log: Path
) -> None:
    write(tmp_path / "d", a="text", b="refuse", c="poison", d="text", e="text")
    (tmp_path / "d" / "f.md").symlink_to("nowhere")
    (tmp_path / "d" / "g.md").write_bytes(b"x" * (1 << 20 | 1))
    done = motet("ingest", "d", "--max-mib", "1", "--verbose", *tenant)
    assert done.returncode == 1
    assert done.stdout.startswith("7 documents: 3 added, 4 failed; 3 passages\n")
    assert "d/b.md: It was refused.\n" in done.stdout
    assert "d/c.md: The press broke.\n" in done.stdout
    assert "d/f.md: it cannot be read: No such file or directory\n" in done.stdout
    assert "d/g.md: it has 1,048,577 bytes, and the limit is 1,048,576 (--max-mib)" in done.stdout
    # All in one call, then each alone.
    assert [len(sources) for sources in calls(log, "ingest")] == [5, 1, 1, 1, 1, 1]

    shown = motet("documents", "--failed", *tenant).stdout
    assert "d/b.md" in shown
    assert "It was refused." in shown
    assert "d/a.md" not in shown
    [info] = motet.json("documents", "--source", "d/b.md", *tenant)
    assert info["failure"]["reason"] == "It was refused."


def test_nobody_who_takes_documents_is_a_sentence(
    motet: CommandLine, tmp_path: Path, tenant: tuple[str, str]
) -> None:
    write(tmp_path, a="text")
    done = motet.with_(MOTET_NATS_URL="nats://127.0.0.1:9")("ingest", "a.md", *tenant)
    assert (done.returncode, "Traceback" in done.stderr) == (3, False)
    (tmp_path / "d").mkdir()
    nothing = motet("ingest", "d", *tenant)
    assert nothing.returncode == 1
    assert "Nothing to ingest" in nothing.stderr


def test_a_run_ends_when_call_after_call_fails(
    motet: CommandLine, tmp_path: Path, tenant: tuple[str, str]
) -> None:
    write(tmp_path / "d", **{f"n{number}": "poison" for number in range(60)})
    done = motet("ingest", "d", "--parallel", "1", *tenant)
    assert done.returncode == 4
    assert "The press broke." in done.stderr
    assert "files not sent: the same command goes on there" in done.stdout


def test_a_document_that_takes_for_ever_stops_no_other(
    motet: CommandLine, tmp_path: Path, tenant: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("motet.cli.sending.INGEST_WITHIN_S", 1.0)
    write(tmp_path / "d", a="wait", b="text")
    done = motet("ingest", "d", *tenant)
    assert done.returncode == 1
    assert "2 documents: 1 added, 1 failed; 1 passage\n" in done.stdout
    assert "d/a.md: retriever.ingest " in done.stdout


def test_what_was_removed_is_deleted_on_demand(
    motet: CommandLine, tmp_path: Path, tenant: tuple[str, str]
) -> None:
    write(tmp_path, d__a="a", d__sub__b="b", d__c="c", dd__a="a", other="o")
    motet.json("ingest", "d", "dd", "other.md", *tenant)
    for gone in ("d/a.md", "dd/a.md", "other.md"):
        (tmp_path / gone).unlink()
    (tmp_path / "d" / "c.md").rename(tmp_path / "d" / "renamed.md")
    assert motet.json("ingest", "d", *tenant)["deleted"] == []
    synced = motet.json("ingest", "d", "--sync", *tenant)
    assert sorted(item["source"] for item in synced["deleted"]) == ["d/a.md", "d/c.md"]
    known = [info["source"] for info in motet.json("documents", *tenant)]
    assert known == ["d/renamed.md", "d/sub/b.md", "dd/a.md", "other.md"]


def test_an_empty_folder_deletes_nothing_unless_that_is_meant(
    motet: CommandLine, tmp_path: Path, tenant: tuple[str, str]
) -> None:
    write(tmp_path, d__a="a", d__b="b")
    motet.json("ingest", "d", *tenant)
    for file in (tmp_path / "d").iterdir():
        file.unlink()
    kept = motet("ingest", "d", "--sync", *tenant)
    assert kept.returncode == 1
    assert "2 documents below 'd' would be deleted, and 0 left: --yes deletes them" in kept.stdout
    assert len(motet.json("documents", *tenant)) == 2
    assert "2 documents deleted\n" in motet("ingest", "d", "--sync", "--yes", *tenant).stdout
    assert motet("documents", *tenant).stdout == "No documents.\n"


def test_tenants_and_labels_keep_documents_apart(
    motet: CommandLine, tmp_path: Path, tenant: tuple[str, str]
) -> None:
    write(tmp_path, a="text for all", b="text for staff")
    motet.json("ingest", "a.md", *tenant)
    motet.json("ingest", "b.md", "--label", "staff", *tenant)
    assert [info["source"] for info in motet.json("documents", *tenant)] == ["a.md"]
    staff = motet.json("documents", "--access", "staff", *tenant)
    assert [(info["source"], info["labels"]) for info in staff] == [
        ("a.md", []),
        ("b.md", ["staff"]),
    ]
    assert motet.json("documents") == []
    assert len(motet.json("search", "text", *tenant)["passages"]) == 1
    assert len(motet.json("search", "text", "--access", "staff", *tenant)["passages"]) == 2


def test_documents_are_listed_and_deleted(
    motet: CommandLine, tmp_path: Path, tenant: tuple[str, str]
) -> None:
    write(tmp_path, d__a="a", d__b="b", c="c")
    motet.json("ingest", "d", "c.md", "--field", "year=2024", *tenant)
    shown = motet("documents", "--under", "d/", *tenant).stdout.splitlines()
    assert [line.split("  ")[0].split()[-1] for line in shown] == ["d/a.md", "d/b.md"]
    assert shown[0].endswith("  1 passage, text/markdown, year=2024")
    assert motet("documents", "--limit", "1", *tenant).stdout.splitlines()[1].startswith("and more")
    assert motet("documents", "delete", "d/a.md", *tenant).stdout == "1 document deleted\n"
    gone = motet("documents", "delete", "d/a.md", "c.md", *tenant)
    assert gone.returncode == 1
    assert "There is no document 'd/a.md'." in gone.stderr
    assert [info["source"] for info in motet.json("documents", *tenant)] == ["d/b.md"]


def test_passages_are_shown_with_why_they_are_there(
    motet: CommandLine, tmp_path: Path, tenant: tuple[str, str]
) -> None:
    write(tmp_path, a="the text of a", b="the text of b")
    motet.json("ingest", "a.md", "--field", "year=2024", *tenant)
    motet.json("ingest", "b.md", *tenant)
    year = '{"field": "fields.year", "op": "eq", "value": 2024}'
    shown = motet("search", "text", "--filter", year, "--strategy", "basic", "--explain", *tenant)
    assert [line.rstrip() for line in shown.stdout.splitlines()] == [
        "strategy basic",
        "also asked: other words",
        "  1  a.md, page 3  0.5000",
        "     It has the word.",
        "     sparse   rank   1  score 2.5000  asked 'other words'",
        "     the text of a",
    ]
    assert "rank" not in motet("search", "text", *tenant).stdout
    assert motet("search", "nothing of it", *tenant).stdout == "Nothing was found.\n"
    for options, said in (
        (("--filter", "{"), "--filter is not JSON"),
        (("--filter", '{"field": "page", "op": "lt", "value": "x"}'), "cannot be searched for"),
        (("--strategy", "telepathy"), "cannot be searched for"),
    ):
        wrong = motet("search", "text", *options, *tenant)
        assert (wrong.returncode, said in wrong.stderr) == (2, True), wrong.stderr


def test_an_interruption_cancels_what_runs_and_says_what_is_left(
    motet: CommandLine, tmp_path: Path, tenant: tuple[str, str], log: Path
) -> None:
    write(tmp_path / "d", **{f"n{number}": "text" for number in range(3)}, z="wait")
    dead = motet.json("dead", "list")
    with motet.started("ingest", "d", *tenant) as process:
        wait_for(log, "ingest")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 130, err
    assert "files not sent: the same command goes on there" in out
    wait_for(log, "cancelled")
    assert motet.json("dead", "list") == dead


def test_a_run_is_one_trace(motet: CommandLine, tmp_path: Path, tenant: tuple[str, str]) -> None:
    write(tmp_path / "d", **{f"n{number}": "text" for number in range(60)})
    run = motet.json("ingest", "d", *tenant)["run"]
    [root] = motet.json("trace", run)
    assert root["name"] == "run ingest"
    names = [child["name"] for child in root["children"]]
    assert names.count("send motet.call.retriever.ingest") == 2
    assert f"run ingest {run}" in motet("trace", run).stdout


def wait_for(log: Path, skill: str) -> None:
    """Waits until the scripted retriever has written that down."""
    for _ in watch(log.parent, rust_timeout=100, yield_on_timeout=True, debounce=50):
        if calls(log, skill):
            return


class Watching:
    """`motet ingest --watch` in another terminal."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def next(self) -> tuple[dict[str, str], list[str]]:
        """What it says next: documents with their status, and those that it deleted."""
        assert self._process.stdout is not None
        answer = json.loads(self._process.stdout.readline())
        return statuses(answer), sorted(item["source"] for item in answer["deleted"])


@contextmanager
def watching(motet: CommandLine, *arguments: str) -> Generator[Watching]:
    with motet.started("ingest", *arguments, "--watch", "--json") as process:
        yield Watching(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130


def test_documents_follow_a_folder(
    motet: CommandLine, tmp_path: Path, tenant: tuple[str, str]
) -> None:
    write(tmp_path, d__a="a", d__b="b")
    with watching(motet, "d", *tenant) as told:
        assert told.next() == ({"d/a.md": "added", "d/b.md": "added"}, [])
        write(tmp_path, d__new__c="c")
        assert told.next() == ({"d/new/c.md": "added"}, [])
        # As editors do it: a file beside it, then renamed over it.
        (tmp_path / "d" / "a.md.tmp").write_text("another a")
        (tmp_path / "d" / ".a.md.swp").write_text("another a")
        (tmp_path / "d" / "a.md.tmp").rename(tmp_path / "d" / "a.md")
        assert told.next() == ({"d/a.md": "replaced"}, [])
        (tmp_path / "d" / "b.md").rename(tmp_path / "d" / "renamed.md")
        assert told.next() == ({"d/renamed.md": "added"}, ["d/b.md"])
        (tmp_path / "d" / "a.md").unlink()
        assert told.next() == ({}, ["d/a.md"])
        (tmp_path / "d").rename(tmp_path / "away")
        write(tmp_path, e__f="f")
        (tmp_path / "away").rename(tmp_path / "d")
        write(tmp_path, d__g="g")
        assert told.next() == ({"d/g.md": "added"}, [])
    assert [info["source"] for info in motet.json("documents", *tenant)] == [
        "d/g.md",
        "d/new/c.md",
        "d/renamed.md",
    ]


def test_watching_goes_on_when_the_mesh_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    user = CommandLine.make(tmp_path / "user", retriever=SHELF)
    motet = user.with_(SHELF_LOG=str(tmp_path / "user" / "log"))
    write(tmp_path, d__a="a", d__b="b")
    with (
        motet.up("--agent", "retriever") as (first, _),
        motet.started("ingest", "d", "--watch", "--json") as process,
    ):
        told = Watching(process)
        assert told.next() == ({"d/a.md": "added", "d/b.md": "added"}, [])
        first.terminate()
        first.wait(30)
        write(tmp_path, d__a="another a", d__c="c")
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["unsent"] == 2
        with motet.up("--agent", "retriever"):
            # This retriever has forgotten everything.
            assert told.next() == (dict.fromkeys(("d/a.md", "d/b.md", "d/c.md"), "added"), [])
