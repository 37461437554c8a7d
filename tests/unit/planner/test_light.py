"""What the planner must not do: load what only the strategy `deep` needs when it starts."""

from __future__ import annotations

import subprocess
import sys


def test_deepagents_is_not_imported_before_somebody_asks_for_it() -> None:
    program = "import sys, motet_planner.app; print([m for m in sys.modules if 'deep' in m])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
