"""Instructions in documents: lines that address the model instead of telling the reader something.

Documents are data. A line that orders "ignore all previous instructions" is kept from the model,
because a small one follows it whatever its own instructions say. This is one of three guards: the
others are that answers must be in the lines they cite, and that a plan is made before any document
is read.
"""

from __future__ import annotations

import re

__all__ = ["is_instruction"]

_PATTERNS = re.compile(
    r"""
    \b(?:ignore|disregard|forget|override)\b .{0,40}
        \b(?:instructions?|prompts?|rules?\ above|context|messages?)\b
    | \b(?:system|developer)\s+prompt\b
    | \byou\s+are\s+(?:now\s+)?(?:an?\s+)?(?:ai|assistant|language\ model|chatbot)\b
    | \b(?:answer|reply|respond)\b .{0,60}
        \b(?:with\ the\ (?:single\ )?(?:word|phrase)|every\ question|only\ with|nothing\ else)\b
    | \b(?:do\ not|don't|never|must\ not)\s+(?:be\ )?(?:cite|quote|reveal|mention|tell|told)\b
        .{0,60}\b(?:anybody|anyone|users?|nothing|questions?|sources?)\b
    | \bcite\ nothing\b
    | <\|?(?:im_start|im_end|system|assistant|endoftext)\|?>
    | ^\s*(?:system|assistant)\s*:
    """,
    re.IGNORECASE | re.VERBOSE,
)


def is_instruction(line: str) -> bool:
    """Whether a line of a document addresses a model."""
    return _PATTERNS.search(line) is not None
