"""Traces as trees: who called whom, in order.

What always holds:

- Every span that is given is in the tree exactly once: below its parent, as a root when it names no
  parent, or as an orphan when its parent is not among the spans.
- Children are in the order of their start. Clocks of different machines may differ, so that a
  child may seem to start before its parent.
- Parents that go round in a circle, which only a broken writer makes, are cut at the first span.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan

from motet.messages import Usage
from motet.telemetry import names
from motet.telemetry.record import SpanRecord
from motet.telemetry.span_store import FLUSH_S, SpanStore

__all__ = ["SpanNode", "TraceTree", "read_tree"]

_MODEL_OPERATIONS = frozenset({names.OPERATION_CHAT, names.OPERATION_EMBEDDINGS})


@dataclass(eq=False, slots=True)
class SpanNode:
    """A span and what lies below it."""

    span: SpanRecord
    parent: SpanNode | None = field(default=None, repr=False)
    children: list[SpanNode] = field(default_factory=list["SpanNode"], repr=False)

    @property
    def name(self) -> str:
        """The span's name."""
        return self.span.name

    def get(self, key: str, default: Any = None) -> Any:
        """The span's attribute of a name."""
        return self.span.attributes.get(key, default)

    def walk(self) -> Iterator[SpanNode]:
        """This node and all below, each before its children."""
        waiting: list[SpanNode] = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.children))

    def find(self, name: str) -> list[SpanNode]:
        """The nodes of a name, here and below."""
        return [node for node in self.walk() if node.name == name]

    def path(self) -> list[str]:
        """The names from the root down to here."""
        path: list[str] = []
        node: SpanNode | None = self
        while node is not None:
            path.append(node.name)
            node = node.parent
        return path[::-1]

    def usage(self) -> Usage:
        """What models used, here and below; cached answers used nothing."""
        total = Usage()
        for node in self.walk():
            if node.get(names.GEN_AI_OPERATION) in _MODEL_OPERATIONS and not node.get(names.CACHED):
                total += Usage(
                    input_tokens=_count(node.get(names.GEN_AI_INPUT_TOKENS)),
                    output_tokens=_count(node.get(names.GEN_AI_OUTPUT_TOKENS)),
                    cost_usd=max(0.0, float(node.get(names.COST_USD) or 0)),
                    model_calls=1,
                )
        return total


@dataclass(frozen=True)
class TraceTree:
    """The spans of one task, or of any traces."""

    roots: tuple[SpanNode, ...]
    """Spans without a parent, by their start. A task has one."""
    orphans: tuple[SpanNode, ...]
    """Spans whose parent is missing, by their start. A whole trace has none."""

    @classmethod
    def of(
        cls, spans: Iterable[SpanRecord | ReadableSpan], *, task: str | None = None
    ) -> TraceTree:
        """The tree of spans, stored or of this process, in any order.

        With `task`, only of those whose trace has to do with that task.
        """
        records = [span if isinstance(span, SpanRecord) else SpanRecord.of(span) for span in spans]
        if task is not None:
            traces = {span.trace_id for span in records if span.attributes.get(names.TASK) == task}
            records = [span for span in records if span.trace_id in traces]
        records.sort(key=lambda span: span.start_ns)
        nodes = {(span.trace_id, span.span_id): SpanNode(span) for span in records}
        roots: list[SpanNode] = []
        orphans: list[SpanNode] = []
        for node in nodes.values():
            span = node.span
            if span.parent_id is None:
                roots.append(node)
                continue
            node.parent = nodes.get((span.trace_id, span.parent_id))
            (node.parent.children if node.parent else orphans).append(node)
        _cut_circles(nodes.values(), roots, orphans)
        return cls(tuple(roots), tuple(orphans))

    @property
    def connected(self) -> bool:
        """Whether everything hangs from one root."""
        return len(self.roots) == 1 and not self.orphans

    @property
    def tops(self) -> tuple[SpanNode, ...]:
        """Roots, then orphans."""
        return self.roots + self.orphans

    def walk(self) -> Iterator[SpanNode]:
        """All nodes, each before its children."""
        for top in self.tops:
            yield from top.walk()

    def find(self, name: str) -> list[SpanNode]:
        """The nodes of a name."""
        return [node for node in self.walk() if node.name == name]

    def usage(self) -> Usage:
        """What models used."""
        return sum((top.usage() for top in self.tops), Usage())

    def outline(self) -> str:
        """The names alone, each indented below its parent by two spaces: to compare with."""
        lines: list[str] = []
        waiting = [(top, 0) for top in reversed(self.tops)]
        while waiting:
            node, depth = waiting.pop()
            lines.append("  " * depth + node.name)
            waiting.extend((child, depth + 1) for child in reversed(node.children))
        return "\n".join(lines)


async def read_tree(store: SpanStore, task_id: str, *, timeout_s: float = 2.0) -> TraceTree:
    """A task's tree, once it is whole: services write their spans a moment after they end.

    Waits until everything hangs from one root, nothing is in progress, and nothing was added since
    the last look; at most `timeout_s`, and then gives what there is.
    """
    deadline = time.monotonic() + timeout_s
    before = -1
    while True:
        spans = await asyncio.to_thread(store.find, task_id)
        tree = TraceTree.of(spans)
        whole = tree.connected and all(span.end_ns is not None for span in spans)
        if (whole and len(spans) == before) or time.monotonic() >= deadline:
            return tree
        before = len(spans)
        await asyncio.sleep(FLUSH_S)


def _cut_circles(nodes: Iterable[SpanNode], roots: list[SpanNode], orphans: list[SpanNode]) -> None:
    reached = {node for top in [*roots, *orphans] for node in top.walk()}
    for node in nodes:
        if node not in reached:
            if node.parent is not None:
                node.parent.children.remove(node)
                node.parent = None
            orphans.append(node)
            reached.update(node.walk())


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0
