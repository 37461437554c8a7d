"""The prompts of the retriever; their form is told in `motet.models.prompts`.

What a user or a document wrote stands in them between marks that it cannot foresee.
"""

from __future__ import annotations

from motet.models.prompts import Prompts
from motet.text.fencing import fence

__all__ = ["PROMPTS", "fenced"]

PROMPTS = Prompts(__name__)


def fenced(text: str, limit: int, label: str = "question") -> str:
    """The first `limit` characters of a text as data, see `motet.text.fencing`."""
    return fence(text[:limit].strip(), label=label)
