"""Kinds: what sort of thing a question asks for, and whether a text has one.

A small model that must choose something chooses something; a weight that is not in kilograms or a
price without money is told by its form. Only clear cases are decided: a question of no known kind
accepts every answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from motet_planner.words import quantities

__all__ = ["Kind", "kind_of"]


@dataclass(frozen=True)
class Kind:
    """One sort of answer."""

    name: str
    asked: re.Pattern[str]
    """What a question of this kind has."""
    given: re.Pattern[str]
    """What an answer of this kind has."""
    with_number: bool = True
    """Whether an answer has a number as well."""

    def is_in(self, text: str) -> bool:
        """Whether a text has an answer of this kind."""
        if self.with_number and not quantities(text) and not any(map(str.isdigit, text)):
            return False
        return self.given.search(text) is not None


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


_MONTHS = r"january|february|march|april|may|june|july|august|september|october|november|december"
_DAYS = r"(?:mon|tues|wednes|thurs|fri|satur|sun)days?"
_TIME = r"seconds?|minutes?|mins?|hours?|days?|weeks?|months?|years?|decades?|centur(?:y|ies)"
_LENGTH = (
    r"(?:kilo|centi|milli|nano|micro)?met(?:re|er)s?|km|cm|mm|nm|m|miles?|feet|foot|ft|inch(?:es)?"
    r"|yards?|fathoms?"
)
_MONEY = (
    r"[€$£¥₹]|\b(?:euros?|eur|dollars?|usd|pounds?|gbp|francs?|chf|crowns?|kron(?:a|er|or)|yen|yuan"
    r"|rupees?|pesos?|zloty|marks?|cents?|pence|coins?|free|nothing|gratis)\b|\d[.,]\d\d\b|: \d"
)

_KINDS = (
    Kind(
        "weight",
        _pattern(r"\bhow heavy\b|\bweigh\w*|\bmass of\b"),
        _pattern(
            r"\b(?:kilo|milli|micro)?gram(?:me)?s?\b|\bkgs?\b|\bg\b|\bt\b|\btonn?es?\b|\btons?\b"
            r"|\bpounds?\b|\blbs?\b|\bounces?\b|\bstone\b"
        ),
    ),
    Kind(
        "length or time",
        _pattern(r"\bhow (?:long|far)\b|\bduration\b"),
        _pattern(rf"\b(?:{_LENGTH}|{_TIME})\b|{_DAYS}|\b(?:{_MONTHS})\b"),
    ),
    Kind(
        "length",
        _pattern(
            r"\bhow (?:tall|high|wide|deep|thick)\b|\b(?:length|height|width|depth|thickness"
            r"|diameter|altitude|elevation|distance)\b"
        ),
        _pattern(rf"\b(?:{_LENGTH})\b|\d(?:{_LENGTH})\b|[\"\u2032\u2033]"),
    ),
    Kind(
        "money",
        _pattern(
            r"\b(?:price|prices|costs?|salar(?:y|ies)|wages?|pays?|paid|fees?|fares?|rent"
            r"|revenue|earn(?:s|ed|ings)?|expens\w+|turnover)\b"
        ),
        _pattern(_MONEY),
    ),
    Kind(
        "temperature",
        _pattern(r"\btemperature\b|\bhow (?:hot|cold|warm)\b"),
        _pattern(r"degree|°|celsius|fahrenheit|kelvin|\d ?[CFK]\b"),
    ),
    Kind(
        "telephone number",
        _pattern(r"\b(?:phone|telephone|fax|mobile) ?number\b"),
        _pattern(r"\d(?:[\s()/+.-]*\d){2,}"),
    ),
    Kind("e-mail address", _pattern(r"\be-?mail address\b"), _pattern(r"\S@\S"), False),
    Kind(
        "date",
        _pattern(r"^when\b|\bwhat date\b|\b(?:what|which) year\b|^(?:the )?(?:date|year) "),
        _pattern(
            rf"\d|\b(?:{_MONTHS})\b|{_DAYS}|\b(?:daily|every|noon|midnight|after|before|during)\b"
            r"|\b(?:spring|summer|autumn|fall|winter)\b|\b(?:when|if)\b"
        ),
        False,
    ),
    Kind("number", _pattern(r"\bhow many\b|\bwhat percentage\b"), _pattern("")),
)

_OTHERS = _pattern(r"^(?:who|whose|which|where|why|is|are|was|were|does|do|did|can|may|should)\b")


def kind_of(question: str) -> Kind | None:
    """The kind of thing that a question asks for; None when its form does not say.

    The first that fits counts; a question for a person, place or reason has none.
    """
    question = question.strip()
    for kind in _KINDS:
        if kind.asked.search(question):
            return None if _OTHERS.match(question) and kind.name != "date" else kind
    return None
