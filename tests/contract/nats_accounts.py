"""The chart's accounts, made from the code: `python -m tests.contract.nats_accounts`."""

from __future__ import annotations

from pathlib import Path

from motet.bus.users import accounts_by_password, tenant
from motet.settings import Settings

__all__ = ["FILE", "accounts"]

FILE = Path(__file__).parents[2] / "helm" / "motet" / "files" / "accounts.conf"


def accounts() -> str:
    """The file as it should be."""
    return accounts_by_password([tenant(Settings(namespace="motet"))])


if __name__ == "__main__":
    FILE.write_text(accounts(), encoding="utf-8")
