"""Chat: a model that answers in text or in a given form.

Invariants:

- An answer in a form fits it, or there is a fault: after the first answer the model is told what
  was wrong and tries again, at most `REPAIRS` times.
- Only answers that were accepted are kept in the response cache; what it gives is checked anew.
- A fallback is asked when the model before it failed or gave nothing that fits, never when a
  budget is used up or the task is cancelled.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, overload

from motet.errors import SetupError
from motet.messages import Fault, FaultType
from motet.models.cache import ResponseCache, request_key
from motet.models.capability import Capability, capability_of
from motet.models.choice import LOCAL, NO_MODEL, choices
from motet.models.endpoint import Endpoint, Heard, Reply, Request
from motet.models.faults import ModelFaultError
from motet.models.structured import InvalidOutputError, OutputForm
from motet.settings import Settings, load_settings

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage, BaseMessage

__all__ = ["REPAIRS", "ChatModel", "Messages", "cannot_act", "chat_model", "optional_chat_model"]

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

Messages = Sequence["tuple[str, str] | BaseMessage"]
"""A conversation: LangChain's messages, or pairs of a role (`system`, `user`, `assistant`) and a
text."""

REPAIRS = 2
"""Further tries at an answer that does not fit."""
_CACHE_FORMAT = 1


def chat_model(settings: Settings) -> ChatModel:
    """The chat model that the settings mean, with its fallbacks.

    Raises:
        SetupError: A provider does not exist, its key is missing, or its package.
    """
    if settings.model == NO_MODEL:
        return _NoModel()
    from motet.models.providers import endpoint_of

    endpoints = [endpoint_of(choice, settings) for choice in choices(settings)]
    cache = ResponseCache(settings.cache_dir / "answers") if settings.model_cache else None
    return ChatModel(endpoints, cache, settings)


def optional_chat_model(settings: Settings, *, needed: bool, without: str) -> ChatModel | None:
    """The same for who can do without: None where it cannot be had and is not `needed`.

    `without` is what the log says is so then.

    Raises:
        SetupError: It is needed, and cannot be had.
    """
    try:
        return chat_model(settings)
    except SetupError as error:
        if needed:
            raise
        log.warning("%s: %s", without, error)
        return None


class ChatModel:
    """A model to talk to; safe for many calls at once."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        cache: ResponseCache | None = None,
        settings: Settings | None = None,
    ) -> None:
        """Joins models.

        Args:
            endpoints: In the order in which they are asked.
            cache: Of answers.
            settings: How the models are to be used; None reads the environment.
        """
        self._endpoints = endpoints
        self._cache = cache
        self._settings = settings
        self._capabilities: Sequence[Capability] | None = None
        self._asking = asyncio.Lock()
        self.provider = endpoints[0].choice.provider if endpoints else NO_MODEL
        """Of the model that is asked first."""
        self.name = endpoints[0].choice.name if endpoints else ""

    async def capability(self) -> Capability:
        """How the model that is asked first is to be used; one without a card is probed once."""
        return (await self._known_capabilities())[0]

    @property
    def window(self) -> int | None:
        """Tokens that the models read at most; None where that is not known."""
        known = [each.window for each in self._endpoints]
        return min((each for each in known if each is not None), default=None)

    @property
    def sees(self) -> bool:
        """Whether messages may have pictures, as LangChain's content blocks."""
        settings = self._settings or load_settings()
        if settings.model_sees is not None:
            return settings.model_sees
        known = [each.sees and each.choice.provider != LOCAL for each in self._endpoints]
        return bool(known) and all(known)

    @property
    def priced(self) -> bool:
        """Whether the price of every model is known; one that is not counts as costing nothing."""
        return all(endpoint.priced for endpoint in self._endpoints)

    async def text(
        self,
        messages: Messages,
        *,
        max_tokens: int,
        stop: Sequence[str] | None = None,
        heard: Heard | None = None,
    ) -> str:
        """An answer in text; one that reaches `max_tokens` ends there.

        Args:
            messages: The conversation.
            max_tokens: Limit on the answer.
            stop: Texts before which it ends.
            heard: Is given the answer piece by piece while it is written, such as `call.stream`.
                What a fallback answers after a model broke off is returned only.

        Raises:
            FaultError: `model_failed`, what the meter raises, or what `heard` does.
        """
        request = Request(_converted(messages), max_tokens, tuple(stop or ()))
        once = None if heard is None else _Once(heard)

        async def ask(endpoint: Endpoint) -> str:
            key = _key(endpoint, request)
            if (known := await self._known(key)) is not None:
                endpoint.recall(request)
                if once is not None and not once.begun:
                    await once(known)
                return known
            told = None if once is None or once.begun else once
            reply = await endpoint.ask(replace(request, heard=told))
            await self._keep(key, reply.text)
            return reply.text

        return await self._first(ask)

    @overload
    async def structured(
        self,
        messages: Messages,
        schema: type[T],
        *,
        name: str,
        max_tokens: int,
        heard: Heard | None = None,
    ) -> T: ...

    @overload
    async def structured(
        self,
        messages: Messages,
        schema: dict[str, Any],
        *,
        name: str,
        max_tokens: int,
        heard: Heard | None = None,
    ) -> dict[str, Any]: ...

    async def structured(
        self,
        messages: Messages,
        schema: type[Any] | dict[str, Any],
        *,
        name: str,
        max_tokens: int,
        heard: Heard | None = None,
    ) -> Any:
        """An answer in a form.

        Args:
            messages: The conversation.
            schema: A Pydantic model, or an object's JSON Schema.
            name: What the form is called, of letters, digits, `_` and `-`; models see it.
            max_tokens: Limit on each try.
            heard: Is given the JSON of the first try while it is written.

        Raises:
            FaultError: `model_output_invalid` when no try fits, `model_failed`, or what the meter
                raises.
        """
        form: OutputForm[Any] = OutputForm(schema, name)
        request = Request(_converted(messages), max_tokens, form=form)
        once = None if heard is None else _Once(heard)

        async def ask(endpoint: Endpoint) -> Any:
            key = _key(endpoint, request)
            if (known := await self._known(key)) is not None:
                endpoint.recall(request)
                return form.parse(known)
            told = None if once is None or once.begun else once
            value, text = await _repaired(endpoint, replace(request, heard=told), form)
            await self._keep(key, text)
            return value

        return await self._first(ask)

    async def act(
        self,
        messages: Messages,
        tools: Sequence[dict[str, Any]],
        *,
        max_tokens: int,
        heard: Heard | None = None,
    ) -> AIMessage:
        """The next message of a model that may call tools; what it calls is in `tool_calls`.

        It is never answered from the response cache: a conversation may go on in other ways.

        Args:
            messages: The conversation, LangChain's messages with what tools gave.
            tools: What it may call, each as OpenAI describes a function; none has it answer.
            max_tokens: Limit on the message.
            heard: Is given the message's text while it is written, as in `text`.

        Raises:
            FaultError: `model_failed`, also where none can call tools, or what the meter raises.
        """
        capabilities = await self._known_capabilities()
        acting = [
            endpoint
            for endpoint, capability in zip(self._endpoints, capabilities, strict=True)
            if capability.calls_tools
        ]
        if not acting:
            raise ModelFaultError(cannot_act(self.name or self.provider))
        request = Request(_converted(messages), max_tokens, tools=tuple(tools))
        once = None if heard is None else _Once(heard)

        async def ask(endpoint: Endpoint) -> AIMessage:
            told = None if once is None or once.begun else once
            return (await endpoint.ask(replace(request, heard=told))).message

        return await self._first(ask, acting)

    async def prepare(self, messages: Messages) -> None:
        """Has a local model read all but the last message, which later requests then spare it.

        Other models have nothing to prepare. What goes wrong is left for the request to find.
        """
        request = Request(_converted(messages), 1)
        for endpoint in self._endpoints:
            await endpoint.prepare(request)

    async def close(self) -> None:
        """Ends the connections that it keeps; nothing may be asked of it after."""
        for endpoint in self._endpoints:
            await endpoint.close()
        if self._cache is not None:
            self._cache.close()

    async def _known_capabilities(self) -> Sequence[Capability]:
        async with self._asking:
            if self._capabilities is None:
                settings = self._settings or load_settings()
                self._capabilities = [
                    await capability_of(endpoint, settings) for endpoint in self._endpoints
                ]
            return self._capabilities

    async def _known(self, key: str) -> str | None:
        return None if self._cache is None else await self._cache.get(key)

    async def _keep(self, key: str, answer: str) -> None:
        if self._cache is not None:
            await self._cache.put(key, answer)

    async def _first(
        self,
        ask: Callable[[Endpoint], Awaitable[R]],
        endpoints: Sequence[Endpoint] | None = None,
    ) -> R:
        """What the first model gives that does not fail."""
        endpoints = self._endpoints if endpoints is None else endpoints
        if len(endpoints) == 1:
            return await ask(endpoints[0])
        from langchain_core.runnables import RunnableLambda

        def asking(endpoint: Endpoint) -> RunnableLambda[None, R]:
            async def asked(_: None) -> R:
                return await ask(endpoint)

            return RunnableLambda(asked)

        first, *rest = [asking(endpoint) for endpoint in endpoints]
        asked = first.with_fallbacks(rest, exceptions_to_handle=(ModelFaultError,))
        return await asked.ainvoke(None)


