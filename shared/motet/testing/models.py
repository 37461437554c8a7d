"""A chat model that answers by script, in the place of a `motet.models.ChatModel`.

    model = ScriptedModel({"plan": {"steps": []}, "text": lambda asked: asked.last.upper()})
    await mesh.join(agent, context={"model": model})

Invariants:

- It meets the rules of a real one: the budget is asked before an answer and pays for it, an answer
  in a form is checked against the form, and each request is a span `chat scripted`.
- What the script does not foresee is the fault `unscripted`, which is not tried again and says
  what was asked.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast, overload

from pydantic_core import to_json

from motet.errors import FaultError
from motet.messages import FaultType, Usage
from motet.models.capability import Capability, Profile
from motet.models.choice import ModelChoice
from motet.models.endpoint import Heard
from motet.models.metering import paid
from motet.models.observation import Observation, observed
from motet.models.structured import InvalidOutputError, OutputForm
from motet.telemetry import names

__all__ = ["ACT", "TEXT", "Asked", "ScriptedModel"]

T = TypeVar("T")

ACT = "act"
"""The name in a script under which `ScriptedModel.act` finds its answers: a text, or what it calls,
as a list of `{"name": ..., "args": {...}}`."""
TEXT = "text"
"""The name in a script under which `ScriptedModel.text` finds its answers."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    name: str
    """The form's name; `text` for an answer in text."""
    messages: tuple[tuple[str, str], ...]
    """Pairs of a role and a text."""
    max_tokens: int
    schema: type[Any] | dict[str, Any] | None = None
    """The form; None for text."""

    @property
    def last(self) -> str:
        """The last message's text."""
        return self.messages[-1][1] if self.messages else ""


Scripted = Any | Callable[[Asked], Any]
"""What is answered: a value, an exception to raise, a function (also an async one) of what was
asked that gives either, or a list of these, one a request."""


