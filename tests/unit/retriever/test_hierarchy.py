"""Sections and documents as entries of their own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.messages import Document
from motet_retriever.chunking import Chunking, chunk
from motet_retriever.documents import PreparedDocument, fingerprint, prepare
from motet_retriever.hierarchy import indexed
from motet_retriever.parsers.texts import parse_markdown
from motet_retriever.stores.port import IndexedPassage, Vector


def prepared(text: str, tokens: int = 20) -> PreparedDocument:
    document = Document(source="a.md", media_type="text/markdown", text=text)
    how, parsed = Chunking(tokens, 0), parse_markdown(text)
    return prepare(document, parsed, chunk(text, parsed.blocks, how), fingerprint(document, how))


def vectors(count: int) -> Vector:
    rows = np.random.default_rng(count).standard_normal((count, 8))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def entries(text: str) -> list[IndexedPassage]:
    document = prepared(text)
    return indexed(document, document.words(), vectors(len(document.passages)))


def seen(found: list[IndexedPassage]) -> list[tuple[tuple[str, ...], tuple[str, ...], int, int]]:
    return [
        (each.levels, each.passage.section, each.passage.start, each.passage.end) for each in found
    ]


def test_a_lone_passage_stands_for_all() -> None:
    assert [each.levels for each in entries("# A\nOne.")] == [("passage", "section", "document")]


def test_sections_are_those_below_the_only_title() -> None:
    text = (
        "# Lease\n\n## Rent\nIt is nine hundred a month, they say. It was eight hundred before it."
        "\n\n## Keys\nThere are three."
    )
    found = entries(text)
    keys = text.index("## Keys")
    assert seen(found) == [
        (("passage",), ("Lease", "Rent"), 0, text.index(" It was")),
        (("passage",), ("Lease", "Rent"), text.index("It was"), keys - 2),
        (("passage", "section"), ("Lease", "Keys"), keys, len(text)),
        (("section",), ("Lease", "Rent"), 0, keys - 2),
        (("document",), ("Lease",), 0, len(text)),
    ]
    section, document = found[3:]
    assert section.passage.text == ""
    assert section.words == f"Lease > Rent\n{text[: keys - 2]}"
    assert document.words == f"Lease\n{text}"
    mean = found[0].vector + found[1].vector
    np.testing.assert_allclose(section.vector, mean / np.linalg.norm(mean), atol=1e-6)


def test_vectors_that_cancel_out() -> None:
    document = prepared(
        "# A\nThis one is a sentence of some words here. This is another with a few words."
    )
    assert len(document.passages) == 2
    one = vectors(1)[0]
    *_, whole = indexed(document, document.words(), np.stack([one, -one]))
    np.testing.assert_array_equal(whole.vector, one)


PIECES = st.sampled_from(
    ["# A\n", "# B\n", "## C\n", "### D\n", "One two three. ", "\n\n", "x " * 9]
)


@given(st.lists(PIECES, max_size=25).map("".join))
def test_each_level_covers_every_passage_once(text: str) -> None:
    found = entries(text)
    passages = [each.passage for each in found if "passage" in each.levels]
    for level in ("section", "document"):
        spans = sorted(
            (each.passage.start, each.passage.end) for each in found if level in each.levels
        )
        covered = [
            passage.id
            for start, end in spans
            for passage in passages
            if start <= passage.start and passage.end <= end
        ]
        assert covered == [passage.id for passage in passages]
    assert len({each.passage.id for each in found}) == len(found)
    for each in found:
        assert np.linalg.norm(each.vector) == pytest.approx(1, abs=1e-5)
