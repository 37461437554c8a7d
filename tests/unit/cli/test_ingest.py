"""Which files are ingested, and in what portions."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from motet.cli.ingest import batches, documents_in, files_in, summary
from motet.messages import Document, IngestResult


def test_folders_are_searched_and_files_taken_as_they_are(tmp_path: Path) -> None:
    for name in ("b.md", "a.txt", "sub/c.MD", "sub/picture.png", ".git/d.md", "notes.rst"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("text")
    found = files_in([tmp_path, tmp_path / "b.md", tmp_path / "notes.rst"])
    assert [str(file.relative_to(tmp_path)) for file in found] == [
        "a.txt",
        "b.md",
        "sub/c.MD",
        "notes.rst",
    ]


def test_a_link_out_of_a_folder_is_not_followed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    private = tmp_path / "private"
    private.mkdir()
    (private / "key.txt").write_text("secret")
    documents = tmp_path / "documents"
    (documents / "deep").mkdir(parents=True)
    (documents / "own.md").write_text("text")
    (documents / "again.md").symlink_to("own.md")
    (documents / "stolen.md").symlink_to(private / "key.txt")
    (documents / "deep" / "stolen.txt").symlink_to("../../private/key.txt")
    (documents / "folder.md").symlink_to(private)
    (documents / "linked").symlink_to(private)
    (documents / "loop.md").symlink_to("loop.md")

    found = files_in([documents])

    assert [str(file.relative_to(documents)) for file in found] == ["again.md", "own.md"]
    said = capsys.readouterr().err
    assert "stolen.md" in said
    assert "stolen.txt" in said
    # Whoever names a link means what it leads to.
    assert files_in([documents / "stolen.md"]) == [documents / "stolen.md"]
    assert files_in([documents / "linked"]) == [documents / "linked" / "key.txt"]


def test_a_path_that_does_not_exist_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(typer.Exit) as ended:
        files_in([tmp_path / "none"])
    assert ended.value.exit_code == 2


def test_what_cannot_be_read_is_said_and_the_rest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "good.md").write_text("\ufeff# Title", encoding="utf-8")
    (tmp_path / "bad.txt").write_bytes(b"caf\xe9")
    documents, unread = documents_in(sorted(tmp_path.iterdir()), tmp_path)
    assert [(d.source, d.media_type, d.text) for d in documents] == [
        ("good.md", "text/markdown", "# Title")
    ]
    assert [(item.source, item.reason) for item in unread] == [
        ("bad.txt", "it is not UTF-8 text (byte 3)")
    ]
    assert summary(unread) == "1 document: 1 failed; 0 passages"


@given(st.lists(st.integers(0, 200_000), max_size=40))
def test_portions_keep_order_and_stay_small(lengths: list[int]) -> None:
    documents = [Document(source=str(n), text="x" * length) for n, length in enumerate(lengths)]
    portions = list(batches(documents))
    assert [document for portion in portions for document in portion] == documents
    for portion in portions:
        assert portion
        size = sum(len(document.text or "") for document in portion)
        assert size <= 64 * 1024 or len(portion) == 1


def test_a_summary_counts_each_kind() -> None:
    def item(status: str, passages: int) -> IngestResult.Item:
        return IngestResult.Item.model_validate(
            {"source": "s", "status": status, "passages": passages}
        )

    items = [item("added", 3), item("added", 4), item("unchanged", 2)]
    assert summary(items) == "3 documents: 2 added, 1 unchanged; 9 passages"
