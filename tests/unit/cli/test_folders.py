"""Which files are documents, under which names, and which count as removed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import typer

from motet.cli.folders import File, Version, files_in, is_removed, roots_of
from motet.cli.sending import BATCH_BYTES, BATCH_FILES, batches, missing


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, *names: str) -> None:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("text")


def test_folders_are_searched_and_files_taken_as_they_are(here: Path) -> None:
    write(here, "d/b.md", "d/a.txt", "d/sub/c.MD", "d/sub/picture.unknown", "notes.unknown")
    write(here, "d/.git/d.md", "d/.hidden.md", "d/~$report.md")
    listing = files_in(roots_of([Path("d"), Path("./d/b.md"), Path("notes.unknown")]))
    assert [(file.source, file.media_type) for file in listing.files.values()] == [
        ("d/a.txt", "text/plain"),
        ("d/b.md", "text/markdown"),
        ("d/sub/c.MD", "text/markdown"),
        ("notes.unknown", "text/plain"),
    ]
    assert {source for source, _ in listing.skipped} == {"d/sub/picture.unknown", "d/~$report.md"}
    assert listing.failed == []


def test_documents_are_named_as_the_folder_was(here: Path) -> None:
    write(here, "d/a.md")
    for given, source in (
        (Path("d"), "d/a.md"),
        (Path("./d/"), "d/a.md"),
        (Path(), "d/a.md"),
        (here / "d", f"{here}/d/a.md"),
    ):
        assert list(files_in(roots_of([given])).files) == [source]
    assert list(files_in(roots_of([here / "d"], relative_to=here / "d")).files) == ["a.md"]


@pytest.mark.parametrize("given", ["none", "../x", "d/../d"])
def test_what_has_no_certain_name_is_wrong_usage(
    here: Path, given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(here, "d/a.md")
    with pytest.raises(typer.Exit) as ended:
        roots_of([Path(given)])
    assert ended.value.exit_code == 2
    assert repr(given) in capsys.readouterr().err


def test_links_are_not_followed_out_of_the_folder(here: Path) -> None:
    write(here, "secret.md", "elsewhere/b.md", "d/a.md")
    (here / "d" / "out.md").symlink_to(here / "secret.md")
    (here / "d" / "in.md").symlink_to("a.md")
    (here / "d" / "folder").symlink_to(here / "elsewhere")
    (here / "d" / "loop").symlink_to(here / "d")
    listing = files_in(roots_of([Path("d")]))
    assert list(listing.files) == ["d/a.md", "d/in.md"]
    assert dict(listing.skipped).keys() == {"d/out.md", "d/folder", "d/loop"}


def test_what_cannot_be_read_or_is_too_large_is_told(here: Path) -> None:
    write(here, "d/a.md")
    (here / "d" / "b.md").symlink_to("nowhere")
    (here / "d" / "c.md").write_bytes(b"x" * 11)
    Path(os.fsdecode(b"d/\xff.md")).write_text("text")
    deep = Path("d", *["n" * 200] * 6)
    deep.mkdir(parents=True)
    (deep / "e.md").write_text("text")
    os.mkfifo(here / "d" / "f.md")
    listing = files_in(roots_of([Path("d")]), max_bytes=10)
    assert list(listing.files) == ["d/a.md"]
    failed = {Path(source).name: reason for source, reason in listing.failed}
    assert failed == {
        "b.md": "it cannot be read: No such file or directory",
        "c.md": "it has 11 bytes, and the limit is 10 (--max-mib)",
        "\\udcff.md": "its name is not UTF-8",
        "e.md": "its name has more than 1,024 characters",
    }
    assert listing.skipped == [("d/f.md", "it is no regular file")]


def test_only_what_is_gone_from_the_folder_is_missing(here: Path) -> None:
    write(here, "d/a.md", "d/sub/b.unknown")
    (here / "d" / "link.md").symlink_to("nowhere")
    roots = roots_of([Path("d")])
    known = [
        "d/a.md",
        "d/sub/b.unknown",
        "d/link.md",
        "d/gone.md",
        "d/a.md/below.md",
        "d",
        "d/",
        "d/../gone.md",
        "d//etc/gone",
        "dd/gone.md",
        "elsewhere/gone.md",
        "/d/gone.md",
        "https://example.org/d/gone.md",
    ]
    assert missing(roots, known) == {roots[0]: (["d/gone.md", "d/a.md/below.md"], 3)}


def test_what_cannot_be_looked_at_is_not_gone(here: Path) -> None:
    assert is_removed(here / "none")
    assert not is_removed(here / ("x" * 300))  # the system refuses the name
    assert not is_removed(Path("nul\0"))


@pytest.mark.parametrize("size", [0, 1, 1000, BATCH_BYTES - 1, BATCH_BYTES + 1])
def test_portions_keep_order_and_stay_small(size: int) -> None:
    files = [
        File(Path(f"{n}"), f"{n}", "text/plain", Version(n, size if n % 3 else 7, n))
        for n in range(200)
    ]
    portions = list(batches(files))
    assert [file for portion in portions for file in portion] == files
    for portion in portions:
        assert 1 <= len(portion) <= BATCH_FILES
        assert sum(file.version.size for file in portion) <= BATCH_BYTES or len(portion) == 1
