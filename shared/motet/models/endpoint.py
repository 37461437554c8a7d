"""One request to one chat model: sent, timed, metered, traced, and its failure made a fault.

Invariants:

- The meter is asked before anything is sent, and told what was spent as soon as that is known.
- Every request is one span `chat {model}`, also one that the response cache answers.
- A request ends within its time limit, the provider's own retries included.
"""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from motet.errors import FaultError
from motet.messages import FaultType, Usage
from motet.models.beginnings import Beginnings
from motet.models.choice import ModelChoice
from motet.models.faults import model_failed
from motet.models.metering import paid
from motet.models.observation import Observation, content_of, observed, recalled
from motet.models.pricing import TokenCounts, cost_usd, warn_unpriced
from motet.models.structured import OutputForm, openai_strict
from motet.telemetry import names

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage

__all__ = [
    "Endpoint",
    "Heard",
    "LocalEndpoint",
    "OpenAIEndpoint",
    "OtherEndpoint",
    "Reply",
    "Request",
]

SEED = 7
"""Where a provider takes a seed, so that an equal request has an equal answer."""
_REASONING_TOKENS = 4096
"""What a model that thinks before it answers may write beside the answer."""
_PICTURE_TOKENS = 1_600
"""About what a picture counts for: Anthropic scales it to at most 1.15 megapixels, and says that a
token is 750 pixels (https://platform.claude.com/docs/en/build-with-claude/vision)."""
_CUT_OFF = {"length", "max_tokens", "model_context_window_exceeded"}


Heard = Callable[[str], Awaitable[None]]
"""Takes the next piece of an answer, as small as a token."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked."""

    messages: list[BaseMessage]
    max_tokens: int
    """Of the answer."""
    stop: tuple[str, ...] = ()
    form: OutputForm[Any] | None = None
    """The form of the answer; None is text."""
    heard: Heard | None = None
    """Is given an answer while it is written, where the provider can do that."""
    tools: tuple[dict[str, Any], ...] = ()
    """What the model may call, each as OpenAI describes a function."""

    @property
    def estimated_tokens(self) -> int:
        """About what the model reads: a token has some four characters of English."""
        said = sum(len(message.text) for message in self.messages)
        called = sum(len(str(getattr(each, "tool_calls", ""))) for each in self.messages)
        pictures = sum(map(_pictures, self.messages))
        read = said + called + (len(json.dumps(self.tools)) if self.tools else 0)
        return read // 4 + pictures * _PICTURE_TOKENS


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    text: str
    finish: str
    counts: TokenCounts
    model: str
    """The model that answered, in the provider's words."""
    id: str
    message: AIMessage
    """All of it, with the tools that it calls."""

    @property
    def cut_off(self) -> bool:
        """Whether the answer reached the limit on its tokens before its end."""
        return self.finish.lower() in _CUT_OFF


