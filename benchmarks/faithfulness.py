"""Telling answers that their evidence supports from those that it does not.

The data are the development sets of BEGIN (Dziri et al., "Evaluating Attribution in Dialogue
Systems: The BEGIN Benchmark", TACL 2022): responses that people labelled against the knowledge they
were to stand on. `Fully attributable` is supported; everything else is not. Public home:
https://github.com/google/BEGIN-dataset (CC BY 4.0); put its `*.tsv` files into one folder.

The data are halved by a hash of the knowledge, so that no knowledge is in both halves. On the one
half the threshold of each judge is chosen, and the weights of Motet's own were fitted (`--train`
does it again); all figures come from the other half. `word_overlap` is the share of a response's
words that the knowledge has; `embedding` is the largest cosine between the response and a sentence
of the knowledge; `deterministic` is what `evaluator.evaluate` gives as `faithfulness`; `model`,
with `--judge model`, is the configured language model on a sample of the half.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from motet.messages import EvaluateRequest, Evidence, Scored, ScoreFailed
from motet.models import embedder
from motet.settings import load_settings
from motet.text.sentences import sentences
from motet.text.words import words
from motet_evaluator.claims import claims_of
from motet_evaluator.faithfulness import faithfulness
from motet_evaluator.support import FEATURES, Body, features_of
from motet_evaluator.words import share

SUPPORTED = "Fully attributable"
DEFAULT_DATA = Path("../shared/data/begin")
RIDGE = 3.0
"""Strength of the L2 penalty, on features of unit variance."""

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Row:
    """One response with its label."""

    knowledge: str
    message: str
    response: str
    supported: bool

    @property
    def held_out(self) -> bool:
        """Whether it is in the half that figures come from."""
        return hashlib.sha256(f"motet.{self.knowledge}".encode()).digest()[0] % 2 == 1


def read(folder: Path) -> list[Row]:
    """The rows of every `*.tsv` in a folder."""
    rows: list[Row] = []
    for path in sorted(folder.glob("*.tsv")):
        with path.open(encoding="utf-8", newline="") as file:
            for line in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                supported = line["begin_label"].strip() == SUPPORTED
                row = Row(line["knowledge"], line["message"], line["response"], supported)
                rows.append(row)
    if not rows:
        raise SystemExit(f"There is no *.tsv in {folder}: see --help for where to get them.")
    return rows


# Judges: a number for each row, the larger the better supported.


def word_overlap(rows: Sequence[Row]) -> Array:
    """The share of the response's words that the knowledge has."""
    return np.array([share(_lower(row.response), set(_lower(row.knowledge))) for row in rows])


def _lower(text: str) -> list[str]:
    return [word.lower() for word in words(text)]


def embedding(rows: Sequence[Row]) -> Array:
    """The largest cosine between the response and a sentence of the knowledge."""
    parts = [sentences(row.knowledge) or [row.knowledge] for row in rows]
    texts = list(
        dict.fromkeys(
            text for row, part in zip(rows, parts, strict=True) for text in (*part, row.response)
        )
    )
    vectors = asyncio.run(embedder(load_settings()).embed(texts))
    at = {text: vectors[index] for index, text in enumerate(texts)}
    return np.array(
        [
            max(float(at[text] @ at[row.response]) for text in part)
            for row, part in zip(rows, parts, strict=True)
        ]
    )


def deterministic(rows: Sequence[Row]) -> Array:
    """Motet's own, as the service computes it."""
    found: list[float] = []
    for row in track(rows, "deterministic", console=Console(stderr=True), transient=True):
        score = faithfulness(request_of(row)).score
        found.append(score.value if isinstance(score, Scored) else 0.0)
    return np.array(found)


def request_of(row: Row) -> EvaluateRequest:
    """A row as the evaluator is asked."""
    return EvaluateRequest(
        question=row.message.strip() or "?",
        answer=row.response,
        evidence=(Evidence(id="knowledge", text=row.knowledge),),
    )


def model(rows: Sequence[Row]) -> Array:
    """The configured language model, claim by claim; one that failed counts as half."""
    from motet.models import chat_model
    from motet_evaluator.judge import Judge

    async def judged() -> list[float]:
        asked = chat_model(load_settings())
        judge = Judge(asked, timeout_s=120, claims=20)
        found: list[float] = []
        try:
            for row in track(rows, "model", console=Console(stderr=True), transient=True):
                score = await judge.faithfulness(request_of(row))
                nothing = 0.5 if isinstance(score, ScoreFailed) else 0.0
                found.append(score.value if isinstance(score, Scored) else nothing)
        finally:
            await asked.close()
        return found

    return np.array(asyncio.run(judged()))


JUDGES = {"word_overlap": word_overlap, "embedding": embedding, "deterministic": deterministic}


# Figures


def auroc(labels: Array, scores: Array) -> float:
    """Area under the ROC curve: the share of pairs in the right order, ties counting half.

    By rank sums (Mann and Whitney 1947; Hanley and McNeil, Radiology 143, 1982).
    """
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positive = labels.sum()
    negative = len(labels) - positive
    return float((ranks[labels == 1].sum() - positive * (positive + 1) / 2) / (positive * negative))


