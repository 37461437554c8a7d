"""Cues: words of a goal that say that something has to be computed, or is about several things.

They only help a small model to plan: the goal that it reads says so in so many words, as the worked
examples of the prompt do. English; where no cue is found the model decides alone.
"""

from __future__ import annotations

import re

__all__ = ["PRONOUN", "TO_COMPUTE", "asks_to_compute", "has_pronoun", "speaks_of_several"]

TO_COMPUTE = " (to be computed)"
"""Follows a goal that something must be computed for."""

_COMPUTE = re.compile(
    r"""
      \bper\s?cent | \bpercentage | % | \bratio\b | \bproportion\b | \bshare\s+of\b
    | \b(?:sum|total|together|altogether|combined|average|mean|difference)\b | \bin\s+all\b
    | \bhow\s+(?:much|many)\b .{0,30} \b(?:more|less|fewer|longer|higher|later|earlier)\b
    | \b(?:grew|grow|growth|grown|rise|rose|risen|increased?|decreased?|fell)\b
    | \b(?:times\s+as|twice|plus|minus|multiplied|divided|calculate|compute)\b
    | \bper\s+(?:head|person|capita|visitor|employee|passenger|item|unit)\b
    | \bhow\s+(?:many\s+(?:days|weeks|months|years|hours)|long)\b .{0,60}
        \b(?:between|after|before|passed|from\b.{1,60}\bto|since|until|ago|later|apart)\b
    | \d\s*[-+*/\u00d7]\s*\d
    """,
    re.IGNORECASE | re.VERBOSE,
)
_NOT_A_FIGURE = re.compile(r"\s*(?:why|who|whose|where|when|which|summari[sz]e)\b", re.IGNORECASE)
PRONOUN = re.compile(r"\b(?:it|its|they|their|them|he|his|him|she|her)\b", re.IGNORECASE)
"""A word that stands for somebody or something named elsewhere."""
_SEVERAL = re.compile(
    r"\b(?:all|each|every|both|together|altogether|total|sum|combined|average|mean|in all|two|three"
    r"|four|five|six|seven|eight|nine|ten)\b",
    re.IGNORECASE,
)


def asks_to_compute(goal: str) -> bool:
    """Whether a goal asks for something that has to be computed."""
    return _COMPUTE.search(goal) is not None and _NOT_A_FIGURE.match(goal) is None


def has_pronoun(text: str) -> bool:
    """Whether a text speaks of somebody or something by a pronoun."""
    return PRONOUN.search(text) is not None


def speaks_of_several(question: str) -> bool:
    """Whether a question is about several things at once."""
    return _SEVERAL.search(question) is not None
