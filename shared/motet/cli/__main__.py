"""`python -m motet.cli` is the `motet` command."""

from __future__ import annotations

from motet.cli.main import app

if __name__ == "__main__":
    app()
