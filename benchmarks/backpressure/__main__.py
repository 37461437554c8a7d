"""One agent of the benchmark: `python -m benchmarks.backpressure NAME`."""

from __future__ import annotations

import sys

from benchmarks.backpressure.agents import AGENTS

if __name__ == "__main__":
    AGENTS[sys.argv[1]]().run()
