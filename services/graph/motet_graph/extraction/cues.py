"""Cues: words that stand for a name, or between two names of one entity, by language.

They are data, `cues.json` beside this module: who adds a language adds an entry. A text in a
language that has none, or that is too short to tell its language, is read with those of all.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from pydantic import TypeAdapter

from motet.messages import Value

__all__ = ["Cues", "cues_of"]


class Cues(Value):
    """What a language says."""

    called: tuple[str, ...] = ()
    """Stands between a name and another of the same entity: `also known as`."""
    formerly: tuple[str, ...] = ()
    """Likewise, but also before what somebody was: `formerly`."""
    person: tuple[str, ...] = ()
    """Begins a sentence about somebody spoken of: `she`."""
    thing: tuple[str, ...] = ()
    """Begins a sentence about what the one before spoke of: `it`."""
    article: tuple[str, ...] = ()
    """Stands before what is known already: `the`."""


@cache
def cues_of(language: str | None) -> Cues:
    """The cues of a language; those of all where it has no entry, or is not known."""
    every = _every()
    if language in every:
        return every[language]
    return Cues(
        **{
            field: tuple(word for each in every.values() for word in getattr(each, field))
            for field in Cues.model_fields
        }
    )


@cache
def _every() -> dict[str, Cues]:
    text = files(__package__ or "").joinpath("cues.json").read_bytes()
    return TypeAdapter(dict[str, Cues]).validate_json(text)
