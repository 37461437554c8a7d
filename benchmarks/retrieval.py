"""Retrieval: does a search find the documents that a question is about?

Every strategy gets the same documents, cut and indexed by the retriever itself, and the same
questions, and is asked for 100 documents by its best passage each. Measured as BEIR does (Thakur et
al., NeurIPS 2021, with trec_eval's formulas), averaged over questions that have judgements:

- nDCG@10: gain `grade / log2(rank + 1)` over the first ten, divided by that of the best order;
- Recall@100: the share of a question's relevant documents among the first 100;
- MRR: 1 / rank of the first relevant document, 0 if it is not among 100.

`interval` is the middle 95 % of nDCG@10 over 2,000 bootstrap samples of questions; `difference`
that of the difference to `hybrid`, paired by question, and `p` how often a random exchange of the
two answers of each question makes the difference as large (Smucker et al., CIKM 2007).

DIR has BEIR's files: `corpus.jsonl`, `queries*.jsonl`, `qrels/*.tsv`. The public home of such sets
is https://github.com/beir-cellar/beir. `bm25` and `dense` are the retriever's own branches by
themselves; the other names are those of `motet.messages.Strategy`, run without a chat model unless
--model names one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.corpus_mesh import CorpusMesh, corpus_mesh, note, unique
from motet.messages import STRATEGIES, Document, SearchRequest

DEFAULT_DATA = Path("../shared/data/scifact")
DEPTH = 100
CUT = 10
SAMPLES = 2000
AT_ONCE = 4
BASE = "hybrid"
GRAPHS = ("graph", "hybrid_graph")

NAMES = ("bm25", "dense", *(name for name in STRATEGIES if name != "basic"))
"""`basic` is `dense`."""


@dataclass(frozen=True)
class Data:
    """A set."""

    documents: list[Document]
    questions: dict[str, str]
    grades: dict[str, dict[str, int]]
    """Of each question, the relevant documents with their grade."""


def load(folder: Path, split: str | None = None) -> Data:
    """Reads a set; `split` is the name of one file of judgements, None takes all."""
    grades: dict[str, dict[str, int]] = {}
    for file in sorted((folder / "qrels").glob(f"{split or '*'}.tsv")):
        for line in file.read_text().splitlines():
            question, document, grade = line.split("\t")[:3]
            if grade.lstrip("-").isdecimal() and int(grade) > 0:
                grades.setdefault(question, {})[document] = int(grade)
    questions = {
        each["_id"]: each["text"]
        for file in sorted(folder.glob("queries*.jsonl"))
        for each in map(json.loads, file.read_text().splitlines())
        if each["_id"] in grades
    }
    documents = []
    with (folder / "corpus.jsonl").open() as lines:
        for each in map(json.loads, lines):
            title, text = each.get("title") or "", each.get("text") or ""
            if text.strip() or title.strip():
                documents.append(
                    Document(source=each["_id"], title=title or None, text=text or title)
                )
    return Data(documents, questions, {key: grades[key] for key in questions})


# Measures


def ndcg(ranked: Sequence[str], grades: Mapping[str, int], cut: int = CUT) -> float:
    """Normalised discounted cumulative gain, linear in the grade."""
    gain = sum(
        grades.get(source, 0) / np.log2(rank + 1)
        for rank, source in enumerate(ranked[:cut], start=1)
    )
    best = sorted(grades.values(), reverse=True)[:cut]
    return float(gain / sum(grade / np.log2(rank + 1) for rank, grade in enumerate(best, start=1)))


def recall(ranked: Sequence[str], grades: Mapping[str, int]) -> float:
    """Share of the relevant documents that were found."""
    return len(grades.keys() & set(ranked[:DEPTH])) / len(grades)


def reciprocal_rank(ranked: Sequence[str], grades: Mapping[str, int]) -> float:
    """1 / rank of the first relevant document."""
    return next((1 / rank for rank, each in enumerate(ranked, start=1) if each in grades), 0.0)


def interval(values: NDArray[np.float64]) -> list[float]:
    """The middle 95 % of the mean over bootstrap samples."""
    random = np.random.default_rng(0)
    means = values[random.integers(0, len(values), (SAMPLES, len(values)))].mean(axis=1)
    return [round(float(each), 4) for each in np.quantile(means, (0.025, 0.975))]


def randomised(differences: NDArray[np.float64]) -> float:
    """Fisher's randomisation test of paired differences, two-sided."""
    random = np.random.default_rng(0)
    signs = random.choice((-1.0, 1.0), (SAMPLES, len(differences)))
    extreme = np.abs((signs * differences).mean(axis=1)) >= abs(differences.mean()) - 1e-12
    return round((int(extreme.sum()) + 1) / (SAMPLES + 1), 4)


