"""Skills as tools: what every framework's tools have in common.

Invariants:

- Within a call a tool delegates, so that it is durable, paid and traced; without one it calls
  through the client.
- Its step is made from the skill, the arguments, and how many times the call has asked for these:
  an attempt that runs the foreign agent anew has the outcomes that stand, whatever ids a model
  gives its tool calls. One tool call that a framework runs again is one step.
- Arguments that do not fit the skill's schema are told to the model, and nothing is delegated.
- A fault of a skill is told to the model; a fault of the call itself ends the run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn
from weakref import WeakKeyDictionary

from motet.adapters.run import current_run
from motet.call import Call
from motet.client import Motet
from motet.errors import FaultError, MotetError, Suspended
from motet.json_schema import problems
from motet.messages import AgentCard, FaultType, SkillCard

__all__ = ["SkillTool", "Told", "skill_tools"]

NAME_LENGTH = 64
"""Characters of a tool's name that every provider takes."""
_ENDING = {FaultType.BUDGET_EXCEEDED, FaultType.CANCELLED, FaultType.DEADLINE_EXCEEDED}


class Told(NamedTuple):
    """What a model is told."""

    text: str
    output: Any
    """The skill's output; None of a fault."""
    failed: bool


@dataclass(frozen=True, slots=True)
class SkillTool:
    """A skill as a tool."""

    name: str
    """At most 64 letters, digits and underscores."""
    skill: str
    """`agent.skill`."""
    description: str
    schema: dict[str, Any]
    """JSON Schema of the arguments."""
    mesh: Call | Motet
    timeout_s: float | None

    async def __call__(self, arguments: Mapping[str, Any], call_id: str | None = None) -> Told:
        """Has the skill do its work.

        Args:
            arguments: The skill's input.
            call_id: The framework's id of the tool call.

        Raises:
            FaultError: The call that the foreign agent works for must end.
            Suspended: It waits for a person.
        """
        wrong = "; ".join(
            f"{'.'.join(map(str, each.place)) or 'the arguments'}: {each.message}"
            for each in problems(self.schema, dict(arguments))
        )
        if wrong:
            return _failed(FaultType.INVALID_INPUT, f"{wrong}.")
        try:
            output = await self._output(arguments, call_id)
        except FaultError as error:
            if isinstance(self.mesh, Call):
                _end_if_over(self.mesh, error)
            return _failed(error.fault.type, error.fault.message)
        text = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
        return Told(text, output, failed=False)

    async def _output(self, arguments: Mapping[str, Any], call_id: str | None) -> Any:
        mesh, run = self.mesh, current_run.get()
        if not isinstance(mesh, Call):
            return await mesh.call(self.skill, arguments, timeout_s=self.timeout_s)
        if call_id is None and run is not None:
            call_id = run.tools.call_id
        step = _step(mesh, self.skill, arguments, call_id)
        with nullcontext() if run is None else run.tools.below(call_id):
            try:
                return await mesh.delegate(
                    self.skill, arguments, step=step, timeout_s=self.timeout_s
                )
            except Suspended as suspended:
                if run is not None:
                    run.stop(suspended)
                raise


async def skill_tools(
    mesh: Call | Motet, skills: Collection[str] | None, timeout_s: float | None
) -> list[SkillTool]:
    """The skills of the agents that live now, by name.

    Args:
        mesh: The call that is worked on, or a client.
        skills: Those wanted, as `agent.skill`; None takes what planners may use. A call's own skill
            is left out, as it would be called below itself.
        timeout_s: Seconds that each may take; None leaves it to the call's deadline.

    Raises:
        MotetError: No living agent has one of `skills`.
    """
    cards = mesh.cards() if isinstance(mesh, Call) else await mesh.agents()
    own = f"{mesh.agent}.{mesh.skill}" if isinstance(mesh, Call) else None
    there = {f"{card.name}.{skill.name}": skill for card, skill in _skills(cards)}
    missing = sorted(set(skills or ()) - there.keys())
    if missing:
        raise MotetError(f"No living agent has {', '.join(missing)}; there are {sorted(there)}.")
    wanted = {
        name: card
        for name, card in sorted(there.items())
        if (card.plannable and name != own if skills is None else name in skills)
    }
    plain = [_plain(name) for name in wanted]
    return [
        SkillTool(
            name=_plain(name) if plain.count(_plain(name)) == 1 else _shortened(name),
            skill=name,
            description=card.description,
            schema=_arguments(card.input_schema),
            mesh=mesh,
            timeout_s=timeout_s,
        )
        for name, card in wanted.items()
    ]


def _skills(cards: Iterable[AgentCard]) -> Iterable[tuple[AgentCard, SkillCard]]:
    return ((card, skill) for card in cards for skill in card.skills)


def _plain(skill: str) -> str:
    name = skill.replace(".", "__")
    return name if len(name) <= NAME_LENGTH else _shortened(skill)


def _shortened(skill: str) -> str:
    """A name that no other skill has, where the plain one is too long or taken."""
    digest = hashlib.sha256(skill.encode()).hexdigest()[:8]
    return f"{skill.replace('.', '__')[: NAME_LENGTH - 9]}_{digest}"


def _arguments(schema: dict[str, Any]) -> dict[str, Any]:
    """A skill's input without the version of its schema, of which a model need not know."""
    properties = {
        name: value for name, value in schema.get("properties", {}).items() if name != "v"
    }
    return {"type": "object", **schema, "properties": properties}


def _failed(kind: str, message: str) -> Told:
    return Told(f"Failed: {kind}: {message}", None, failed=True)


def _end_if_over(call: Call, error: FaultError) -> None:
    """Ends the run on a fault of the call's own; one of the skill is for the model to read."""
    try:
        call.check()
        # A fault that names its agent is an outcome of the skill: a share of its own was used up.
        if error.fault.type in _ENDING and error.fault.agent is None:
            raise error
    except FaultError as over:
        _stop(over)


def _stop(over: FaultError) -> NoReturn:
    run = current_run.get()
    if run is not None:
        run.stop(over)
    raise over


class _Steps:
    """The steps that one attempt at a call has asked for."""

    def __init__(self) -> None:
        self._times: dict[str, int] = {}
        self._by_id: dict[tuple[str, str], str] = {}

    def step(self, asked: str, call_id: str | None) -> str:
        known = self._by_id.get((asked, call_id)) if call_id else None
        if known is not None:
            return known
        number = self._times[asked] = self._times.get(asked, 0) + 1
        step = asked if number == 1 else f"{asked}-{number}"
        if call_id:
            self._by_id[asked, call_id] = step
        return step


_steps: WeakKeyDictionary[Call, _Steps] = WeakKeyDictionary()


def _step(call: Call, skill: str, arguments: Mapping[str, Any], call_id: str | None) -> str:
    """The name of a tool call among the steps of a call."""
    written = json.dumps(arguments, sort_keys=True, ensure_ascii=False, default=str)
    digest = hashlib.sha256(written.encode()).hexdigest()[:16]
    return _steps.setdefault(call, _Steps()).step(f"{skill}-{digest}", call_id)
