"""Retrieval: by which strategy a task's searches look, and what they may spend.

A task may fix the strategy, and a model that plans may name one for a search. Else nothing is named,
which leaves it to whoever searches. A strategy is only ever named to a skill whose card has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from motet.errors import FaultError
from motet.messages import Budget, FaultType
from motet_planner.catalogue import Catalogue

__all__ = ["ABOUT", "UNDECIDED", "offered", "require", "shown", "spending_of"]

UNDECIDED = "default"
"""What a model says that leaves it to whoever searches."""

ABOUT: Mapping[str, str] = {
    "basic": "by meaning alone",
    "hybrid": "by meaning and words; right for most questions about one thing",
    "multi_query": "asks in several ways; for vague or unusually worded questions",
    "hyde": "by a made-up answer; where question and document use different words",
    "hierarchical": "whole documents first; for overviews and summaries",
    "multi_hop": "goes on from what it finds; where one fact leads to the next",
    "graph": "by connections between named things alone",
    "hybrid_graph": "hybrid, and by connections; how named things are related",
}
"""What each is for, as a model reads it."""

_ASKING = frozenset({"multi_query", "hyde", "multi_hop"})
"""Strategies that ask a chat model, where the searching agent has one."""
_SHARE = 4
"""Such a search gets one part in so many of what is left, so that reading and answering have the
rest."""


def offered(catalogue: Catalogue) -> tuple[str, ...]:
    """The strategies that living search skills have, in the order of their cards."""
    found = (each for skill in catalogue.values() for each in skill.strategies)
    return tuple(dict.fromkeys(found))


def require(wanted: str | None, catalogue: Catalogue) -> None:
    """Holds a task's wish to what there is.

    Raises:
        FaultError: `unknown_skill` when no living agent searches by that strategy; it may yet join.
    """
    there = offered(catalogue)
    if wanted is not None and wanted not in there:
        raise FaultError.of(
            FaultType.UNKNOWN_SKILL,
            f"The task asks for the retrieval strategy {wanted!r}, and no agent that searches by "
            f"it is running. There is: {', '.join(there) or 'none'}.",
            retryable=True,
            wanted=wanted,
            offered=list(there),
        )


def shown(catalogue: Catalogue) -> str:
    """What a model is told of the strategies; nothing where there are none."""
    lines = [f"- {name}: {ABOUT[name]}" for name in offered(catalogue) if name in ABOUT]
    if not lines:
        return ""
    head = f'A search may say by "strategy" how to look ({UNDECIDED} when in doubt):'
    return "\n\n" + "\n".join([head, *lines])


def spending_of(request: Mapping[str, Any], left: Budget) -> Budget | None:
    """The share of what is left that a search may spend on models; None sets it none."""
    if request.get("strategy") not in _ASKING or (left.tokens is None and left.cost_usd is None):
        return None
    return Budget(
        tokens=None if left.tokens is None else left.tokens // _SHARE,
        cost_usd=None if left.cost_usd is None else left.cost_usd / _SHARE,
    )
