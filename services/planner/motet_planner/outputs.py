"""Outputs: what skills gave, in few words for people and models."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any, cast

__all__ = ["shown_output"]

_DECIMALS = Decimal("1e-6")
_LARGEST = Decimal("1e20")


def shown_output(output: Any, *, computed: bool, characters: int = 4000) -> str:
    """A skill's output as a line; a computed value by itself, with at most six decimals."""
    if isinstance(output, dict):
        facts = cast("dict[str, Any]", output)
        if computed and "value" in facts:
            return _rounded(str(facts["value"]))
        if isinstance(facts.get("paths"), list):
            return _stated(cast("list[dict[str, Any]]", facts["paths"]))[:characters]
        output = {key: each for key, each in facts.items() if each is not None and key != "v"}
    return json.dumps(output, ensure_ascii=False)[:characters]


def _stated(paths: list[dict[str, Any]]) -> str:
    """What the first path states, one statement after another; empty where there is none."""
    statements: list[dict[str, Any]] = paths[0].get("statements", []) if paths else []
    parts = ("subject", "predicate", "object")
    return "; ".join(" ".join(str(each.get(part, "")) for part in parts) for each in statements)


def _rounded(value: str) -> str:
    try:
        number = Decimal(value)
    except InvalidOperation:
        return value
    short = number.quantize(_DECIMALS) if abs(number) < _LARGEST else number
    return format(short.normalize(), "f") if short else value
