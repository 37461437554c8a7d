"""Blocks and headings of Markdown, with offsets into the text as it was given."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet_retriever.outline import Outline, outline_markdown, outline_plain

DOCUMENT = """---
title: not a heading
---

# The *Big* `Thing` [linked](x)
First line.
Second line.

Setext
------

| a | b |
|---|---|
| 1 | 2 |

- one

  still one
- two
  - nested

> quoted
> # not a heading here

### Deep
```py
# not a heading
```

[ref]: http://example.org

# Next
    code
"""

BIG, SETEXT, DEEP = ("The Big Thing linked",), "Setext", "Deep"

EXPECTED = [
    ("whole", (), "---\ntitle: not a heading\n---"),
    ("heading", BIG, "# The *Big* `Thing` [linked](x)"),
    ("prose", BIG, "First line.\nSecond line."),
    ("heading", (*BIG, SETEXT), "Setext\n------"),
    ("table", (*BIG, SETEXT), "| a | b |\n|---|---|\n| 1 | 2 |"),
    ("item", (*BIG, SETEXT), "- one\n\n  still one"),
    ("item", (*BIG, SETEXT), "- two\n  - nested"),
    ("prose", (*BIG, SETEXT), "> quoted\n> # not a heading here"),
    ("heading", (*BIG, SETEXT, DEEP), "### Deep"),
    ("code", (*BIG, SETEXT, DEEP), "```py\n# not a heading\n```"),
    ("prose", (*BIG, SETEXT, DEEP), "[ref]: http://example.org"),
    ("heading", ("Next",), "# Next"),
    ("code", ("Next",), "code"),
]


def seen(text: str, outline: Outline) -> list[tuple[str, tuple[str, ...], str]]:
    return [
        (block.kind, block.section, text[block.span.start : block.span.end])
        for block in outline.blocks
    ]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_markdown(line_end: str) -> None:
    text = DOCUMENT.replace("\n", line_end)
    outline = outline_markdown(text)
    assert outline.title == "The Big Thing linked"
    assert seen(text, outline) == [
        (kind, section, part.replace("\n", line_end)) for kind, section, part in EXPECTED
    ]


def test_lines_end_where_the_parser_ends_them() -> None:
    # These end a line for str.splitlines, and not in Markdown.
    text = "one \u2028 two \x0c three \x85 four\n# Heading\nfive"
    assert seen(text, outline_markdown(text)) == [
        ("prose", (), "one \u2028 two \x0c three \x85 four"),
        ("heading", ("Heading",), "# Heading"),
        ("prose", ("Heading",), "five"),
    ]


def test_a_heading_without_words_is_no_section() -> None:
    text = "# A\n#\nb"
    assert seen(text, outline_markdown(text)) == [
        ("heading", ("A",), "# A"),
        ("heading", (), "#"),
        ("prose", (), "b"),
    ]


def test_plain_text_has_no_headings() -> None:
    assert seen("  # a\n\nb ", outline_plain("  # a\n\nb ")) == [("prose", (), "# a\n\nb")]
    assert outline_plain(" \n") == Outline(None, ())


MARKDOWN = st.lists(
    st.one_of(
        st.sampled_from(["# A", "## B", "#", "---", "===", "- x", "  - y", "1. z", "> q"]),
        st.sampled_from(["```\n", "~~~", "    code", "\t", "[r]: http://x", "<div>", "<!--"]),
        st.sampled_from(["\n", "\n\n", "\r\n", "\r", "\u2028", "\x0b"]),
        st.sampled_from(["| a | b |\n|---|---|\n| 1 | 2 |", "Dr. Who. Next!"]),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    ),
    max_size=25,
).map("".join)


@given(MARKDOWN)
def test_every_character_is_in_one_block(text: str) -> None:
    done = 0
    for block in outline_markdown(text).blocks:
        start, end = block.span
        assert done <= start < end
        assert not text[done:start].strip()
        assert text[start:end] == text[start:end].strip()
        done = end
    assert not text[done:].strip()
