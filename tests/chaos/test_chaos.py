"""The chaos benchmark, short: nothing lost, doubled or stuck, and every trace whole."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.chaos.agents import Outside, effects_in
from benchmarks.chaos.plan import KILLABLE, LED, PARTS, SHAPES, Plan

KEYS = [
    "submitted", "succeeded", "failed_as_expected", "lost", "duplicated_outcomes",
    "duplicated_effects", "stuck", "broken_traces", "kills",
]  # fmt: skip


@pytest.mark.timeout(180)
def test_nothing_is_lost_doubled_or_stuck() -> None:
    holds("--tasks 60 --seed 6 --every-s 0.7")


@pytest.mark.timeout(240)
def test_a_cluster_loses_its_leaders() -> None:
    kills = holds("--servers 3 --tasks 60 --seed 6 --every-s 0.7 --rate 4")
    assert kills["nats"] > 1


def holds(options: str) -> dict[str, int]:
    """Runs the benchmark with 60 tasks, and checks its figures; gives the kills of each part."""
    command = f"-m benchmarks chaos {options}"
    run = subprocess.run(
        [sys.executable, *command.split()], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    figures: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])

    assert list(figures) == KEYS
    assert {key: figures[key] for key in KEYS[3:-1] if figures[key]} == {}, run.stderr
    assert figures["submitted"] == 60
    assert figures["succeeded"] + figures["failed_as_expected"] == 60
    kills: dict[str, int] = figures["kills"]
    assert tuple(kills) == KILLABLE
    assert sum(kills.values()) > 2
    return kills


def plan(tasks: int, seed: int) -> Plan:
    return Plan.of(tasks, seed, over_s=20, every_s=0.5, ack_wait_s=3)


def test_a_seed_repeats() -> None:
    assert plan(100, 7) == plan(100, 7)
    assert plan(100, 7) != plan(100, 8)


def test_a_plan_has_every_shape_and_keeps_its_time() -> None:
    made = plan(100, 7)
    assert {task.shape for task in made.tasks} == set(SHAPES)
    assert len({task.id for task in made.tasks}) == len(made.tasks) == 100
    assert len(made.faults) == 40
    assert all(0 <= each.at_s <= 20 for each in (*made.tasks, *made.faults))
    assert {fault.fault for fault in made.faults} == {"kill", "stop", "pause", "cut", "slow"}
    assert {fault.part for fault in made.faults} == set(PARTS)


def test_in_a_cluster_leaders_suffer_longer_than_an_election() -> None:
    made = Plan.of(100, 7, over_s=300, every_s=0.5, ack_wait_s=3, servers=3)
    faults = [fault for fault in made.faults if fault.part == "nats"]
    assert {fault.led for fault in faults} == set(LED)
    assert min(fault.lasts_s for fault in faults) < 4
    assert max(fault.lasts_s for fault in faults) > 9
    assert plan(100, 7) == Plan.of(100, 7, over_s=20, every_s=0.5, ack_wait_s=3, servers=1)


def test_the_outside_honours_a_key_whoever_brings_it(tmp_path: Path) -> None:
    path = tmp_path / "effects"
    one, two = Outside(path), Outside(path)
    one.apply("key", "t", "a")
    two.apply("key", "t", "a")
    with path.open("ab") as file:
        file.write(b'{"key": "torn')
    two.apply("other", "t", "b")
    one.apply("other", "t", "b")
    one.apply("torn", "t", "c")

    assert [effect["key"] for effect in effects_in(path.read_bytes())] == ["key", "other", "torn"]
