"""Passages: windows over the sentences of a section."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from motet_retriever import tokens
from motet_retriever.chunking import WAYS, Chunking, Way, chunk, sentences_of
from motet_retriever.outline import outline_markdown, outline_plain
from motet_retriever.parsers.code import parse_python


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
    st.sampled_from(WAYS),
)
def test_passages_fit_go_on_and_leave_nothing_out(
    text: str, is_markdown: bool, limit: int, overlap: int, way: Way
) -> None:
    blocks = (outline_markdown if is_markdown else outline_plain)(text).blocks
    how = Chunking(limit, overlap, way)
    vectors = None
    if way == "semantic":
        random = np.random.default_rng(len(text))
        vectors = random.standard_normal((len(sentences_of(text, blocks, how)), 4))
        vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    started, done = -1, 0
    for each in chunk(text, blocks, how, vectors):
        start, end = each.span
        assert each.header is None or each.header.end <= start
        part = text[start:end]
        assert part
        assert part == part.strip()
        assert tokens.count(part) <= limit
        assert start > started
        assert end > done
        assert not text[done:start].strip()
        started, done = start, end
    assert not text[done:].strip()


PROSE = (
    "Ships come in the morning and leave at night. They carry salt, wool and wine from the south. "
)
TABLE = ["| ship | tons |", "|---|---|", *(f"| name {n} | {n} |" for n in range(10, 40))]


def made(text: str, limit: int, way: Way = "structure") -> list[tuple[str, str]]:
    chunks = chunk(text, outline_markdown(text).blocks, Chunking(limit, 0, way))
    return [(each.block, text[each.span.start : each.span.end]) for each in chunks]


def test_a_table_and_code_are_passages_of_their_own() -> None:
    table, code = "\n".join(TABLE[:4]), "```\nsail()\n```"
    text = f"{PROSE}\n\n{table}\n\n{PROSE}\n\n{code}"
    assert made(text, 60) == [
        ("text", PROSE.strip()),
        ("table", table),
        ("text", PROSE.strip()),
        ("code", code),
    ]
    assert [kind for kind, _ in made(text, 200)] == ["text"]
    assert table in made(text, 60, "window")[0][1]


def test_what_is_said_just_before_a_table_goes_with_it() -> None:
    table = "\n".join(TABLE[:4])
    text = f"{PROSE}\n\nShips of 2026:\n\n{table}"
    assert made(text, 50) == [("text", PROSE.strip()), ("table", f"Ships of 2026:\n\n{table}")]


def test_a_large_table_repeats_its_header() -> None:
    text = "# Ships\n\n" + "\n".join(TABLE)
    chunks = chunk(text, outline_markdown(text).blocks, Chunking(60))
    parts = [text[each.span.start : each.span.end] for each in chunks]
    assert len(parts) > 2
    assert parts[0].startswith("# Ships\n\n| ship | tons |")
    assert [row for part in parts for row in part.splitlines() if row[:1] == "|"] == TABLE
    header = outline_markdown(text).blocks[1].header
    assert header is not None
    assert text[slice(*header)] == TABLE[0]
    assert [each.header for each in chunks] == [None, *[header] * (len(chunks) - 1)]
    size = tokens.count(TABLE[0])
    assert all(tokens.count(part) + size <= 60 for part in parts[1:])


def test_code_is_cut_by_what_it_defines() -> None:
    text = "import a\n\n\ndef sail():\n    pass\n\n\nclass Ship:\n    x = 1\n"
    chunks = chunk(text, parse_python(text).blocks, Chunking(40))
    assert [(each.section, each.block) for each in chunks] == [
        ((), "code"),
        (("sail",), "code"),
        (("Ship",), "code"),
    ]


def test_prose_is_cut_where_neighbours_are_least_alike() -> None:
    salt = "Salt keeps fish. Salt is white. Salt comes from the sea."
    ships = "Ships need sails. Ships need crews. Ships need harbours."
    text = f"{salt} {ships}"
    how = Chunking(40, 0, "semantic")
    blocks = outline_plain(text).blocks
    sentences = sentences_of(text, blocks, how)
    assert len(sentences) == 6
    vectors = np.array([[1, 0] if "Salt" in each else [0, 1] for each in sentences], np.float32)
    chunks = chunk(text, blocks, how, vectors)
    assert [text[slice(*each.span)] for each in chunks] == [salt, ships]
    assert len(chunk(text, blocks, Chunking(40, 0), None)) == 1
