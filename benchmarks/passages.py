"""The embedded passage stores at their size: search, recall, opening, ingestion and memory.

A process stores the passages, then another opens the folder and searches, so that memory is that of
a retriever that serves. Each search asks both branches for 50 passages, on behalf of somebody who
sees most of them by label; embedding the question is not part of it. Searches come `--at-once` at a
time, each client asking anew as soon as it has its answer; then the same with a filter by a custom
field, which one passage in 500 meets. `--store` names another store than Qdrant's.

Embeddings are random, around random centres, unless `--data` names a folder with BEIR's
`corpus.jsonl`: then they are the local model's, of windows of its texts, as many as there are.
Memory is what the process holds for the store, and beside it what it has of the store's files,
which the system takes back when it needs the room. Recall is that of the 50 passages which an exact
search finds. How much storing adds to embedding is the time to store a passage over that to embed
one by the local model, on texts as long.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from motet.messages import Condition, DocumentInfo, Passage, Principal, now
from motet.models import embedder as embedder_of
from motet.settings import Settings, load_settings
from motet_retriever.app import collections_of
from motet_retriever.settings import RetrieverSettings
from motet_retriever.stores.collections import EmbeddingModel
from motet_retriever.stores.port import IndexedPassage, PassageStore, Query

__all__ = ["run"]

DIMENSION = 384
A_DOCUMENT = 8
"""Passages."""
WORDS = 80
"""Words of a passage."""
CANDIDATES = 50
PARTS = 500
"""Values of the custom field of documents that filters look at."""
EMBEDDED = 256
"""Passages that are embedded to know how long that takes."""
COMPARED = 200
"""Questions whose answers are compared with those of an exact search."""
OWNER = Principal(tenant="red", access=("staff", "legal"))


def _texts(data: Path | None, count: int) -> list[str]:
    """Passages: of a corpus, or of random words, of which few are frequent."""
    if data is not None:
        words: list[str] = []
        for line in (data / "corpus.jsonl").read_text(encoding="utf-8").splitlines():
            words += json.loads(line)["text"].split()
        step = max(1, min(WORDS, (len(words) - WORDS) // count))
        return [" ".join(words[at : at + WORDS]) for at in range(0, len(words), step)][:count]
    drawn = np.random.default_rng(1).zipf(1.2, size=(count, WORDS)) % 20_000
    return [" ".join(f"word{each}" for each in row) for row in drawn]


def _vectors(count: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    rng = np.random.default_rng(2)
    centres = rng.standard_normal((500, DIMENSION)).astype(np.float32)
    vectors = centres[rng.integers(0, len(centres), count)]
    vectors += 1.2 * rng.standard_normal((count, DIMENSION)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


async def _embedded(
    texts: Sequence[str],
) -> tuple[np.ndarray[Any, np.dtype[np.float32]], float]:
    """Embeddings by the local model, and the seconds that they took."""
    settings = load_settings(Settings).model_copy(update={"model_cache": False})
    model = embedder_of(settings)
    await model.embed(texts[:1])
    began = time.perf_counter()
    parts = [await model.embed(texts[at : at + 128]) for at in range(0, len(texts), 128)]
    return np.concatenate(parts), time.perf_counter() - began


def _documents(
    texts: Sequence[str], vectors: np.ndarray[Any, Any]
) -> Iterator[tuple[DocumentInfo, list[IndexedPassage]]]:
    for first in range(0, len(texts), A_DOCUMENT):
        source, labels = f"documents/{first}.md", ("staff",) if first % 3 == 0 else ()
        passages = [
            IndexedPassage(
                Passage(
                    id=str(uuid4()),
                    source=source,
                    title=f"Document {first}",
                    text=text,
                    section=("One", "Two"),
                    position=position,
                    start=position * 500,
                    end=position * 500 + len(text),
                    media_type="text/markdown",
                    language="en",
                    labels=labels,
                    fields={"part": f"part {first // A_DOCUMENT % PARTS}"},
                ),
                text,
                vectors[first + position],
            )
            for position, text in enumerate(texts[first : first + A_DOCUMENT])
        ]
        info = DocumentInfo(
            source=source,
            title=f"Document {first}",
            media_type="text/markdown",
            sha256="0" * 64,
            fingerprint=str(first),
            characters=5000,
            passages=len(passages),
            ingested_at=now(),
            labels=labels,
        )
        yield info, passages


@asynccontextmanager
async def _open(folder: Path, kind: Any, dimension: int) -> AsyncGenerator[PassageStore]:
    own = RetrieverSettings(store=kind, store_dir=folder / "store")
    collections = await collections_of(own, Settings())
    try:
        async with await collections.open(EmbeddingModel("benchmark", dimension)) as store:
            yield store
    finally:
        await collections.close()


def _store(folder: str, kind: str, count: int, data: str | None) -> None:
    """Stores the passages; a process of its own."""

    async def store() -> None:
        texts = _texts(None if data is None else Path(data), count)
        sample, embedding_s = await _embedded(texts if data else texts[:EMBEDDED])
        vectors = sample if data else _vectors(len(texts))
        np.save(Path(folder) / "vectors.npy", vectors)
        documents = list(_documents(texts, vectors))
        began = time.perf_counter()
        async with _open(Path(folder), kind, vectors.shape[1]) as opened:
            for info, passages in documents:
                await opened.put(OWNER, info, passages)
            await opened.flush()
            storing_s = time.perf_counter() - began
        figures = {
            "passages": len(texts),
            "embedding_ms": 1000 * embedding_s / len(sample),
            "storing_ms": 1000 * storing_s / len(texts),
        }
        (Path(folder) / "stored.json").write_text(json.dumps(figures))

    asyncio.run(store())


async def _measure(
    folder: Path, kind: str, searches: int, at_once: int, data: Path | None
) -> dict[str, Any]:
    stored = json.loads((folder / "stored.json").read_text())
    vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    texts = _texts(data, stored["passages"])
    rng = np.random.default_rng(3)
    before_mb = _resident_mb()
    began = time.perf_counter()
    async with _open(folder, kind, vectors.shape[1]) as store:
        open_s = time.perf_counter() - began

        def question(**options: Any) -> Query:
            near = np.array(vectors[rng.integers(len(vectors))])
            vector = near + rng.standard_normal(len(near)).astype(np.float32) / 40
            words = texts[rng.integers(len(texts))].split()[:10]
            vector /= np.linalg.norm(vector)
            return Query(CANDIDATES, OWNER, vector=vector, words=" ".join(words), **options)

        times = await _search(store, [question() for _ in range(searches)], at_once)
        within = [
            Condition(field="fields.part", op="eq", value=f"part {rng.integers(PARTS)}")
            for _ in range(searches)
        ]
        filtered = await _search(store, [question(where=each) for each in within], at_once)
        used_ms = {
            "vector": await _used_ms(
                store, [replace(question(), words=None) for _ in range(COMPARED)]
            ),
            "words": await _used_ms(
                store, [replace(question(), vector=None) for _ in range(COMPARED)]
            ),
        }
        recalls: list[float] = []
        for _ in range(COMPARED):
            asked = question()
            near, exact = [
                {each.passage.id for each in (await store.search(each))["dense"]}
                for each in (asked, Query(asked.limit, OWNER, vector=asked.vector, exact=True))
            ]
            recalls.append(len(near & exact) / len(exact))
        own_mb, files_mb = (
            after - before for after, before in zip(_resident_mb(), before_mb, strict=True)
        )
    return {
        "store": kind,
        "passages": stored["passages"],
        "search_ms": _spread(times, at_once),
        "filtered_ms": _spread(filtered, at_once),
        "processor_ms": used_ms,
        "recall": statistics.fmean(recalls),
        "open_s": open_s,
        "ingestion_ratio": 1 + stored["storing_ms"] / stored["embedding_ms"],
        "storing_ms": stored["storing_ms"],
        "memory_mb": own_mb,
        "mapped_mb": files_mb,
        "disk_mb": sum(
            each.stat().st_size for each in (folder / "store").rglob("*") if each.is_file()
        )
        / 1e6,
    }


def _spread(times: Sequence[float], at_once: int) -> dict[str, Any]:
    p95 = statistics.quantiles(times, n=20)[-1]
    return {"p50": statistics.median(times), "p95": p95, "at_once": at_once}


async def _search(store: PassageStore, questions: Sequence[Query], at_once: int) -> list[float]:
    """Milliseconds that each took, after some that warm up."""
    waiting = iter(questions)
    times: list[float] = []

    async def client() -> None:
        for each in waiting:
            began = time.perf_counter()
            await store.search(each)
            times.append(1000 * (time.perf_counter() - began))

    await asyncio.gather(*(client() for _ in range(at_once)))
    return times[len(times) // 10 :]


async def _used_ms(store: PassageStore, questions: Sequence[Query]) -> float:
    """Milliseconds of processor time that one took: what else the machine does is not in it."""
    await store.search(questions[0])
    began = time.process_time()
    for each in questions:
        await store.search(each)
    return 1000 * (time.process_time() - began) / len(questions)


def _resident_mb() -> tuple[float, float]:
    """What this process holds, and what it has of files, which the system may take back."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    own, files = (int(status[each].split()[0]) / 1e3 for each in ("RssAnon", "RssFile"))
    return own, files


def run(arguments: list[str], *, data: Path | None) -> dict[str, Any]:
    """The figures, in milliseconds, seconds and MB."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks passages", description=__doc__)
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--searches", type=int, default=1000)
    parser.add_argument("--store", default="qdrant", help="a value of MOTET_RETRIEVER_STORE")
    parser.add_argument("--at-once", type=int, default=8)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        process = multiprocessing.get_context("spawn").Process(
            target=_store,
            args=(folder, chosen.store, chosen.passages, None if data is None else str(data)),
        )
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit(process.exitcode)
        return asyncio.run(
            _measure(Path(folder), chosen.store, chosen.searches, chosen.at_once, data)
        )
