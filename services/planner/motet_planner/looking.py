"""Looking: which of a search skill's strategies a step takes, and what it may spend.

In this order: what the task asks for, what the model said in its plan, what the step's own words
call for, and else nothing, which leaves it to whoever searches. A strategy is only ever named to
a skill whose card has it. English; where no cue is found the searching agent's default stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from motet.errors import FaultError
from motet.messages import AgentCard, Budget, FaultType
from motet_planner.catalogue import Catalogue
from motet_planner.state import StepData
from motet_planner.words import names

__all__ = ["ABOUT", "UNDECIDED", "choose", "offered", "require", "shown", "spending_of"]

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

_GRAPH = "graph.search"
_CHAIN = re.compile(
    r"""
      (?<!\bis)(?<!\bare)(?<!\bwas)(?<!\bwere)(?<!\bwhich)(?<!\bwhat)  # one thing is asked for
      (?<!^)\s(?:the|a|an)\s+ (?:[\w-]+\s+){1,3}? (?:that|which|who|whose|where)\s  # it is told by
    | \bof\s+(?:the|a|an)\s+ (?:[\w-]+\s+){1,3}? of\s  # the X of the Y of Z
    | \w['’]s\s+(?:[\w-]+\s+){0,2}?[\w-]+['’]s\s  # Z's Y's X
    """,
    re.IGNORECASE | re.VERBOSE,
)
_CONNECTION = re.compile(
    r"\b(?:connect(?:ed|ion|ions|s)?|relat(?:ed|ion|ions|ionship|ionships)|link(?:s|ed)?|ties"
    r"|in\s+common|to\s+do\s+with)\b",
    re.IGNORECASE,
)
_OVERVIEW = re.compile(
    r"\b(?:overview|summar(?:y|i[sz]e|ies|i[sz]ing)|outline|main\s+(?:points|topics|themes|ideas)"
    r"|gist|what\s+(?:is|are)\s+.{1,80}\s+about)\b",
    re.IGNORECASE,
)


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


def choose(
    steps: Sequence[StepData],
    goal: str,
    catalogue: Catalogue,
    cards: Sequence[AgentCard],
    wanted: str | None,
) -> None:
    """Gives each search of a plan its strategy, where there is one to give."""
    searches = [step for step in steps if catalogue[step["skill"]].strategies]
    connected = any(f"{card.name}.{each.name}" == _GRAPH for card in cards for each in card.skills)
    for step in searches:
        # The only step asks the goal, whatever a model made of its words.
        words = [goal, step["what"]] if len(steps) == 1 else [step["what"]]
        said = step.pop("strategy", None)
        strategy = wanted or said or _called_for(words, connected=connected)
        if strategy in catalogue[step["skill"]].strategies:
            step["strategy"] = strategy


def _called_for(texts: Sequence[str], *, connected: bool) -> str | None:
    """The strategy that words call for; None when they call for none."""
    if connected and any(_CONNECTION.search(text) and len(names(text)) > 1 for text in texts):
        return "hybrid_graph"
    if any(_OVERVIEW.search(text) for text in texts):
        return "hierarchical"
    if any(_CHAIN.search(text) and names(text) for text in texts):
        return "multi_hop"
    return None


def spending_of(request: Mapping[str, Any], left: Budget) -> Budget | None:
    """The share of what is left that a search may spend on models; None sets it none."""
    if request.get("strategy") not in _ASKING or (left.tokens is None and left.cost_usd is None):
        return None
    return Budget(
        tokens=None if left.tokens is None else left.tokens // _SHARE,
        cost_usd=None if left.cost_usd is None else left.cost_usd / _SHARE,
    )
