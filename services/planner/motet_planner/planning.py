"""Planning: from a goal to steps that can be carried out.

What a model proposes is repaired where that is safe (duplicates, references that cannot be, short
names of skills) and refused where it is not. What always holds of a plan: each step has a skill
that lives, its needs are steps of this or an earlier plan, and there is no cycle.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from motet.errors import FaultError
from motet.messages import FaultType
from motet_planner.catalogue import Catalogue
from motet_planner.cues import TO_COMPUTE, asks_to_compute, has_pronoun
from motet_planner.looking import UNDECIDED, offered, shown
from motet_planner.pruning import without_needless
from motet_planner.run import Run
from motet_planner.state import Outcome, StepData
from motet_planner.words import names, numbers, terms

__all__ = ["make_plan", "plan_schema", "repaired", "revise_plan"]

_PLAN_TOKENS = 400
_LONGEST_AIM = 300
"""Characters of a goal that a formula is written for."""


def plan_schema(
    catalogue: Catalogue, most: int, known: int = 0, strategies: Sequence[str] = ()
) -> dict[str, Any]:
    """The form of a plan: steps that name living skills and earlier steps.

    With `strategies`, a step may also say by which of them it searches.
    """
    step: dict[str, Any] = {
        "type": "object",
        "properties": {
            "skill": {"type": "string", "enum": list(catalogue)},
            "what": {"type": "string", "minLength": 1, "maxLength": 300},
            "needs": {
                "type": "array",
                "items": {"type": "integer", "minimum": 1, "maximum": known + most},
                "maxItems": most,
            },
        },
        "required": ["skill", "what", "needs"],
        "additionalProperties": False,
    }
    if strategies:
        step["properties"]["strategy"] = {"type": "string", "enum": [*strategies, UNDECIDED]}
    return {
        "type": "object",
        "properties": {"steps": {"type": "array", "items": step, "maxItems": most}},
        "required": ["steps"],
        "additionalProperties": False,
    }


async def _proposed(goal: str, run: Run, known: int, steps: str) -> list[dict[str, Any]]:
    """The steps that the model proposes.

    A local model is not told of strategies: its prompt stays as short as it is, and the cues of
    `looking` decide.
    """
    catalogue, most = run.catalogue, run.settings.max_steps
    local = run.model.provider == "local"
    proposal = await run.ask(
        "plan",
        plan_schema(catalogue, most, known, () if local else offered(catalogue)),
        max_tokens=_PLAN_TOKENS,
        skills=catalogue.shown() + ("" if local else shown(catalogue)),
        goal=goal + (TO_COMPUTE if asks_to_compute(goal) else ""),
        steps=steps,
    )
    proposed: list[dict[str, Any]] = proposal["steps"]
    return proposed


async def make_plan(goal: str, run: Run) -> list[StepData]:
    """The first plan; empty for a goal that needs no skill."""
    catalogue, most = run.catalogue, run.settings.max_steps
    if not catalogue:
        return []
    proposed = await _proposed(goal, run, 0, "")
    steps = repaired(proposed, catalogue, revision=1, most=most)
    evidence = catalogue.evidence
    if not steps and evidence is not None and (proposed or _asks_for_facts(goal)):
        return [StepData(id="s1", skill=evidence.name, what=goal, needs=[], revision=1)]
    if not steps and proposed:
        raise FaultError.of(
            FaultType.UNKNOWN_SKILL,
            "The plan names no skill that a living agent has, and no agent can search documents.",
            retryable=True,
            skills=list(catalogue),
        )
    _link_references(steps, goal, catalogue)
    _add_computation(steps, goal, catalogue)
    _aim(steps, goal, catalogue)
    return steps


def _link_references(steps: Sequence[StepData], goal: str, catalogue: Catalogue) -> None:
    """Gives a search its need that speaks of what the search before it finds.

    `its diameter`, or `diameter of the telescope` where the goal has a pronoun, after
    `telescope for guests`: a small model forgets that it cannot be looked up by itself.
    """
    searches = [step for step in steps if catalogue[step["skill"]].gives_passages]
    for before, step in pairwise(searches):
        if step["needs"]:
            continue
        noun = before["what"].split()[0]
        that, count = re.subn(rf"\bthe {re.escape(noun)}\b", f"that {noun}", step["what"])
        if has_pronoun(step["what"]):
            step["needs"] = [before["id"]]
        elif count == 1 and has_pronoun(goal):
            step["needs"], step["what"] = [before["id"]], that


def _add_computation(steps: list[StepData], goal: str, catalogue: Catalogue) -> None:
    """Adds the computation that a goal asks for to a plan that only searches."""
    skill = next((each for each in catalogue.values() if each.computes), None)
    searches = [step for step in steps if catalogue[step["skill"]].gives_passages]
    if skill is None or not steps or searches != steps or not asks_to_compute(goal):
        return
    needed = {need for step in steps for need in step["needs"]}
    needs = [step["id"] for step in steps if step["id"] not in needed]
    id_ = f"s{len(steps) + 1}"
    steps.append(StepData(id=id_, skill=skill.name, what=goal, needs=needs, revision=1))


def _aim(steps: Sequence[StepData], goal: str, catalogue: Catalogue) -> None:
    """Lets the only computing step, when it comes last, compute what the goal says.

    A small model puts "growth in percent" where the goal asks for euros.
    """
    computing = [step for step in steps if catalogue[step["skill"]].computes]
    if computing and computing == list(steps[-1:]) and len(goal) <= _LONGEST_AIM:
        steps[-1]["what"] = goal


async def revise_plan(
    goal: str,
    steps: Sequence[StepData],
    outcomes: Mapping[str, Outcome],
    run: Run,
    revision: int,
) -> list[StepData]:
    """Further steps after some found nothing or failed."""
    catalogue, most = run.catalogue, run.settings.max_steps
    if not catalogue:
        return []
    proposed = await _proposed(
        goal,
        run,
        len(steps),
        "".join(
            f"\n{number}. {_status(step, outcomes.get(step['id'], {}))}"
            for number, step in enumerate(steps, start=1)
        ),
    )
    return repaired(proposed, catalogue, revision=revision, most=most, earlier=steps)


def _status(step: StepData, outcome: Outcome) -> str:
    match outcome.get("status"):
        case "found":
            return f"done: {step['what']} = {outcome.get('answer', '')}"
        case "missing":
            return f"found nothing: {step['what']}"
        case "failed":
            return f"{step['skill']} failed ({outcome.get('reason', '')}): {step['what']}"
        case _:
            return f"not done: {step['what']}"


def repaired(
    proposed: Sequence[Mapping[str, Any]],
    catalogue: Catalogue,
    *,
    revision: int,
    most: int,
    earlier: Sequence[StepData] = (),
) -> list[StepData]:
    """Steps with ids and sound needs, in an order that can be carried out.

    In a proposal, steps are referred to by number: the earlier ones first, then its own.
    """
    prefix = "s" if revision == 1 else f"r{revision}s"
    ids: dict[int, str] = {number: step["id"] for number, step in enumerate(earlier, start=1)}
    seen = {_key(step["skill"], step["what"]): step["id"] for step in earlier}
    kept: list[tuple[StepData, Sequence[int]]] = []
    for number, step in enumerate(proposed, start=len(earlier) + 1):
        skill = catalogue.find(str(step["skill"]))
        what = " ".join(str(step["what"]).split())
        if skill is None or not what:
            continue
        key = _key(skill.name, what)
        if key in seen:
            ids[number] = seen[key]
            continue
        if len(kept) == most:
            break
        ids[number] = seen[key] = f"{prefix}{len(kept) + 1}"
        data = StepData(id=ids[number], skill=skill.name, what=what, needs=[], revision=revision)
        if step.get("strategy") in skill.strategies:
            data["strategy"] = step["strategy"]
        needs: list[int] = list(step.get("needs", ()))
        # A step that needs itself was counted from 2.
        kept.append((data, [need - (number in needs) for need in needs]))
    for data, wanted_numbers in kept:
        wanted = (ids[each] for each in wanted_numbers if each in ids)
        data["needs"] = [each for each in dict.fromkeys(wanted) if each != data["id"]]
    steps = [data for data, _ in kept]
    _attach_loose(steps, catalogue)
    return without_needless(_in_order(steps), catalogue)


def _key(skill: str, what: str) -> tuple[str, str]:
    return skill, " ".join(sorted(terms(what))) or what.casefold()


def _attach_loose(steps: Sequence[StepData], catalogue: Catalogue) -> None:
    """Gives a computing step that forgot its needs the searches before it that nobody needs."""
    needed = {each for step in steps for each in step["needs"]}
    for place, step in enumerate(steps):
        if step["needs"] or not catalogue[step["skill"]].computes:
            continue
        loose = [
            before["id"]
            for before in steps[:place]
            if catalogue[before["skill"]].gives_passages and before["id"] not in needed
        ]
        step["needs"] = loose


def _in_order(steps: Sequence[StepData]) -> list[StepData]:
    """Each step after those it needs; a need that would close a cycle is dropped."""
    waiting = {step["id"]: step for step in steps}
    ordered: list[StepData] = []
    while waiting:
        ready = [
            step for step in waiting.values() if not any(need in waiting for need in step["needs"])
        ]
        if not ready:
            first = next(iter(waiting.values()))
            first["needs"] = [need for need in first["needs"] if need not in waiting]
            ready = [first]
        ordered.extend(waiting.pop(step["id"]) for step in ready)
    return ordered


def _asks_for_facts(goal: str) -> bool:
    """Whether a goal that a model took for small talk seems to want something looked up."""
    return bool(names(goal) or numbers(goal) or ("?" in goal and len(terms(goal)) >= 3))
