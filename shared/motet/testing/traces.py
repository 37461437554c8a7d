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
Adjacent siblings whose lines begin with `* ` may have started in any order, as parallel steps do.
What stands in brackets is asserted too, and nothing else about the span is: a name of
`motet.telemetry.names` without its `motet.`, any attribute in full, `error` for `error.type`, or
`link` for why the span is linked to an earlier one.
"""

from __future__ import annotations

import difflib
import itertools
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from motet.telemetry import names
from motet.telemetry.tree import SpanNode, TraceTree

__all__ = ["assert_connected", "assert_tree"]

_LINE = re.compile(r"(?P<indent> *)(?P<free>\* )?(?P<name>.*?)(?: \[(?P<facts>[^\]]*)\])?")


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
    branches = _ordered(_Branch.read(outline), tree.roots)
    expected = [line for branch in branches for line in branch.lines()]
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
    free: bool = field(default=False, compare=False)

    @classmethod
    def read(cls, line: str) -> _Line:
        match = _LINE.fullmatch(line)
        if match is None or len(match["indent"]) % 2:
            raise ValueError(f"{line!r} is no line of an outline: indent by two spaces.")
        facts = (fact.partition("=") for fact in (match["facts"] or "").split())
        return cls(
            len(match["indent"]) // 2,
            match["name"],
            tuple((key, value) for key, _, value in facts),
            free=match["free"] is not None,
        )

    @property
    def bare(self) -> tuple[int, str]:
        return self.depth, self.name

    def __str__(self) -> str:
        facts = " ".join(f"{key}={value}" for key, value in self.facts)
        return "  " * self.depth + self.name + (f" [{facts}]" if facts else "")


@dataclass(frozen=True)
class _Branch:
    """A line of an outline with the lines below it."""

    line: _Line
    below: list[_Branch]

    @classmethod
    def read(cls, outline: str) -> list[_Branch]:
        roots: list[_Branch] = []
        path: list[list[_Branch]] = [roots]
        for text in textwrap.dedent(outline).splitlines():
            if not text.strip():
                continue
            line = _Line.read(text.rstrip())
            if line.depth >= len(path):
                raise ValueError(f"{text!r} has no parent in the outline.")
            branch = cls(line, [])
            path[line.depth].append(branch)
            path[line.depth + 1 :] = [branch.below]
        return roots

    def lines(self) -> Iterator[_Line]:
        yield self.line
        for branch in self.below:
            yield from branch.lines()

    def fits(self, node: SpanNode) -> bool:
        return (
            self.line.name == node.name
            and all(_fact(node, key) == value for key, value in self.line.facts)
            and len(self.below) == len(node.children)
            and all(map(_Branch.fits, _ordered(self.below, node.children), node.children))
        )


def _ordered(branches: Sequence[_Branch], nodes: Sequence[SpanNode]) -> list[_Branch]:
    """Siblings with those that are free in the order that fits the spans, as far as one does."""
    waiting, ordered = list(branches), list[_Branch]()
    for node in nodes:
        if not waiting:
            break
        free = itertools.takewhile(lambda branch: branch.line.free, waiting)
        chosen = next((branch for branch in free if branch.fits(node)), waiting[0])
        waiting.remove(chosen)
        below = _ordered(chosen.below, node.children)
        ordered.append(_Branch(chosen.line, below))
    return ordered + waiting


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
