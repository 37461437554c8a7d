"""One agent of the chaos benchmark: `python -m benchmarks.chaos NAME`."""

from __future__ import annotations

import sys

from benchmarks.chaos.agents import AGENTS

if __name__ == "__main__":
    AGENTS[sys.argv[1]]().run()
