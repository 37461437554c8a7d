"""Documents for passage stores, and processes that are killed while they store them.

The processes are forked from a server that has imported this module, so each starts at once; it
imports what they need and nothing else.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, cast
from uuid import NAMESPACE_URL, uuid5

import numpy as np

from motet.errors import SetupError
from motet.messages import ANYBODY, DocumentInfo, Passage, Principal, now
from motet_retriever.stores.port import IndexedPassage
from motet_retriever.stores.qdrant_edge import QdrantEdgeStore

__all__ = [
    "DIMENSION",
    "open_edge",
    "open_or_fail",
    "put_and_die",
    "replace_and_die",
    "run_in_process",
    "unit",
    "version",
]

DIMENSION = 8


def version(
    source: str,
    words: Sequence[str],
    name: str = "v1",
    *,
    by: Principal = ANYBODY,
    labels: tuple[str, ...] = (),
    **described: Any,
) -> tuple[Principal, DocumentInfo, list[IndexedPassage]]:
    """What to put: a document with a passage for each of `words`; all are `described`."""
    passages = [
        IndexedPassage(
            Passage.model_validate(
                {
                    "id": str(uuid5(NAMESPACE_URL, f"{source} {name} {position}")),
                    "source": source,
                    "title": f"Title of {source}",
                    "text": text,
                    "section": ("One", "Two"),
                    "position": position,
                    "start": position * 10,
                    "end": position * 10 + len(text),
                    "labels": labels,
                    **described,
                }
            ),
            text,
            unit(position),
        )
        for position, text in enumerate(words)
    ]
    document = DocumentInfo(
        source=source,
        title=f"Title of {source}",
        media_type="text/plain",
        sha256="0" * 64,
        fingerprint=name,
        characters=100,
        passages=len(passages),
        ingested_at=now(),
        labels=labels,
    )
    return by, document, passages


def unit(axis: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    vector = np.zeros(DIMENSION, np.float32)
    vector[axis % DIMENSION] = 1
    return vector


async def open_edge(path: Path) -> QdrantEdgeStore:
    """The store in `path`."""
    return await QdrantEdgeStore.open(path, model="fake:m", dimension=DIMENSION)


async def open_or_fail(path: Path) -> None:
    """Opens the store; a mistake of set-up becomes the process' last word."""
    try:
        await open_edge(path)
    except SetupError as error:
        raise SystemExit(3) from error


async def put_and_die(path: Path) -> None:
    """Adds, replaces and deletes, and is killed with nothing flushed."""
    store = await open_edge(path)
    await store.put(*version("a", ["apple"] * 300))
    await store.put(*version("b", ["pear"]))
    await store.put(*version("b", ["plum"], "v2"))
    await store.put(*version("c", ["fig"]))
    await store.delete(ANYBODY, ["c"])
    signal.raise_signal(signal.SIGKILL)


async def replace_and_die(path: Path, step: int) -> None:
    """Replaces `a` and adds `b`, and is killed before the engine's operation `step`, from 0."""
    store = await open_edge(path)
    shard = store._shard
    done = 0

    class Killing:
        def update(self, operation: Any) -> None:
            nonlocal done
            if done == step:
                signal.raise_signal(signal.SIGKILL)
            done += 1
            shard.update(operation)

        def __getattr__(self, name: str) -> Any:
            return getattr(shard, name)

    store._shard = cast("Any", Killing())
    await store.put(*version("a", ["new"] * 300, "v2"))
    await store.put(*version("b", ["more"] * 300))


async def run_in_process(main: Callable[..., Coroutine[Any, Any, None]], *arguments: Any) -> int:
    """The exit code of a process that runs `main`; below 0 the signal that ended it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=_run, args=(main, arguments))
    process.start()
    await asyncio.to_thread(process.join)
    code = process.exitcode
    process.close()
    assert code is not None
    return code


def _run(main: Callable[..., Coroutine[Any, Any, None]], arguments: Sequence[Any]) -> None:
    asyncio.run(main(*arguments))