def balanced_accuracy(labels: Array, scores: Array, threshold: float) -> float:
    """The mean of the two classes' shares that are told rightly."""
    says = scores >= threshold
    return float((says[labels == 1].mean() + (~says[labels == 0]).mean()) / 2)


def best_threshold(labels: Array, scores: Array) -> float:
    """The threshold of highest balanced accuracy, midway between two scores."""
    values = np.unique(scores)
    middles = (values[:-1] + values[1:]) / 2 if len(values) > 1 else values
    return float(max(middles, key=lambda each: balanced_accuracy(labels, scores, each)))


def measure(name: str, rows: Sequence[Row]) -> dict[str, Any]:
    """The figures of one judge."""
    scores = JUDGES[name](rows)
    labels = np.array([float(row.supported) for row in rows])
    held = np.array([row.held_out for row in rows])
    threshold = best_threshold(labels[~held], scores[~held])
    return {
        "auroc": round(auroc(labels[held], scores[held]), 4),
        "balanced_accuracy": round(balanced_accuracy(labels[held], scores[held], threshold), 4),
        "threshold": round(threshold, 4),
    }


def measure_model(rows: Sequence[Row], limit: int) -> dict[str, Any]:
    """The figures of the language model on the first `limit` held-out rows, by hash."""
    held = sorted(
        (row for row in rows if row.held_out),
        key=lambda row: hashlib.sha256(f"{row.response}{row.knowledge}".encode()).digest(),
    )[:limit]
    labels = np.array([float(row.supported) for row in held])
    scores = model(held)
    return {
        "auroc": round(auroc(labels, scores), 4),
        "balanced_accuracy": round(balanced_accuracy(labels, scores, 0.5), 4),
        "threshold": 0.5,
        "rows": len(held),
    }


# Training


def fit(features: Array, labels: Array) -> tuple[float, Array]:
    """Logistic regression with classes of equal weight: intercept and weights.

    Newton's method (Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning", 4.4.1)
    with an L2 penalty of `RIDGE` on standardised features; the result is in their own units.
    """
    mean, deviation = features.mean(axis=0), features.std(axis=0) + 1e-9
    design = np.c_[(features - mean) / deviation, np.ones(len(features))]
    share_of_one = labels.mean()
    importance = np.where(labels == 1, 0.5 / share_of_one, 0.5 / (1 - share_of_one))
    penalty = np.diag([RIDGE] * features.shape[1] + [0.0])
    weights = np.zeros(design.shape[1])
    for _ in range(50):
        said = 1 / (1 + np.exp(-design @ weights))
        slope = design.T @ (importance * (said - labels)) + penalty @ weights
        curve = (design * (importance * said * (1 - said))[:, None]).T @ design + penalty
        weights -= np.linalg.solve(curve, slope)
    own = weights[:-1] / deviation
    return float(weights[-1] - own @ mean), own


def train(rows: Sequence[Row]) -> dict[str, Any]:
    """Weights from the half that no figure comes from; each response counts as one claim."""
    half = [row for row in rows if not row.held_out]
    features: list[tuple[float, ...]] = []
    for row in track(half, "features", console=Console(stderr=True), transient=True):
        text = " ".join(claim.text for claim in claims_of(row.response)) or row.response
        features.append(features_of(text, Body([row.knowledge])))
    labels = np.array([float(row.supported) for row in half])
    intercept, weights = fit(np.array(features), labels)
    return {
        "made_by": "python -m benchmarks faithfulness --train",
        "data": "BEGIN development sets, the half of even hashes (see benchmarks/faithfulness.py)",
        "rows": len(half),
        "ridge": RIDGE,
        "intercept": round(intercept, 4),
        "weights": {
            name: round(float(weight), 4) for name, weight in zip(FEATURES, weights, strict=True)
        },
    }


def run(arguments: list[str], data: Path | None) -> dict[str, Any]:
    """Runs the benchmark and returns its figures."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks faithfulness",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--train", action="store_true", help="fit and write the weights first")
    parser.add_argument("--judge", choices=("model",), help="also ask the language model")
    parser.add_argument("--limit", type=int, default=60, help="rows that the model is asked")
    options = parser.parse_args(arguments)
    folder = data or Path(os.environ.get("MOTET_BENCH_DATA", DEFAULT_DATA))
    if not any(folder.glob("*.tsv")) and (folder / "begin").is_dir():
        folder /= "begin"
    rows = read(folder)
    if options.train:
        target = Path(str(files("motet_evaluator.weights").joinpath("support.v2.json")))
        target.write_text(json.dumps(train(rows), indent=2) + "\n", encoding="utf-8")
    kinds = {(row.held_out, row.supported) for row in rows}
    if len(kinds) < 4:
        raise SystemExit(f"{len(rows)} rows are too few: each half must have both labels.")
    judges = {name: measure(name, rows) for name in JUDGES}
    if options.judge == "model":
        judges["model"] = measure_model(rows, options.limit)
    return {"judges": judges, "rows": len(rows), "held_out": sum(row.held_out for row in rows)}
