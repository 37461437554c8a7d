# ruff: noqa: INP001 - a script, run while an image is built
"""Fetches the weights that an image carries: `pull.py FOLDER [MODEL]...`."""

import sys
from pathlib import Path

from motet.models import weights

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    for name in sys.argv[2:]:
        weights.pull(name, folder, notice=print)
    for lock in folder.rglob(".lock"):
        lock.unlink()