class Endpoint(ABC):
    """A chat model of LangChain's as one thing to ask."""

    def __init__(
        self,
        choice: ModelChoice,
        model: BaseChatModel,
        *,
        timeout_s: float,
        record_content: bool = False,
    ) -> None:
        profile: Mapping[str, Any] = model.profile or {}
        fixed = {"temperature": 0.0, "seed": SEED} if profile.get("temperature", True) else {}
        known = type(model).model_fields
        self._model = model.model_copy(
            update={name: value for name, value in fixed.items() if name in known}
        )
        self._reasoning = _REASONING_TOKENS if profile.get("reasoning_output") else 0
        self.choice = choice
        self._timeout_s = timeout_s
        self._record_content = record_content

    @property
    def window(self) -> int | None:
        """Tokens that it reads at most, where LangChain knows."""
        most = (self._model.profile or {}).get("max_input_tokens")
        return most if isinstance(most, int) else None

    @property
    def card(self) -> Mapping[str, Any]:
        """LangChain's card of the model; empty where it has none."""
        return self._model.profile or {}

    @property
    def sees(self) -> bool:
        """Whether it takes pictures, as far as LangChain knows."""
        return bool((self._model.profile or {}).get("image_inputs"))

    @property
    def priced(self) -> bool:
        """Whether its price is known."""
        return cost_usd(self.choice, TokenCounts(), [self.choice.name]) is not None

    async def ask(self, request: Request) -> Reply:
        """Sends a request.

        Raises:
            FaultError: `model_failed`, or what the meter raises.
        """
        wanted = request.max_tokens + self._reasoning
        attributes = self._attributes(request)
        async with paid(self._estimate(request, 1), self._estimate(request, wanted)) as room:
            with observed(names.OPERATION_CHAT, self.choice, attributes) as observation:
                reply = await self._answer(request, room.output_tokens)
                self._observe(observation, reply)
                room.spent = observation.usage
            if reply.cut_off and room.output_tokens < wanted:
                raise FaultError.of(
                    FaultType.BUDGET_EXCEEDED,
                    f"The budget left {self.choice.where} {room.output_tokens} tokens for its "
                    "answer, which has more.",
                    limit="tokens",
                    left=room.output_tokens,
                    wanted=wanted,
                )
        return reply

    def _estimate(self, request: Request, output_tokens: int) -> Usage:
        """What a request costs whose answer has so many tokens."""
        counts = TokenCounts(input=request.estimated_tokens, output=output_tokens)
        return Usage(
            input_tokens=counts.input,
            output_tokens=counts.output,
            cost_usd=cost_usd(self.choice, counts, [self.choice.name]) or 0.0,
        )

    async def prepare(self, request: Request) -> None:  # noqa: B027 - most have nothing to do
        """Reads a request's beginning beforehand, where that saves time later."""

    def recall(self, request: Request) -> None:
        """Leaves the span of a request that the response cache answered."""
        recalled(self.choice, self._attributes(request))

    @abstractmethod
    async def close(self) -> None:
        """Ends the connections that it keeps, where that can be done."""

    async def _answer(self, request: Request, max_tokens: int) -> Reply:
        try:
            async with asyncio.timeout(self._timeout_s):
                text, message = await self._send(request, max_tokens)
        except TimeoutError:
            late = TimeoutError(f"it did not answer within {self._timeout_s:g} s.")
            raise model_failed(late, self.choice.where) from None
        except FaultError:
            raise  # of who hears it
        except Exception as error:  # every provider raises exceptions of its own
            raise model_failed(error, self.choice.where) from error
        said = message.response_metadata
        return Reply(
            text=text,
            finish=str(said.get("finish_reason") or said.get("stop_reason") or ""),
            counts=_counts(request, message),
            model=str(said.get("model_name") or said.get("model") or self.choice.name),
            id=message.id or "",
            message=message,
        )

    @abstractmethod
    async def _send(self, request: Request, max_tokens: int) -> tuple[str, AIMessage]:
        """The answer's text, which is JSON where the request has a form, and the message."""

    def _attributes(self, request: Request) -> dict[str, Any]:
        attributes: dict[str, Any] = {
            names.GEN_AI_REQUEST_MAX_TOKENS: request.max_tokens,
            names.GEN_AI_OUTPUT_TYPE: "text" if request.form is None else "json",
        }
        if request.stop:
            attributes[names.GEN_AI_REQUEST_STOP] = request.stop
        if self._record_content:
            attributes[names.GEN_AI_INPUT_MESSAGES] = content_of(request.messages)
        return attributes

    def _observe(self, observation: Observation, reply: Reply) -> None:
        """Notes on the span what came back and what it cost."""
        cost = cost_usd(self.choice, reply.counts, [reply.model, self.choice.name])
        if cost is None:
            warn_unpriced(self.choice.id)
        observation.usage = Usage(
            input_tokens=reply.counts.input,
            output_tokens=reply.counts.output,
            cost_usd=cost or 0.0,
            model_calls=1,
        )
        observation.span.set_attributes(
            {
                names.GEN_AI_RESPONSE_MODEL: reply.model,
                names.GEN_AI_RESPONSE_ID: reply.id,
                names.GEN_AI_FINISH_REASONS: (reply.finish,),
                names.GEN_AI_INPUT_TOKENS: reply.counts.input,
                names.GEN_AI_OUTPUT_TOKENS: reply.counts.output,
                names.GEN_AI_CACHE_READ_TOKENS: reply.counts.cache_read,
                names.COST_USD: observation.usage.cost_usd,
                names.PRICED: cost is not None,
            }
        )
        if self._record_content:
            from langchain_core.messages import AIMessage

            content = content_of([AIMessage(reply.text)])
            observation.span.set_attribute(names.GEN_AI_OUTPUT_MESSAGES, content)


def _pictures(message: BaseMessage) -> int:
    """How many pictures a message has."""
    if isinstance(message.content, str):
        return 0
    return sum(
        isinstance(block, dict) and block.get("type") in ("image", "image_url")
        for block in message.content
    )


