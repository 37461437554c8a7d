# ruff: noqa: INP001 - a script, run while an image is built
"""Takes out of an environment what running needs nothing of: `slim.py SITE-PACKAGES`.

What goes: tests that packages bring along, sources of their compiled parts, symbols for debuggers,
and the files named in UNUSED. A library without its symbols stays so only if it still loads.
"""

import shutil
import subprocess
import sys
from pathlib import Path

UNUSED = (
    # For programs in C++; Python's module has all of it inside.
    "onnxruntime/capi/libonnxruntime.so*",
    # A faster way to download from a model hub, which no service does.
    "hf_xet",
    "hf_xet-*.dist-info",
)
SOURCES = (".pyx", ".pxd", ".pyi")
WORTH_STRIPPING = 300_000
"""Bytes below which symbols are left in."""
LOADS = "import ctypes, sys; ctypes.CDLL(sys.argv[1])"


def strip(library: Path) -> None:
    """Takes the symbols out of a library that loads without them."""
    whole = library.with_name(f"{library.name}.whole")
    shutil.copy2(library, whole)
    stripped = subprocess.run(["/usr/bin/strip", "--strip-unneeded", library], check=False)
    loads = subprocess.run([sys.executable, "-c", LOADS, library], check=False, capture_output=True)
    if stripped.returncode or loads.returncode:
        whole.replace(library)
    else:
        whole.unlink()


def main(packages: Path) -> None:
    """Makes the packages of an environment smaller."""
    for pattern in UNUSED:
        for path in packages.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for folder in sorted(packages.rglob("tests")):
        shutil.rmtree(folder, ignore_errors=True)
    for path in packages.rglob("*.*"):
        if path.suffix in SOURCES:
            path.unlink()
        # What lies in a folder *.libs was moved there by a tool whose work does not bear it.
        elif (
            ".so" in path.suffixes
            and not path.parent.name.endswith(".libs")
            and path.stat().st_size > WORTH_STRIPPING
        ):
            strip(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