class ScriptedModel:
    """Stands in for a `ChatModel`."""

    provider = "scripted"
    name = "scripted"
    priced = True
    window: int | None = None
    sees = True

    def __init__(
        self,
        answers: Mapping[str, Scripted],
        *,
        usage: Usage | None = None,
        profile: Profile = "capable",
        calls_tools: bool = True,
    ) -> None:
        """Scripts a model.

        Args:
            answers: By the name of the form, or `text`. See `Scripted`.
            usage: What each request spends; None counts a token for every four characters.
            profile: How it is to be used.
            calls_tools: Whether it calls tools in a form of its own; else it is asked for JSON of
                the name `next`.
        """
        self._capability = Capability(
            profile=profile, calls_tools=calls_tools, why="the script says so"
        )
        self._answers = {
            name: list(answer) if isinstance(answer, list) else answer
            for name, answer in answers.items()
        }
        self._usage = usage
        self.asked: list[Asked] = []
        """Every request, in order."""

    async def capability(self) -> Capability:
        """See `ChatModel.capability`."""
        return self._capability

    def script(self, name: str, answer: Scripted) -> None:
        """Has a form, or `text`, answered so from now on."""
        self._answers[name] = list(answer) if isinstance(answer, list) else answer

    def count(self, name: str) -> int:
        """How many requests there were for a form, or for `text`."""
        return sum(asked.name == name for asked in self.asked)

    async def text(
        self,
        messages: Sequence[Any],
        *,
        max_tokens: int,
        stop: Sequence[str] | None = None,
        heard: Callable[[str], Awaitable[None]] | None = None,
    ) -> str:
        """See `ChatModel.text`; the answer ends before the first of `stop`, and comes by words."""
        asked = Asked(TEXT, _pairs(messages), max_tokens)
        with observed(names.OPERATION_CHAT, _CHOICE, {}) as observation:
            async with paid(self._estimate(asked, 1), self._estimate(asked, max_tokens)) as room:
                answer = await self._answer(asked)
                text = answer if isinstance(answer, str) else to_json(answer).decode()
                for end in stop or ():
                    text = text.partition(end)[0]
                await _tell(text, heard)
                observation.usage = room.spent = self._spent(asked, text)
                _note(observation)
        return text

    @overload
    async def structured(
        self,
        messages: Sequence[Any],
        schema: type[T],
        *,
        name: str,
        max_tokens: int,
        heard: Heard | None = None,
    ) -> T: ...

    @overload
    async def structured(
        self,
        messages: Sequence[Any],
        schema: dict[str, Any],
        *,
        name: str,
        max_tokens: int,
        heard: Heard | None = None,
    ) -> dict[str, Any]: ...

    async def structured(
        self,
        messages: Sequence[Any],
        schema: type[Any] | dict[str, Any],
        *,
        name: str,
        max_tokens: int,
        heard: Heard | None = None,
    ) -> Any:
        """See `ChatModel.structured`; an answer that does not fit is not repaired."""
        asked = Asked(name, _pairs(messages), max_tokens, schema)
        form: OutputForm[Any] = OutputForm(schema, name)
        with observed(names.OPERATION_CHAT, _CHOICE, {}) as observation:
            async with paid(self._estimate(asked, 1), self._estimate(asked, max_tokens)) as room:
                answer = await self._answer(asked)
                text = answer if isinstance(answer, str) else to_json(answer).decode()
                await _tell(text, heard)
                observation.usage = room.spent = self._spent(asked, text)
                _note(observation)
            try:
                return form.parse(text)
            except InvalidOutputError as error:
                raise FaultError.of(
                    FaultType.MODEL_OUTPUT_INVALID,
                    f"The scripted answer to {name!r} does not fit its form: {error}.",
                ) from None

    async def act(
        self,
        messages: Sequence[Any],
        tools: Sequence[dict[str, Any]],
        *,
        max_tokens: int,
        heard: Heard | None = None,
    ) -> Any:
        """See `ChatModel.act`; `schema` of what was asked has the tools."""
        from motet.models.turns import turn

        asked = Asked(ACT, _pairs(messages), max_tokens, {"tools": list(tools)})
        with observed(names.OPERATION_CHAT, _CHOICE, {}) as observation:
            async with paid(self._estimate(asked, 1), self._estimate(asked, max_tokens)) as room:
                answer = await self._answer(asked)
                await _tell(answer if isinstance(answer, str) else "", heard)
                observation.usage = room.spent = self._spent(asked, str(answer))
                _note(observation)
        return turn(answer) if isinstance(answer, str) else turn("", cast("list[Any]", answer))

    async def close(self) -> None:
        """Nothing is open."""

    async def _answer(self, asked: Asked) -> Any:
        self.asked.append(asked)
        answer = self._answers.get(asked.name, _UNSCRIPTED)
        if isinstance(answer, list):
            queue = cast("list[Any]", answer)
            answer = queue.pop(0) if queue else _UNSCRIPTED
        if answer is _UNSCRIPTED:
            raise _unscripted(asked, self._answers)
        if callable(answer) and not isinstance(answer, type):
            answer = answer(asked)
        if inspect.isawaitable(answer):
            answer = await answer
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _estimate(self, asked: Asked, output_tokens: int) -> Usage:
        spent = self._spent(asked, "")
        if self._usage is not None:
            return spent
        return spent.model_copy(update={"output_tokens": output_tokens})

    def _spent(self, asked: Asked, text: str) -> Usage:
        if self._usage is not None:
            return self._usage
        return Usage(
            input_tokens=sum(len(said) for _, said in asked.messages) // 4,
            output_tokens=len(text) // 4,
            model_calls=1,
        )


_CHOICE = ModelChoice(provider=ScriptedModel.provider, name=ScriptedModel.name)
_UNSCRIPTED = object()


async def _tell(text: str, heard: Heard | None) -> None:
    """Gives a text away word by word."""
    if heard is not None:
        for word in re.findall(r"\s*\S+|\s+", text):
            await heard(word)


def _note(observation: Observation) -> None:
    """Notes on the span what a request has cost."""
    usage = observation.usage
    observation.span.set_attributes(
        {
            names.GEN_AI_INPUT_TOKENS: usage.input_tokens,
            names.GEN_AI_OUTPUT_TOKENS: usage.output_tokens,
            names.COST_USD: usage.cost_usd,
        }
    )


def _pairs(messages: Sequence[Any]) -> tuple[tuple[str, str], ...]:
    """Messages as pairs, also where they are LangChain's; a picture counts as `[image]`."""
    return tuple(
        (message[0], _said(message[1]))
        if isinstance(message, tuple)
        else (str(message.type), str(message.text))
        for message in messages
    )


def _said(content: str | list[dict[str, Any]]) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(str(block.get("text", f"[{block.get('type')}]")) for block in content)


def _unscripted(asked: Asked, answers: Mapping[str, Scripted]) -> FaultError:
    there = ", ".join(repr(name) for name in answers) or "nothing"
    used_up = asked.name in answers
    return FaultError.of(
        "unscripted",
        (
            f"The script has no further answer for {asked.name!r}"
            if used_up
            else f"The script has no answer for {asked.name!r}; it has {there}"
        )
        + f". The last message was: {asked.last[:500]}",
    )
