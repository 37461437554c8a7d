"""The figures of the faithfulness benchmark are what they say."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from benchmarks import faithfulness
from benchmarks.faithfulness import auroc, balanced_accuracy, best_threshold, fit, read, run
from motet_evaluator.support import FEATURES

LABELS = np.array([1.0, 1.0, 0.0, 0.0])


def test_auroc_by_hand() -> None:
    assert auroc(LABELS, np.array([0.9, 0.8, 0.2, 0.1])) == 1.0
    assert auroc(LABELS, np.array([0.1, 0.2, 0.8, 0.9])) == 0.0
    assert auroc(LABELS, np.array([0.9, 0.2, 0.8, 0.1])) == 0.75
    assert auroc(LABELS, np.array([0.5, 0.5, 0.5, 0.5])) == 0.5


def test_balanced_accuracy_by_hand() -> None:
    labels = np.array([1.0, 0.0, 0.0, 0.0])
    scores = np.array([0.9, 0.8, 0.2, 0.1])
    assert balanced_accuracy(labels, scores, 0.5) == pytest.approx((1 + 2 / 3) / 2)
    assert best_threshold(labels, scores) == pytest.approx(0.85)


def test_a_fit_finds_what_tells_the_classes_apart() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat([0.0, 1.0], [3000, 1000])
    features = np.c_[labels * 2 + random.normal(size=4000), random.normal(size=4000)]
    intercept, weights = fit(features, labels)
    assert weights[0] > 1
    assert abs(weights[1]) < 0.3
    # Classes of equal weight: the boundary lies between their means.
    assert -intercept / weights[0] == pytest.approx(1.0, abs=0.2)


def test_the_weights_that_are_shipped_name_every_feature() -> None:
    file = files("motet_evaluator.weights").joinpath("support.v2.json")
    shipped = json.loads(file.read_text(encoding="utf-8"))
    assert tuple(shipped["weights"]) == FEATURES
    assert "--train" in shipped["made_by"]


def data(folder: Path, count: int) -> Path:
    lines = ["model_name\tdata_source\tknowledge\tmessage\tresponse\tbegin_label"]
    for number in range(count):
        knowledge = f'The tower number {number} is "high" .'
        lines += [
            f"m\twow\t{knowledge}\thi\t{knowledge}\tFully attributable",
            f"m\twow\t{knowledge}\thi\tI like porridge a lot\tNot fully attributable",
            f"m\twow\t{knowledge}\thi\tok then\tGeneric",
        ]
    (folder / "begin_dev_wow.tsv").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_the_halves_share_no_knowledge(tmp_path: Path) -> None:
    rows = read(data(tmp_path, 20))
    assert len(rows) == 60
    assert sum(row.supported for row in rows) == 20
    halves = [{row.knowledge for row in rows if row.held_out is half} for half in (True, False)]
    assert all(halves)
    assert not halves[0] & halves[1]


def test_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(faithfulness.JUDGES, "embedding")
    figures = run([], data(tmp_path, 20))
    assert figures["judges"]["deterministic"]["auroc"] == 1.0
    assert figures["judges"]["deterministic"]["balanced_accuracy"] == 1.0
    assert set(figures["judges"]) == {"word_overlap", "deterministic"}


def test_too_little_data_is_told(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="There is no"):
        run([], tmp_path)
    with pytest.raises(SystemExit, match="too few"):
        run([], data(tmp_path, 1))
