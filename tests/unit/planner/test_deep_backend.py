"""Our backend beside deepagents' own over LangGraph's store: what is done to both looks the same.

There is a standard suite for sandboxes only. Here the bus is a dictionary; that replicas, ages and
bounds hold on a real one is shown by `tests/integration/test_deep_files.py`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from deepagents.backends.store import StoreBackend
from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.store.memory import InMemoryStore

from motet.messages import BlobRef, Principal
from motet_planner.deep.backend import FilesBackend
from motet_planner.deep.files import Files


@dataclass
class Item:
    key: str
    value: bytes
    revision: int


@dataclass
class Bus:
    """A bucket and an object store."""

    entries: dict[str, Item] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)

    async def put(
        self, key: str, value: bytes, revision: int | None = None, *, ttl_s: float | None = None
    ) -> int | None:
        del ttl_s
        newest = self.entries[key].revision if key in self.entries else 0
        if revision is not None and revision != newest:
            return None
        self.entries[key] = Item(key, value, newest + 1)
        return newest + 1

    async def items(self, prefix: str = "") -> list[Item]:
        return [item for key, item in self.entries.items() if key.startswith(f"{prefix}.")]

    async def keep(self, name: str, data: bytes, *, ttl_s: float | None = None) -> BlobRef:
        del ttl_s
        assert name not in self.contents
        self.contents[name] = data
        return BlobRef(name=name, size=len(data), sha256="0" * 64)

    async def forget(self, name: str) -> None:
        del self.contents[name]

    async def get(self, what: Any) -> Any:
        if isinstance(what, BlobRef):
            return self.contents[what.name]
        return self.entries.get(what)


PATHS = st.sampled_from(
    [
        "/a.md",
        "/b.py",
        "/src/a.py",
        "/src/.env",
        "/src/deep/c d.md",
        "/src/deep/e",
        "/memories/a.md",
    ]
)
FOLDERS = st.sampled_from(["/", "/src", "/src/", "/src/deep", "/memories", "/nowhere", "/a.md"])
TEXTS = st.sampled_from(
    ["", "x", "one\ntwo\nthree", "one two one\n", "\r\nlast line\r\n", "ä [1]\n\n", "  \n"]
)
PATTERNS = st.sampled_from(["*.md", "**/*.py", "/*.md", "*", "src/**", "[a-c]*", "{a,b}.*", ".env"])
WORDS = st.sampled_from(["one", "two", "\n", "[1]", "nothing", "last line"])
NUMBERS = st.integers(-2, 5)
DOING = st.one_of(
    st.tuples(st.just("awrite"), PATHS, TEXTS),
    st.tuples(st.just("aedit"), PATHS, WORDS, TEXTS, st.booleans()),
    st.tuples(st.just("adelete"), st.one_of(PATHS, st.sampled_from(["/src", "/nowhere"]))),
    st.tuples(st.just("aread"), PATHS, NUMBERS, NUMBERS),
    st.tuples(st.just("als"), FOLDERS),
    st.tuples(st.just("agrep"), WORDS, FOLDERS, st.one_of(st.none(), PATTERNS)),
    st.tuples(st.just("aglob"), PATTERNS, FOLDERS),
)


@settings(max_examples=300)
@given(st.lists(DOING, max_size=25))
def test_it_does_what_deepagents_own_does(doing: list[tuple[Any, ...]]) -> None:
    async def both() -> None:
        bus = Bus()
        ours = FilesBackend(Files(bus, bus, principal=Principal(), task="t", ttl_s=lambda: 60.0))
        theirs = StoreBackend(store=InMemoryStore(), namespace=lambda _: ("files",))
        for name, *arguments in doing:
            done = [await getattr(each, name)(*arguments) for each in (ours, theirs)]
            assert _seen(done[0]) == _seen(done[1]), (name, arguments)
        # Nothing is kept that no path has.
        named = [item.value.decode() for item in bus.entries.values()]
        assert all(any(f'"{name}"' in each for each in named) for name in bus.contents)

    asyncio.run(both())


def _seen(result: Any) -> dict[str, Any]:
    """A result without what may differ: times, and the order of what was found."""
    seen = {key: _plain(value) for key, value in vars(result).items()}
    seen["error"] = result.error is not None
    return seen


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return sorted((_plain(each) for each in value), key=str)
    if isinstance(value, dict):
        timeless = ("created_at", "modified_at")
        return {key: _plain(each) for key, each in value.items() if key not in timeless}
    # Theirs leaves the first half of a line's end in what a search finds.
    return value.removesuffix("\r") if isinstance(value, str) else value