class _NoModel(ChatModel):
    """Stands where there is no model: what asks it is told so."""

    def __init__(self) -> None:
        super().__init__(())

    async def capability(self) -> Capability:
        """No model can be used for anything."""
        return Capability(profile="small", calls_tools=False, why="there is no model")

    async def _first(
        self,
        ask: Callable[[Endpoint], Awaitable[R]],  # noqa: ARG002
        endpoints: Sequence[Endpoint] | None = None,  # noqa: ARG002
    ) -> R:
        raise ModelFaultError(
            Fault(
                type=FaultType.MODEL_FAILED,
                message="This needs a language model, and MOTET_MODEL is `none`: name a model, "
                "and give its key or its address.",
            )
        )


def cannot_act(model: str) -> Fault:
    """The fault of asking a model to act that cannot call tools."""
    return Fault(
        type=FaultType.MODEL_FAILED,
        message=f"This needs a language model that calls tools, and {model} is not taken for one: "
        "set MOTET_MODEL to a provider's model and give its key; or, for a server of your own "
        "whose model does call tools, set MOTET_MODEL_TOOLS=true.",
        detail={"model": model},
    )


class _Once:
    """Passes on what the first model says that says anything."""

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self.begun = False

    async def __call__(self, text: str) -> None:
        self.begun = True
        await self._heard(text)


