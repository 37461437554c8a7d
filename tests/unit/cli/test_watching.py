"""When a file that changes is taken, and when it counts as gone."""

from __future__ import annotations

from pathlib import Path

from motet.cli.folders import files_in, roots_of
from motet.cli.watching import SETTLE_S, Seen


def looks(folder: Path, seen: Seen, now: float) -> tuple[list[str], list[str]]:
    files, gone = seen.settled(files_in(roots_of([folder])), now)
    return [Path(file.source).name for file in files], [Path(source).name for source in gone]


def test_a_file_is_taken_when_it_has_stayed_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "old.md").write_text("old")
    seen = Seen(files_in(roots_of([tmp_path])))
    assert looks(tmp_path, seen, 0) == ([], [])
    assert not seen.unsettled
    (tmp_path / "new.md").write_text("half")
    assert looks(tmp_path, seen, 10) == ([], [])
    assert seen.unsettled
    (tmp_path / "new.md").write_text("half of it, and the rest")
    assert looks(tmp_path, seen, 10 + SETTLE_S) == ([], [])
    assert looks(tmp_path, seen, 10 + 2 * SETTLE_S) == (["new.md"], [])


def test_a_file_that_an_editor_replaces_is_not_gone(tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    file.write_text("before")
    seen = Seen(files_in(roots_of([tmp_path])))
    file.rename(tmp_path / "a.md~")
    assert looks(tmp_path, seen, 0) == ([], [])
    file.write_text("after!")
    assert looks(tmp_path, seen, SETTLE_S) == ([], [])
    assert looks(tmp_path, seen, 2 * SETTLE_S) == (["a.md"], [])


def test_a_file_is_gone_when_it_stays_away(tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    file.write_text("text")
    listing = files_in(roots_of([tmp_path]))
    seen = Seen(listing)
    file.unlink()
    assert looks(tmp_path, seen, 0) == ([], [])
    assert looks(tmp_path, seen, SETTLE_S) == ([], ["a.md"])
    # Kept, since nothing else is left: it is not asked about again until it was there.
    seen.taken([], list(listing.files), set())
    assert looks(tmp_path, seen, 9) == ([], [])
    assert not seen.unsettled
    file.write_text("text")
    looks(tmp_path, seen, 10)
    file.unlink()
    looks(tmp_path, seen, 20)
    assert looks(tmp_path, seen, 20 + SETTLE_S) == ([], ["a.md"])


def test_a_file_that_is_renamed_leaves_its_folder_as_full_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("text")
    [root] = roots = roots_of([tmp_path])
    seen = Seen(files_in(roots))
    (tmp_path / "a.md").rename(tmp_path / "b.md")
    seen.settled(files_in(roots), 0)
    files, gone = seen.settled(files_in(roots), SETTLE_S)
    assert seen.below(root, files, gone) == ([f"{tmp_path}/a.md"], 1)
    assert seen.below(root, [], gone) == ([f"{tmp_path}/a.md"], 0)


def test_what_was_taken_is_not_taken_again(tmp_path: Path) -> None:
    seen = Seen(files_in(roots_of([tmp_path])))
    (tmp_path / "a.md").write_text("text")
    looks(tmp_path, seen, 0)
    files, _ = seen.settled(files_in(roots_of([tmp_path])), SETTLE_S)
    seen.taken(files, [], set())
    assert looks(tmp_path, seen, 5 * SETTLE_S) == ([], [])
    assert not seen.unsettled
