"""The prompts of the retriever; their form is told in `motet.models.prompts`.

What a user or a document wrote stands in them between marks that it cannot foresee.
"""

from __future__ import annotations

import hashlib

from motet.models.prompts import Prompts

__all__ = ["PROMPTS", "fenced"]

PROMPTS = Prompts(__name__)


def fenced(text: str, limit: int) -> str:
    """The first `limit` characters of a text as data, between marks made from the text itself."""
    text = text[:limit]
    mark = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:8]
    return f"<<{mark}\n{text.strip()}\n{mark}>>"