async def _repaired(endpoint: Endpoint, request: Request, form: OutputForm[T]) -> tuple[T, str]:
    """The first answer that fits, and its text."""
    from langchain_core.messages import AIMessage, HumanMessage

    messages = list(request.messages)
    problem = ""
    heard = request.heard
    for _ in range(1 + REPAIRS):
        reply = await endpoint.ask(replace(request, messages=messages, heard=heard))
        heard = None
        try:
            return _accepted(reply, form), reply.text
        except InvalidOutputError as error:
            problem = str(error)
        answer = [AIMessage(reply.text)] if reply.text else []
        correction = HumanMessage(f"That does not fit: {problem}. Answer again, in full.")
        messages = [*messages, *answer, correction]
    raise ModelFaultError(
        Fault(
            type=FaultType.MODEL_OUTPUT_INVALID,
            message=f"The model {endpoint.choice.where} gave no {form.name!r} that fits, "
            f"in {1 + REPAIRS} tries: {problem}.",
            detail={"model": endpoint.choice.id, "tries": 1 + REPAIRS, "problem": problem},
        )
    )


def _accepted(reply: Reply, form: OutputForm[T]) -> T:
    try:
        return form.parse(reply.text)
    except InvalidOutputError:
        if reply.cut_off:
            limit = f"after {reply.counts.output} tokens"
            raise InvalidOutputError(f"it was cut off {limit}, so make it shorter") from None
        raise


def _converted(messages: Messages) -> list[BaseMessage]:
    from langchain_core.messages import convert_to_messages

    given: Any = messages  # LangChain's type of pairs has no content blocks, which they may have
    return convert_to_messages(given)


def _key(endpoint: Endpoint, request: Request) -> str:
    from langchain_core.messages import messages_to_dict

    return request_key(
        format=_CACHE_FORMAT,
        model=endpoint.choice.identity,
        messages=messages_to_dict(request.messages),
        max_tokens=request.max_tokens,
        stop=request.stop,
        schema=None if request.form is None else request.form.json_schema,
        name=None if request.form is None else request.form.name,
    )
