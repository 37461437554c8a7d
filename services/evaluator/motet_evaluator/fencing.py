"""Fencing: what is under test stands in a prompt between marks that it cannot contain."""

from __future__ import annotations

import hashlib

__all__ = ["fenced"]


def fenced(text: str) -> str:
    """A text as data: between marks made from the text itself, which it cannot foresee."""
    mark = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"<<{mark}\n{' '.join(text.split())}\n{mark}>>"
