"""`python -m benchmarks NAME …`."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

NAMES = (
    "backpressure",
    "chaos",
    "consume",
    "faithfulness",
    "footprint",
    "hop",
    "multihop",
    "passages",
    "planning",
    "retrieval",
    "speech",
)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    import os

    return {
        "cores": os.cpu_count(),
        "cpu": _cpu(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def main(arguments: list[str]) -> int:
    """Runs one benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--json", type=Path, help="also write figures and machine to this file")
    parser.add_argument("--data", type=Path, help="folder with the benchmark's data")
    chosen, rest = parser.parse_known_args(arguments)
    module = import_module(f"benchmarks.{chosen.name}")
    figures = module.run(rest, data=chosen.data)
    if chosen.json is not None:
        record = {"benchmark": chosen.name, "figures": figures, "machine": machine()}
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
