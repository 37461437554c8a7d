"""The password that Compose's container `keys` makes is one that Neo4j starts with."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

KEYS = Path(__file__).parents[2] / "deploy" / "keys.sh"


def test_the_password_cannot_be_taken_for_an_option() -> None:
    (program,) = re.findall(r"\|\| python -c '(.*)' >/keys/neo4j", KEYS.read_text())
    made = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert re.fullmatch(r"[0-9a-f]{48}", made.stdout.strip())
