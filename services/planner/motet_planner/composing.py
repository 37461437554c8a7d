"""Composing: the answer's text from what the steps found.

The model is shown findings, never passages. Each finding that stands on passages has a number;
what a tool gave has none, because there is nothing to cite.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import groupby
from typing import Any

from motet_planner.run import Run
from motet_planner.state import Outcome, PassageData, Quote, StepData

__all__ = ["Finding", "compose", "findings_of", "shown_output", "spelled_out"]

_COMPOSE_TOKENS = 300
_QUOTED = 200
"""Characters up to which the words of a passage are shown beside what was found."""


@dataclass(frozen=True)
class Finding:
    """One thing that is known, as the model reads it."""

    asked: str
    says: str
    quote: Quote | None = None
    """Where it stands; None for the output of a tool."""
    number: int = 0
    """Its citation number, from 1; 0 for the output of a tool."""
    rests_on: tuple[int, ...] = ()
    """Numbers of the findings that its step needed: what it says, it says with them."""


def findings_of(
    steps: Sequence[StepData], outcomes: Mapping[str, Outcome], passages: Mapping[str, PassageData]
) -> list[Finding]:
    """What the steps found, in their order; the same words of a passage only once a step."""
    findings: list[Finding] = []
    numbers: dict[str, tuple[int, ...]] = {}
    number = 0
    for step in steps:
        outcome = outcomes.get(step["id"], {})
        if outcome.get("status") != "found":
            continue
        quotes = [quote for quote in outcome.get("quotes", []) if quote["passage"] in passages]
        rests = tuple(each for need in step["needs"] for each in numbers.get(need, ()))
        if not quotes:
            findings.append(Finding(step["what"], outcome.get("answer", ""), rests_on=rests))
        for quote in quotes:
            number += 1
            says = outcome.get("answer", "") if len(quotes) == 1 else quote["shown"]
            findings.append(Finding(step["what"], says, quote, number, rests))
        own = tuple(range(number - len(quotes) + 1, number + 1))
        numbers[step["id"]] = (*rests, *own)
    return findings


def shown_output(output: Any, *, computed: bool) -> str:
    """A skill's output in few words."""
    if not isinstance(output, dict):
        return json.dumps(output, ensure_ascii=False)[:400]
    if computed and "value" in output:
        return _rounded(str(output["value"]))
    facts = {key: value for key, value in output.items() if value is not None and key != "v"}
    return "; ".join(
        f"{key}: {_rounded(value) if isinstance(value, str) else json.dumps(value)}"
        for key, value in facts.items()
    )[:400]


def _rounded(value: str) -> str:
    """A decimal number with at most six decimals and its thousands apart; other text as it is."""
    try:
        number = Decimal(value)
    except InvalidOperation:
        return value
    short = number.quantize(Decimal("1e-6")) if abs(number) < Decimal("1e20") else number
    return format(short.normalize(), ",f") if short else value


async def compose(goal: str, findings: Sequence[Finding], run: Run) -> str:
    """The answer's text, with citations as the model puts them: to be checked."""
    lines: list[str] = []
    for finding in findings:
        if finding.number:
            lines.append(f"[{finding.number}] {finding.asked}: {finding.says}{_quoted(finding)}")
        else:
            lines.append(f"Computed: {finding.asked} = {finding.says}")
    return await run.write(
        "compose", max_tokens=_COMPOSE_TOKENS, goal=goal, findings="\n".join(lines)
    )


def _quoted(finding: Finding) -> str:
    """The words that a finding stands on, where it is not these words itself."""
    shown = finding.quote["shown"] if finding.quote else ""
    return "" if shown in finding.says or len(shown) > _QUOTED else f' ("{shown}")'


def spelled_out(findings: Sequence[Finding]) -> str:
    """The findings themselves as a text: what is said when a model's text cannot stand."""
    said: list[str] = []
    for asked, group in groupby(findings, key=lambda finding: finding.asked):
        says = " ".join(
            f"{finding.says.rstrip('.')}{f' [{finding.number}]' if finding.number else ''}."
            for finding in group
        )
        said.append(f"{asked[:1].upper()}{asked[1:].rstrip('?.')}: {says}")
    return " ".join(said)