class OpenAIEndpoint(Endpoint):
    """A server that speaks OpenAI's chat completions: the form rides in `response_format`.

    It goes past LangChain's own handling of that field, which turns an answer that was cut off
    into an exception without its usage.
    """

    def __init__(self, *args: Any, restricted_schemas: bool, **options: Any) -> None:
        """`restricted_schemas`: whether its strict mode takes only some schemas, as OpenAI's."""
        super().__init__(*args, **options)
        self._restricted_schemas = restricted_schemas

    async def _send(self, request: Request, max_tokens: int) -> tuple[str, AIMessage]:
        options: dict[str, Any] = {"max_tokens": max_tokens}
        if request.stop:
            options["stop"] = list(request.stop)
        if request.form is not None:
            options["extra_body"] = {"response_format": self._response_format(request.form)}
        model = self._model.bind_tools(request.tools) if request.tools else self._model
        if request.heard is not None:
            # Without `stream_usage`, only OpenAI's own server would say what was spent.
            chunks = model.astream(request.messages, stream_usage=True, **options)
            message = await _whole(chunks, request.heard)
        else:
            message = await model.ainvoke(request.messages, **options)
        return message.text, message

    async def close(self) -> None:
        """See `Endpoint.close`."""
        model: Any = self._model  # a ChatOpenAI, or what derives from it
        await model.root_async_client.close()

    def _response_format(self, form: OutputForm[Any]) -> dict[str, Any]:
        schema = form.json_schema
        strict = openai_strict(schema) if self._restricted_schemas else schema
        return {
            "type": "json_schema",
            "json_schema": {
                "name": form.name,
                "strict": strict is not None,
                "schema": schema if strict is None else strict,
            },
        }


class LocalEndpoint(OpenAIEndpoint):
    """A server on this machine, whose reading of prompts is worth keeping."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, restricted_schemas=False, **options)
        self._beginnings = Beginnings(self.choice.url or "", self.choice.name)

    async def prepare(self, request: Request) -> None:
        """See `Endpoint.prepare`."""
        await self._beginnings.loaded()
        async with self._beginnings.ready(_as_openai(request)):
            pass

    async def _send(self, request: Request, max_tokens: int) -> tuple[str, AIMessage]:
        async with self._beginnings.ready(_as_openai(request)):
            return await super()._send(request, max_tokens)

    async def close(self) -> None:
        """See `Endpoint.close`."""
        await self._beginnings.close()
        await super().close()


async def _whole(chunks: AsyncIterator[AIMessage], heard: Heard) -> AIMessage:
    """The message that comes in pieces, the text of each of which is given to `heard`."""
    from langchain_core.messages.utils import message_chunk_to_message

    message: AIMessageChunk | None = None
    async for piece in chunks:
        chunk = cast("AIMessageChunk", piece)
        message = chunk if message is None else message + chunk
        if chunk.text:
            await heard(chunk.text)
    if message is None:
        raise ValueError("it ended without an answer")
    return cast("AIMessage", message_chunk_to_message(message))


def _as_openai(request: Request) -> list[dict[str, str]]:
    from langchain_core.messages.utils import convert_to_openai_messages

    return cast("list[dict[str, str]]", convert_to_openai_messages(request.messages))


class OtherEndpoint(Endpoint):
    """Any other provider, by LangChain's `with_structured_output`."""

    async def _send(self, request: Request, max_tokens: int) -> tuple[str, AIMessage]:
        model = self._limited(max_tokens)
        if request.form is None:
            stop = list(request.stop) or None
            asked = model.bind_tools(request.tools) if request.tools else model
            if request.heard is not None:
                message = await _whole(asked.astream(request.messages, stop=stop), request.heard)
            else:
                message = await asked.ainvoke(request.messages, stop=stop)
            return message.text, message
        schema = {**request.form.json_schema, "title": request.form.name}
        answer = cast(
            "dict[str, Any]",
            await model.with_structured_output(schema, include_raw=True).ainvoke(request.messages),
        )
        message = cast("AIMessage", answer["raw"])
        parsed = answer.get("parsed")
        text = message.text if parsed is None else json.dumps(parsed, ensure_ascii=False)
        return text, message

    async def close(self) -> None:
        """See `Endpoint.close`. LangChain has no way to it that all providers share."""

    def _limited(self, max_tokens: int) -> BaseChatModel:
        known = type(self._model).model_fields
        for field in ("max_tokens", "max_output_tokens", "num_predict"):
            if field in known:
                return self._model.model_copy(update={field: max_tokens})
        return self._model


def _counts(request: Request, message: AIMessage) -> TokenCounts:
    """What the provider counted; an estimate where it does not say, so that budgets hold."""
    usage = message.usage_metadata
    if usage is None:
        output = (len(message.text) + len(str(message.tool_calls or ""))) // 4 + 1
        return TokenCounts(input=request.estimated_tokens, output=output)
    details = usage.get("input_token_details", {})
    return TokenCounts(
        input=usage["input_tokens"],
        output=usage["output_tokens"],
        cache_read=details.get("cache_read") or 0,
        cache_write=details.get("cache_creation") or 0,
    )