# Running


def request(name: str, question: str) -> SearchRequest:
    """How a strategy of this benchmark is asked."""
    how: dict[str, Any]
    match name:
        case "bm25":
            how = {"mode": "sparse"}
        case "dense":
            how = {"mode": "dense"}
        case _:
            how = {"strategy": name}
    return SearchRequest(query=question[:4000], limit=DEPTH, per_document=1, **how)


async def _ask(mesh: CorpusMesh, name: str, data: Data) -> tuple[dict[str, list[str]], float]:
    """The documents for each question, and the median of milliseconds that a question took."""
    turn = asyncio.Semaphore(AT_ONCE)
    ranked: dict[str, list[str]] = {}
    times: list[float] = []

    async def one(key: str, question: str) -> None:
        async with turn:
            begun = time.perf_counter()
            found = await mesh.search(request(name, question))
            times.append(time.perf_counter() - begun)
            ranked[key] = unique(passage.source for passage in found.passages)

    await asyncio.gather(*(one(key, question) for key, question in data.questions.items()))
    return ranked, statistics.median(times) * 1e3


async def _measure(data: Data, names: Sequence[str], model: str) -> dict[str, Any]:
    figures: dict[str, dict[str, Any]] = {}
    gains: dict[str, NDArray[np.float64]] = {}
    keys = list(data.questions)
    async with corpus_mesh(graph=any(name in GRAPHS for name in names), model=model) as mesh:
        begun = time.perf_counter()
        passages = await mesh.ingest(data.documents)
        ingested_s = time.perf_counter() - begun
        for name in names:
            ranked, search_ms = await _ask(mesh, name, data)
            gains[name] = np.array([ndcg(ranked[key], data.grades[key]) for key in keys])
            found = [(ranked[key], data.grades[key]) for key in keys]
            figures[name] = {
                "ndcg@10": round(float(gains[name].mean()), 4),
                "recall@100": round(statistics.fmean(recall(*each) for each in found), 4),
                "mrr": round(statistics.fmean(reciprocal_rank(*each) for each in found), 4),
                "interval": interval(gains[name]),
                "search_ms": round(search_ms, 1),
            }
            note(f"{name}: {figures[name]}")
    for name, each in figures.items():
        if BASE in gains and name != BASE:
            differences = gains[name] - gains[BASE]
            each["difference"] = interval(differences)
            each["p"] = randomised(differences)
    return {
        "strategies": figures,
        "questions": len(keys),
        "documents": len(data.documents),
        "passages": passages,
        "ingested_s": round(ingested_s, 1),
        "unit": "share, from 0 to 1; milliseconds at 4 at once",
    }


def run(arguments: list[str], data: Path | None) -> dict[str, Any]:
    """Runs the benchmark and returns its figures."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks retrieval --data DIR",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--strategy",
        action="append",
        choices=NAMES,
        help="what to run; may be given several times; all unless told otherwise",
    )
    parser.add_argument("--split", help="the file of qrels/ to take; all unless told otherwise")
    parser.add_argument("--model", default="none", help="a chat model, as MOTET_MODEL names it")
    options = parser.parse_args(arguments)
    folder = data or Path(os.environ.get("MOTET_BENCH_DATA", str(DEFAULT_DATA)))
    if not (folder / "corpus.jsonl").exists():
        parser.error(f"{folder} has no corpus.jsonl; give the folder of a set with --data")
    loaded = load(folder, options.split)
    if not loaded.questions:
        parser.error(f"{folder} has no judgements for its questions in qrels/*.tsv")
    return asyncio.run(_measure(loaded, options.strategy or NAMES, options.model))
