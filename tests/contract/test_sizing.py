"""docs/explanation/sizing.md: each figure is that of the result it names, and sums are right."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from motet.settings import Settings
from motet_planner.checkpoints import KEPT_S

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "sizing.md").read_text("utf-8")
RESULTS = ROOT / "benchmarks" / "results"

_NUMBER = r"(\d[\d,]*(?:\.\d+)?)"
_CELLS = re.compile(rf"\| {_NUMBER} \| `(\w+) ([^`]+)` (?=\|)")
_WORDS = re.compile(rf"{_NUMBER}(?: MB|\s+bytes| times)?\s+\(`(\w+) ([^`]+)`\)")
FIGURES = _CELLS.findall(PAGE) + _WORDS.findall(PAGE)


def number(text: str) -> float:
    return float(text.replace(",", ""))


def figure(name: str, path: str) -> float:
    found: Any = json.loads((RESULTS / f"{name}.json").read_text())["figures"]
    for part in path.split("."):
        found = found[part]
    return float(found)


def step(shown: str) -> float:
    """The unit of the last digit that is shown."""
    return 10.0 ** -len(shown.partition(".")[2])


def test_there_are_many() -> None:
    assert len(FIGURES) > 50
    assert len(_WORDS.findall(PAGE)) == 5
    assert PAGE.count("`footprint ") + PAGE.count("`backpressure ") + PAGE.count(
        "`multihop "
    ) + PAGE.count("`hop ") + PAGE.count("`speech ") == len(FIGURES)


@pytest.mark.parametrize("shown, name, path", FIGURES, ids=lambda value: value)
def test_a_figure_is_the_results(shown: str, name: str, path: str) -> None:
    # A half is rounded to the even digit by Python, and away from zero by people.
    assert abs(figure(name, path) - number(shown)) <= 0.51 * step(shown)


def test_the_rooms_of_the_example() -> None:
    rows = re.findall(
        rf"^\| `(\w+)` \| {_NUMBER} \| {_NUMBER} \| {_NUMBER} \|$", PAGE, re.MULTILINE
    )
    assert len(rows) == 5
    for stream, each, kept, gigabytes in rows:
        assert number(each) == figure("footprint", f"tasks.stream_bytes.{stream}")
        assert round(10 * number(each) * number(kept) / 1e9, 2) == number(gigabytes)
    total = sum(number(row[3]) for row in rows)
    assert round(total, 1) == 26.9
    assert round(total * 2.4) == 65
    assert max(number(row[3]) for row in rows) * 1.5 == pytest.approx(13, abs=0.5)


def test_the_messages_of_the_example() -> None:
    messages = {
        name: figure("footprint", f"tasks.messages.{name}")
        for name in ("EVENTS", "KV_tasks", "KV_results", "KV_checkpoints", "KV_budgets")
    }
    kept = {"KV_checkpoints": 3600, "KV_budgets": 31 * 86_400}
    counts = {name: 10 * count * kept.get(name, 86_400) for name, count in messages.items()}
    a_task = sum(
        figure("footprint", f"calls.messages.{name}")
        for name in ("EVENTS", "KV_tasks", "KV_results", "KV_budgets")
    )
    memory = "queue.rss_mb.nats."
    took = figure("backpressure", f"{memory}end") - figure("backpressure", f"{memory}start")
    a_message = took * 1e6 / 100_000 / a_task
    assert (round(a_task), round(took), round(a_message)) == (8, 463, 579)
    assert round(sum(counts.values()) / 1e6) == 42
    assert counts["KV_budgets"] / sum(counts.values()) == pytest.approx(2 / 3, abs=0.05)
    assert round(sum(counts.values()) * a_message / 1e9) == 25


def test_the_other_sums() -> None:
    for top, bottom, result in re.findall(
        rf"{_NUMBER} / {_NUMBER} = {_NUMBER}", PAGE.replace("\n", " ")
    ):
        assert round(number(top) / number(bottom)) == pytest.approx(number(result), abs=1)
    outcomes = figure("footprint", "tasks.stream_bytes.KV_results")
    assert round(Settings().stream_max_bytes / outcomes / 10 / 3600, 1) == 2.9
    disk = figure("footprint", "tasks.disk_bytes") / figure("footprint", "tasks.stream_bytes_all")
    assert round(disk, 1) == 2.4
    count = figure("footprint", "passages.passages")
    for store, kilobytes, a_gigabyte in (("retriever", 7.5, 132_000), ("graph", 46.5, 21_000)):
        each = figure("footprint", f"passages.disk_mb.{store}") * 1000 / count
        assert round(each, 1) == kilobytes
        assert 1e6 / each == pytest.approx(a_gigabyte, rel=0.03)
    assert round(1890 / figure("multihop", "strategies.dense.prepare_s"), 1) == 127.7
    assert round(3600 * figure("speech", "batch.rtf") / 60) == 7
    assert round(36_000 * figure("footprint", "queued.stream_bytes.TASKS") / 1e6) == 17
    assert (512 << 20) / figure("footprint", "tasks.span_store_bytes") == pytest.approx(
        19_000, rel=0.02
    )
    hours = 20_000 / 0.05 / 10 / 3600
    assert round(hours) == 11


def test_ages_and_limits_are_the_codes() -> None:
    settings = Settings()
    assert settings.events_max_age_s == settings.results_max_age_s == 7 * 86_400
    assert settings.tasks_max_age_s == 30 * 86_400
    assert settings.concurrency == 32
    assert KEPT_S == 3600


def test_every_variable_is_one() -> None:
    known = (ROOT / "docs" / "reference" / "settings.md").read_text()
    known += (ROOT / "docs" / "how-to" / "trace-a-run.md").read_text()
    for variable in set(re.findall(r"MOTET_[A-Z_]+", PAGE)):
        assert variable in known, variable


def test_the_values_are_a_charts() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    values = yaml.safe_load(block)
    assert set(values["settings"]) <= {f"MOTET_{name}".upper() for name in Settings.model_fields}
