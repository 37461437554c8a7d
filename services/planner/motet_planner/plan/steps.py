"""Steps: the form of a plan, and a model's proposal made into steps that can be carried out.

What always holds of a plan: each step has a skill that lives, its needs are steps of this or an
earlier plan, and there is no cycle. Steps that differ in a word are different steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from motet.errors import FaultError
from motet.messages import FaultType
from motet_planner.catalogue import Catalogue
from motet_planner.retrieval import UNDECIDED
from motet_planner.state import StepData

__all__ = ["as_steps", "plan_schema", "step_id"]


def plan_schema(
    catalogue: Catalogue, most: int, known: int = 0, strategies: Sequence[str] = ()
) -> dict[str, Any]:
    """The form of a plan: steps that name living skills and earlier steps.

    Args:
        catalogue: The skills.
        most: Steps at most.
        known: How many steps earlier plans have, which may be needed too.
        strategies: What a step may say of how it searches.
    """
    step: dict[str, Any] = {
        "type": "object",
        "properties": {
            "skill": {"type": "string", "enum": list(catalogue)},
            "what": {"type": "string", "minLength": 1, "maxLength": 1000},
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


def step_id(revision: int, number: int) -> str:
    """The id of a step by its place in its plan, both from 1."""
    return f"s{number}" if revision == 1 else f"r{revision}s{number}"


def as_steps(
    proposed: Sequence[Mapping[str, Any]],
    catalogue: Catalogue,
    *,
    revision: int,
    earlier: Sequence[StepData] = (),
) -> list[StepData]:
    """Steps with ids and sound needs, in an order that can be carried out.

    In a proposal, steps are referred to by number: the earlier ones first, then its own. A step
    that repeats another to the letter is that step.

    Raises:
        FaultError: `unknown_skill` when no step names a living skill although some are proposed.
    """
    ids: dict[int, str] = {number: step["id"] for number, step in enumerate(earlier, start=1)}
    seen = {(step["skill"], step["what"].casefold()): step["id"] for step in earlier}
    kept: list[tuple[StepData, Sequence[int]]] = []
    unknown: list[str] = []
    for number, step in enumerate(proposed, start=len(earlier) + 1):
        skill = catalogue.find(str(step["skill"]))
        what = " ".join(str(step["what"]).split())
        if skill is None or not what:
            unknown.append(str(step["skill"]))
            continue
        key = (skill.name, what.casefold())
        if key in seen:
            ids[number] = seen[key]
            continue
        ids[number] = seen[key] = step_id(revision, len(kept) + 1)
        data = StepData(id=ids[number], skill=skill.name, what=what, needs=[], revision=revision)
        if step.get("strategy") in skill.strategies:
            data["strategy"] = step["strategy"]
        kept.append((data, step.get("needs", ())))
    if unknown and not kept:
        raise FaultError.of(
            FaultType.UNKNOWN_SKILL,
            f"The plan names no skill that a living agent has: {', '.join(unknown)}.",
            retryable=True,
            skills=list(catalogue),
        )
    for data, numbers in kept:
        wanted = (ids[each] for each in numbers if each in ids)
        data["needs"] = [each for each in dict.fromkeys(wanted) if each != data["id"]]
    return _in_order([data for data, _ in kept])


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
