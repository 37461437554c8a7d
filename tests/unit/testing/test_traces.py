"""Assertions on traces: what they accept, and how they say what is wrong."""

from __future__ import annotations

import pytest

from motet.telemetry import names
from motet.telemetry.record import SpanLink, SpanRecord
from motet.telemetry.tree import TraceTree
from motet.testing import assert_connected, assert_tree


def span(id: str, name: str, parent: str | None = None, **attributes: object) -> SpanRecord:
    links = (SpanLink("t", "0", {names.LINK: "retry"}),) if attributes.pop("linked", 0) else ()
    return SpanRecord(
        trace_id="t",
        span_id=id,
        parent_id=parent,
        name=name,
        start_ns=int(id, 36),
        end_ns=int(id, 36) + 1,
        attributes=attributes,
        links=links,
    )


TREE = TraceTree.of(
    [
        span("1", "send a"),
        span("2", "process a", "1", **{names.ATTEMPT: 1, names.ERROR_TYPE: "tired"}),
        span("3", "process a", "1", linked=True, **{names.ATTEMPT: 2}),
        span("4", "work [b]", "3"),
    ]
)


@pytest.mark.parametrize(
    "outline",
    [
        "send a\n  process a\n  process a\n    work [b] []",
        """
            send a
              process a [attempt=1 error=tired link=none]

              process a [motet.attempt=2 error=none link=retry]
                work [b] [nothing=none]
        """,
    ],
)
def test_the_same_tree(outline: str) -> None:
    assert_tree(TREE, outline)


def test_another_tree_is_told_line_by_line() -> None:
    with pytest.raises(AssertionError) as raised:
        assert_tree(
            TREE,
            """
            send a
              process a [attempt=1 error=none]
              process a [attempt=2]
            """,
        )
    assert str(raised.value) == (
        "The trace is another tree.\n"
        "--- expected\n"
        "+++ actual\n"
        "@@ -1,3 +1,4 @@\n"
        " send a\n"
        "-  process a [attempt=1 error=none]\n"
        "+  process a [attempt=1 error=tired]\n"
        "   process a [attempt=2]\n"
        "+    work [b]"
    )


def test_a_span_under_another_parent_is_another_tree() -> None:
    with pytest.raises(AssertionError, match="another tree"):
        assert_tree(TREE, "send a\n  process a\n    work [b] []\n  process a")


def test_siblings_in_another_order_are_another_tree() -> None:
    with pytest.raises(AssertionError, match="another tree"):
        assert_tree(TREE, "send a\n  process a [attempt=2]\n    work [b] []\n  process a")


def test_parallel_siblings_may_stand_in_any_order() -> None:
    outline = "send a\n  * process a [attempt={}]\n{}  * process a [attempt={}]\n{}"
    below = "    work [b] []\n"
    assert_tree(TREE, outline.format(1, "", 2, below))
    assert_tree(TREE, outline.format(2, below, 1, ""))
    with pytest.raises(AssertionError, match="another tree"):
        assert_tree(TREE, outline.format(1, below, 2, ""))
    with pytest.raises(AssertionError, match="another tree"):
        assert_tree(TREE, outline.format(1, "", 1, below))


def test_orphans_and_second_roots_are_named() -> None:
    torn = TraceTree.of([span("1", "send a"), span("2", "send b"), span("3", "lost", "z")])
    with pytest.raises(AssertionError) as raised:
        assert_connected(torn)
    assert "2 roots: send a, send b" in str(raised.value)
    assert "1 orphans: lost (its parent is z)" in str(raised.value)
    with pytest.raises(AssertionError, match="0 roots"):
        assert_tree(TraceTree.of([]), "send a")


def test_an_outline_that_is_none_is_told() -> None:
    with pytest.raises(ValueError, match="indent by two spaces"):
        assert_tree(TREE, "send a\n   process a")
    with pytest.raises(ValueError, match="has no parent in the outline"):
        assert_tree(TREE, "send a\n    process a")
