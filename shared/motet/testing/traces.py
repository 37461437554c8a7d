"""Assertions on traces: the whole tree of a task against an outline that people can read.

    assert_tree(await mesh.trace(task.id), '''
        send motet.task.submit
          process motet.task.submit
            invoke_agent planner
              send motet.call.weather.now [step=oslo]
                process motet.call.weather.now [attempt=1 error=unavailable]
                  invoke_agent weather [error=unavailable]
                process motet.call.weather.now [attempt=2 link=retry]
                  invoke_agent weather
    ''')

A line is a span, two spaces deeper than its parent; siblings stand in the order of their start.
What stands in brackets is asserted too, and nothing else about the span is: a name of
`motet.telemetry.names` without its `motet.`, any attribute in full, `error` for `error.type`, or
`link` for why the span is linked to an earlier one.
"""

from __future__ import annotations

import difflib
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from motet.telemetry import names
from motet.telemetry.tree import SpanNode, TraceTree

__all__ = ["assert_connected", "assert_tree"]

_LINE = re.compile(r"(?P<indent> *)(?P<name>.*?)(?: \[(?P<facts>[^\]]*)\])?")


def assert_connected(tree: TraceTree) -> None:
    """Asserts that everything hangs from one root.

    Raises:
        AssertionError: It does not; the message lists roots, and orphans with their parents' ids.
    """
    if tree.connected:
        return
    orphans = [f"{node.name} (its parent is {node.span.parent_id})" for node in tree.orphans]
    raise AssertionError(
        f"The trace has {len(tree.roots)} roots: {', '.join(node.name for node in tree.roots)}; "
        f"and {len(orphans)} orphans: {', '.join(orphans)}.\n{tree.outline()}"
    )


def assert_tree(tree: TraceTree, outline: str) -> None:
    """Asserts that a trace is one tree, and exactly the one that is outlined.

    Args:
        tree: From `TestMesh.trace`, or `TraceTree.of` any spans.
        outline: See the module's documentation; indented as a whole as one likes.

    Raises:
        AssertionError: It is another; the message is the difference, line by line.
    """
    assert_connected(tree)
    expected = [_Line.read(line) for line in _lines(outline)]
    spans = [(node, len(node.path()) - 1) for node in tree.walk()]
    actual = [_Line(depth, node.name) for node, depth in spans]
    # Attributes are shown where the outline asks for them, so both sides are aligned by names.
    matcher = difflib.SequenceMatcher(
        a=[line.bare for line in actual], b=[line.bare for line in expected], autojunk=False
    )
    for block in matcher.get_matching_blocks():
        for offset in range(block.size):
            node, depth = spans[block.a + offset]
            keys = [key for key, _ in expected[block.b + offset].facts]
            facts = tuple((key, _fact(node, key)) for key in keys)
            actual[block.a + offset] = _Line(depth, node.name, facts)
    if actual != expected:
        raise AssertionError("The trace is another tree.\n" + _difference(expected, actual))


@dataclass(frozen=True)
class _Line:
    depth: int
    name: str
    facts: tuple[tuple[str, str], ...] = ()

    @classmethod
    def read(cls, line: str) -> _Line:
        match = _LINE.fullmatch(line)
        if match is None or len(match["indent"]) % 2:
            raise ValueError(f"{line!r} is no line of an outline: indent by two spaces.")
        facts = (fact.partition("=") for fact in (match["facts"] or "").split())
        return cls(
            len(match["indent"]) // 2, match["name"], tuple((key, value) for key, _, value in facts)
        )

    @property
    def bare(self) -> tuple[int, str]:
        return self.depth, self.name

    def __str__(self) -> str:
        facts = " ".join(f"{key}={value}" for key, value in self.facts)
        return "  " * self.depth + self.name + (f" [{facts}]" if facts else "")


def _lines(outline: str) -> list[str]:
    return [line.rstrip() for line in textwrap.dedent(outline).splitlines() if line.strip()]


def _fact(node: SpanNode, key: str) -> str:
    if key == "link":
        reasons = [str(link.attributes.get(names.LINK)) for link in node.span.links]
        return ",".join(reasons) or "none"
    for name in (names.ERROR_TYPE if key == "error" else key, f"motet.{key}"):
        value = node.get(name)
        if value is not None:
            return str(value)
    return "none"


def _difference(expected: Sequence[_Line], actual: Sequence[_Line]) -> str:
    def texts(lines: Sequence[_Line]) -> Iterator[str]:
        return (str(line) for line in lines)

    return "\n".join(
        difflib.unified_diff(
            list(texts(expected)), list(texts(actual)), "expected", "actual", n=100, lineterm=""
        )
    )
