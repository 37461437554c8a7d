# ruff: noqa: INP001 - a script, run while an image is built
"""Fetches the weights that an image carries: `pull.py FOLDER GIVEN [MODEL]...`.

What lies in the folder GIVEN, as in a cache of Motet's, is taken from there and checked.
"""

import shutil
import sys
from pathlib import Path

from motet.models import weights

if __name__ == "__main__":
    folder, given = Path(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(exist_ok=True)
    for name in sys.argv[3:]:
        for file in weights.manifest()[name].files:
            here = given / "models" / name / file.name
            if here.exists():
                # As what was fetched before an interruption: it still must have the right digest.
                target = folder / "models" / name / f"{file.name}.partial"
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(here, target)
        weights.pull(name, folder, notice=print)
    for lock in folder.rglob(".lock"):
        lock.unlink()
