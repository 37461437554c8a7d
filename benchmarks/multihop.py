"""Multi-hop questions: does a search find all the passages that an answer stands on?

Every strategy gets the same passages and the same questions and returns the five best. Recall@k is
the share of a question's supporting passages among the first k, averaged over questions; all@5 the
share of questions of which all are among the first five.

Strategies:

- `bm25`    words only;
- `dense`   embeddings of the passages only;
- `graph-given`    the graph service's own code (store, map, search) over the triples that come with
  the data; left out where there are none;
- `graph-offline`  the same with the service's extraction without a model;
- `graph`   both of these;
- the names of `motet.messages.Strategy` but `basic`, which is `dense`: the retriever as users ask
  it, by calls over NATS, with its own cutting and ranking, and without a chat model unless --model
  names one. Here `graph` means the first two, and the retriever's own is `graph-strategy`.

DIR has `corpus.json` ([{title, text}]) and `questions.json` ([{question, paragraphs: [{title,
paragraph_text, is_supporting}]}] or [{question, gold_titles}]), and may have `openie_triples.json`
({docs: [{passage, extracted_triples}]}). The public home of such sets is HippoRAG's repository,
https://github.com/OSU-NLP-Group/HippoRAG (MuSiQue, 2WikiMultihopQA, HotpotQA); MuSiQue itself is at
https://github.com/StonyBrookNLP/musique.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.corpus_mesh import CorpusMesh, corpus_mesh, unique
from motet.messages import (
    ANYBODY,
    Document,
    GraphDocument,
    GraphPassage,
    GraphSearchRequest,
    SearchRequest,
    Strategy,
    Triple,
)
from motet.messages import (
    STRATEGIES as RETRIEVALS,
)
from motet.models import Embedder, embedder
from motet.settings import load_settings
from motet.telemetry import setup
from motet_graph.app import open_store
from motet_graph.atlas import Atlas
from motet_graph.extraction.offline import OfflineExtractor
from motet_graph.ingestion import Ingestion
from motet_graph.lexical import Bm25, terms
from motet_graph.search import Search
from motet_graph.settings import GraphSettings

DEFAULT_DATA = Path("../shared/data/musique100")
BATCH = 200
"""Documents that one call ingests."""
K = 5

Find = Callable[[str], Awaitable[list[int]]]
"""From a question to the places of passages in the corpus, best first."""


@dataclass(frozen=True)
class Question:
    """A question and the passages that support its answer."""

    text: str
    gold: tuple[frozenset[int], ...]
    """For each support the passages of the corpus that give it."""


@dataclass(frozen=True)
class Data:
    """A set."""

    corpus: list[dict[str, str]]
    questions: list[Question]
    triples: dict[str, list[list[str]]] | None
    """By title, line feed and text."""


def load(folder: Path) -> Data:
    """Reads a set."""
    corpus = json.loads((folder / "corpus.json").read_text())
    by_text: dict[tuple[str, str], set[int]] = {}
    by_title: dict[str, set[int]] = {}
    for place, passage in enumerate(corpus):
        by_text.setdefault((passage["title"], passage["text"]), set()).add(place)
        by_title.setdefault(passage["title"], set()).add(place)
    questions = []
    for each in json.loads((folder / "questions.json").read_text()):
        if "gold_titles" in each:
            wanted = [by_title.get(title, set()) for title in dict.fromkeys(each["gold_titles"])]
        else:
            wanted = [
                by_text.get((support["title"], support["paragraph_text"]))
                or by_title.get(support["title"], set())
                for support in each["paragraphs"]
                if support["is_supporting"]
            ]
        gold = tuple(dict.fromkeys(frozenset(places) for places in wanted))
        questions.append(Question(each["question"], gold))
    file = folder / "openie_triples.json"
    triples = None
    if file.exists():
        docs = json.loads(file.read_text())["docs"]
        triples = {doc["passage"]: doc["extracted_triples"] for doc in docs}
    return Data(corpus, questions, triples)


# Strategies


async def bm25(data: Data, _stack: AsyncExitStack) -> Find:
    """Words only."""
    index = Bm25([terms(f"{each['title']} {each['text']}") for each in data.corpus])

    async def find(question: str) -> list[int]:
        return _best(index.scores(question))

    return find


async def dense(data: Data, _stack: AsyncExitStack) -> Find:
    """Embeddings of the passages only."""
    model = embedder(load_settings().model_copy(update={"model_cache": False}))
    vectors = await model.embed([f"{each['title']}\n{each['text']}" for each in data.corpus])

    async def find(question: str) -> list[int]:
        return _best(vectors @ (await model.embed_queries([question]))[0])

    return find


async def graph_given(data: Data, stack: AsyncExitStack) -> Find:
    """The graph over the triples that come with the data."""
    return await _graph(data, stack, data.triples or {})


async def graph_offline(data: Data, stack: AsyncExitStack) -> Find:
    """The graph over what its extraction without a model finds."""
    return await _graph(data, stack, None)


async def _graph(
    data: Data, stack: AsyncExitStack, triples: dict[str, list[list[str]]] | None
) -> Find:
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="motet-multihop-"))
    settings = load_settings().model_copy(update={"data_dir": Path(folder), "model_cache": False})
    own = GraphSettings(url=None, dir=None)
    store = await stack.enter_async_context(open_store(own, settings))
    model: Embedder = embedder(settings)
    ingestion = Ingestion(store, model, OfflineExtractor())
    documents = [_document(place, each, triples) for place, each in enumerate(data.corpus)]
    for first in range(0, len(documents), BATCH):
        await ingestion.ingest(ANYBODY.tenant, documents[first : first + BATCH])
        _note(f"  ingested {min(first + BATCH, len(documents))} of {len(documents)}")
    telemetry = setup("benchmark", settings)
    stack.push_async_callback(telemetry.shutdown)
    atlas = Atlas(store, model.name, refresh_s=own.refresh_s, maps=own.maps)
    search = Search(atlas, model, own.weights(), telemetry.tracer)
    drawn = await atlas.current(ANYBODY.tenant)
    _note(f"  {len(drawn.entities)} entities, {len(drawn.facts)} statements")

    async def find(question: str) -> list[int]:
        found = await search.search(ANYBODY.tenant, GraphSearchRequest(query=question, limit=K))
        return [int(passage.source) for passage in found.passages]

    return find


NAMES: dict[str, Strategy] = {
    "graph-strategy" if name == "graph" else name: name for name in RETRIEVALS if name != "basic"
}
"""What the retriever is asked for, by the name that the benchmark has for it."""


def retrieval(mesh: CorpusMesh, strategy: Strategy) -> Find:
    """The retriever, by one of its strategies."""

    async def find(question: str) -> list[int]:
        request = SearchRequest(query=question, limit=K, per_document=1, strategy=strategy)
        found = await mesh.search(request)
        return [int(source) for source in unique(each.source for each in found.passages)]

    return find


STRATEGIES: dict[str, Callable[[Data, AsyncExitStack], Awaitable[Find]]] = {
    "bm25": bm25,
    "dense": dense,
    "graph-given": graph_given,
    "graph-offline": graph_offline,
}
GROUPS = {
    "graph": ("graph-given", "graph-offline"),
    "retriever": tuple(NAMES),
    "all": (*STRATEGIES, *NAMES),
}


def _document(
    place: int, passage: dict[str, str], triples: dict[str, list[list[str]]] | None
) -> GraphDocument:
    given = None
    if triples is not None:
        found = triples.get(f"{passage['title']}\n{passage['text']}", [])
        given = tuple(
            Triple(subject=subject[:512], predicate=predicate[:512], object=object_[:512])
            for subject, predicate, object_ in (_strings(each) for each in found if len(each) == 3)
            if subject.strip() and object_.strip()
        )
    return GraphDocument(
        source=str(place),
        passages=(
            GraphPassage(
                id=str(place), text=passage["text"], title=passage["title"], triples=given
            ),
        ),
    )


def _strings(triple: Sequence[Any]) -> tuple[str, str, str]:
    subject, predicate, object_ = (str(each) for each in triple)
    return subject, predicate, object_


def _best(scores: np.ndarray[Any, Any]) -> list[int]:
    return [int(place) for place in np.argsort(-scores, kind="stable")[:K]]


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# Measuring


async def _measure(data: Data, names: Sequence[str], model: str) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for name in names:
        if name in STRATEGIES:
            async with AsyncExitStack() as stack:
                begun = time.perf_counter()
                find = await STRATEGIES[name](data, stack)
                prepared_s = time.perf_counter() - begun
                figures[name] = await _asked(name, data, find, prepared_s)
    asked = [name for name in names if name in NAMES]
    if asked:
        needs_graph = any("graph" in name for name in asked)
        documents = [
            Document(source=str(place), title=each["title"], text=each["text"])
            for place, each in enumerate(data.corpus)
        ]
        async with corpus_mesh(graph=needs_graph, model=model) as mesh:
            begun = time.perf_counter()
            await mesh.ingest(documents)
            prepared_s = time.perf_counter() - begun
            for name in asked:
                find = retrieval(mesh, NAMES[name])
                figures[name] = await _asked(name, data, find, prepared_s)
    return {"strategies": figures, "unit": "percent"}


async def _asked(name: str, data: Data, find: Find, prepared_s: float) -> dict[str, Any]:
    found, times = [], []
    for question in data.questions:
        begun = time.perf_counter()
        found.append(await find(question.text))
        times.append(time.perf_counter() - begun)
    figures = {
        **_figures(data.questions, found),
        "prepare_s": round(prepared_s, 1),
        "search_ms": round(statistics.median(times) * 1e3, 1),
    }
    _note(f"{name}: {figures}")
    return figures


def _figures(questions: Sequence[Question], found: Sequence[list[int]]) -> dict[str, float]:
    shares: dict[int, list[float]] = {2: [], K: []}
    for question, places in zip(questions, found, strict=True):
        for k, of in shares.items():
            hits = sum(bool(support & set(places[:k])) for support in question.gold)
            of.append(hits / max(len(question.gold), 1))
    return {
        "recall@2": round(100 * statistics.fmean(shares[2]), 1),
        "recall@5": round(100 * statistics.fmean(shares[K]), 1),
        "all@5": round(100 * statistics.fmean(share == 1 for share in shares[K]), 1),
    }


def run(arguments: list[str], data: Path | None) -> dict[str, Any]:
    """Runs the benchmark and returns its figures."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks multihop --data DIR",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--strategy",
        action="append",
        choices=[*STRATEGIES, *NAMES, *GROUPS],
        help="what to run; may be given several times; all unless told otherwise",
    )
    parser.add_argument("--model", default="none", help="a chat model, as MOTET_MODEL names it")
    options = parser.parse_args(arguments)
    folder = data or Path(os.environ.get("MOTET_BENCH_DATA", str(DEFAULT_DATA)))
    if not (folder / "corpus.json").exists():
        parser.error(f"{folder} has no corpus.json; give the folder of a set with --data")
    loaded = load(folder)
    names: dict[str, None] = {}
    for chosen in options.strategy or ["all"]:
        names.update(dict.fromkeys(GROUPS.get(chosen, (chosen,))))
    if loaded.triples is None:
        names.pop("graph-given", None)
    return asyncio.run(_measure(loaded, list(names), options.model))
