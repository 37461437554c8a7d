"""The backpressure benchmark, short: memory stays, and the oldest task goes first."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from benchmarks.backpressure.figures import latency, order, rates

MB_MORE = 25
"""How much more memory a service may take than after its start: far less than a full queue has."""


@pytest.mark.timeout(180)
def test_a_full_queue_costs_no_service_memory_and_is_drained_in_order() -> None:
    command = "-m benchmarks backpressure --parts queue slow_skill --tasks 1500 --calls 200"
    run = subprocess.run(
        [sys.executable, *command.split()], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    figures: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])

    queue = figures["queue"]
    assert queue["order"]["rank_correlation"] > 0.99
    assert queue["order"]["places_lost_at_most"] < 150
    for service in ("planner", "worker", "submitter"):
        memory = queue["rss_mb"][service]
        assert memory["most"] < memory["start"] + MB_MORE, memory
    assert figures["slow_skill"]["slow_backlog"]["left"] > 0
    fast = figures["slow_skill"]["fast_per_s"]
    assert fast["beside_slow"] > fast["alone"] / 4, fast


def test_figures() -> None:
    assert latency([0.001] * 99 + [1.0]) == {"p50_ms": 1.0, "p99_ms": 1000.0}
    assert order([0, 1, 2, 3]) == {"rank_correlation": 1.0, "places_lost_at_most": 0}
    assert order([3, 2, 1, 0]) == {"rank_correlation": -1.0, "places_lost_at_most": 3}
    assert order([1, 2, 3, 0]) == {"rank_correlation": -0.2, "places_lost_at_most": 3}
    assert rates([float(second) for second in range(21)]) == {
        "first_tenth_per_s": 1.0,
        "last_tenth_per_s": 1.0,
        "per_s": 1.0,
    }
