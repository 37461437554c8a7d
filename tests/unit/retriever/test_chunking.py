"""Passages: windows over the sentences of a section."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from motet_retriever import tokens
from motet_retriever.chunking import Chunking, chunk
from motet_retriever.outline import outline_markdown, outline_plain


def passages(text: str, limit: int, overlap: int = 0) -> list[str]:
    chunks = chunk(text, outline_markdown(text).blocks, Chunking(limit, overlap))
    return [text[each.span.start : each.span.end] for each in chunks]


def test_windows_take_whole_sentences_and_repeat_the_last() -> None:
    text = "Alpha beta one. Gamma delta two. Kappa zeta three. Eta theta four."
    assert passages(text, 8) == [
        "Alpha beta one. Gamma delta two.",
        "Kappa zeta three. Eta theta four.",
    ]
    assert passages(text, 8, overlap=1) == [
        "Alpha beta one. Gamma delta two.",
        "Gamma delta two. Kappa zeta three.",
        "Kappa zeta three. Eta theta four.",
    ]


def test_what_is_repeated_takes_at_most_half() -> None:
    text = "One two three four five six. Seven eight. Nine ten."
    assert passages(text, 10, overlap=2) == [
        "One two three four five six. Seven eight.",
        "Seven eight. Nine ten.",
    ]


def test_a_passage_stays_within_its_section() -> None:
    text = "# A\nOne.\n\n# B\nTwo.\n\n## C\nThree."
    chunks = chunk(text, outline_markdown(text).blocks, Chunking())
    assert [(each.section, text[each.span.start : each.span.end]) for each in chunks] == [
        (("A",), "# A\nOne."),
        (("B",), "# B\nTwo."),
        (("B", "C"), "## C\nThree."),
    ]


def test_a_heading_goes_with_what_is_under_it() -> None:
    assert passages("# A\n\n## B\n\nText.", 50) == ["# A\n\n## B\n\nText."]
    assert passages("# A\n\n# B\n\nText.\n\n## C", 50) == ["# A", "# B\n\nText.", "## C"]


def test_a_small_table_stays_whole_and_a_large_one_is_cut_between_rows() -> None:
    rows = [f"| row {number} | {number} |" for number in range(10, 22)]
    table = "\n".join(["| name | value |", "|---|---|", *rows])
    before = "A sentence that stands before the table and takes some room."
    assert passages(f"{before}\n\n{table}", 90) == [before, table]
    cut = passages(table, 50)
    assert len(cut) > 1
    assert [row for part in cut for row in part.splitlines()] == table.splitlines()


def test_a_small_item_stays_whole() -> None:
    text = "- First thing. It has two sentences.\n- Second thing. It too."
    assert passages(text, 10) == [
        "- First thing. It has two sentences.",
        "- Second thing. It too.",
    ]


def test_nothing_makes_no_passage() -> None:
    assert passages(" \n\t\n", 10) == []


PIECES = st.one_of(
    st.sampled_from(["# A\n", "## B b\n", "### C\n", "\n\n", "\r\n", "- x\n", "```\n", "> q\n"]),
    st.sampled_from(["Dr. Who paid 3.5. ", "Next! ", "これは。", "word " * 9, "x" * 80, "\u2028"]),
    st.just("| a |\n|---|\n| 1 |\n"),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)


@given(
    st.lists(PIECES, max_size=30).map("".join),
    st.booleans(),
    st.integers(4, 40),
    st.integers(0, 3),
)
def test_windows_fit_go_on_and_leave_nothing_out(
    text: str, is_markdown: bool, limit: int, overlap: int
) -> None:
    outline = (outline_markdown if is_markdown else outline_plain)(text)
    started, done = -1, 0
    for each in chunk(text, outline.blocks, Chunking(limit, overlap)):
        start, end = each.span
        part = text[start:end]
        assert part
        assert part == part.strip()
        assert tokens.count(part) <= limit
        assert start > started
        assert end > done
        assert not text[done:start].strip()
        started, done = start, end
    assert not text[done:].strip()
