"""What LlamaIndex's instrumentation tells of a run.

Handlers of the instrumentation hear of every request and method in the process, and what they raise
is dropped. So it is a callback handler that refuses a request: every model that a run meets is
given one, which does nothing outside of a run.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

from llama_index.core.agent.workflow import ToolCall, ToolCallResult
from llama_index.core.callbacks import CallbackManager, CBEventType
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.callbacks.token_counting import get_tokens_from_response
from llama_index.core.instrumentation.events.llm import (
    LLMChatEndEvent,
    LLMChatStartEvent,
    LLMCompletionEndEvent,
    LLMCompletionStartEvent,
)
from llama_index.core.llms import LLM
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.base import BaseEvent
from llama_index_instrumentation.event_handlers import BaseEventHandler
from llama_index_instrumentation.span import BaseSpan
from llama_index_instrumentation.span_handlers import BaseSpanHandler

from motet.adapters.run import Run, current_run
from motet.models.pricing import TokenCounts

__all__ = ["instrument"]


@cache
def instrument() -> None:
    """Hears of what the process does with LlamaIndex; nothing outside of a run."""
    root = get_dispatcher()
    root.add_event_handler(_Requests())
    root.add_span_handler(_Spans())


class _Seen:
    """The methods of a run that were met."""

    def __init__(self) -> None:
        self.parents: dict[str, str | None] = {}
        self.methods: dict[str, tuple[int, str]] = {}
        """Of models: the object, and the method's name."""
        self.returned: set[str] = set()
        """Those of models that have returned, perhaps with a stream that goes on."""

    def within(self, span: str, run: Run) -> bool:
        """Whether a request is a part of one that is under way.

        A model's method may stand on another one, such as `achat` on `chat`: that is one request. A
        method that streams has returned by the time it asks the other one.
        """
        parent: str | None = span
        while parent is not None:
            if run.requests.asks(parent):
                return True
            parent = self.parents.get(parent)
        model, method = self.methods.get(span, (0, ""))
        return any(
            run.requests.asks(other)
            and self.methods[other][0] == model
            and self.methods[other][1] != method
            for other in self.returned
        )


_seen: WeakKeyDictionary[Run, _Seen] = WeakKeyDictionary()


class _Requests(BaseEventHandler):
    """Hears of requests to models."""

    @classmethod
    def class_name(cls) -> str:
        """Its name, for LlamaIndex."""
        return "MotetRequests"

    def handle(self, event: BaseEvent, **_: Any) -> None:
        """An event; what is raised here is dropped, so `_Guard` raises it again."""
        run = current_run.get()
        if run is None or not event.span_id:
            return
        if isinstance(event, LLMChatStartEvent | LLMCompletionStartEvent):
            # A method that stands on another one of the same model is one request.
            if not _seen.setdefault(run, _Seen()).within(event.span_id, run):
                _begin(run, event)
        elif isinstance(event, LLMChatEndEvent | LLMCompletionEndEvent):
            run.requests.answered_now(
                event.span_id, _counts(event.response), text=_text(event.response)
            )


class _Spans(BaseSpanHandler[BaseSpan]):
    """Hears of methods of models, and of tools that agents call."""

    @classmethod
    def class_name(cls) -> str:
        """Its name, for LlamaIndex."""
        return "MotetSpans"

    def new_span(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any | None = None,
        parent_span_id: str | None = None,
        tags: dict[str, Any] | None = None,
        **_: Any,
    ) -> BaseSpan | None:
        """A method begins."""
        run = current_run.get()
        if run is None:
            return None
        seen = _seen.setdefault(run, _Seen())
        seen.parents[id_] = parent_span_id
        if isinstance(instance, LLM):
            seen.methods[id_] = (id(instance), id_.rpartition(".")[2].partition("-")[0])
            _guard(instance)
        call = _tool_call(bound_args)
        if call is not None:
            run.tools.began(
                id_, call.tool_name, call_id=call.tool_id, arguments=call.tool_kwargs, attach=True
            )
        return None

    def prepare_to_exit_span(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any | None = None,
        result: Any | None = None,
        **_: Any,
    ) -> None:
        """A method has ended."""
        run = current_run.get()
        if run is None:
            return
        if isinstance(instance, LLM):
            _seen.setdefault(run, _Seen()).returned.add(id_)
        if isinstance(result, ToolCallResult):
            output = result.tool_output
            error = output.exception or output.content if output.is_error else None
            run.tools.ended(id_, result=output.content, error=error)

    def prepare_to_drop_span(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any | None = None,
        err: BaseException | None = None,
        **_: Any,
    ) -> None:
        """A method has raised something."""
        run = current_run.get()
        if run is not None and err is not None:
            run.requests.failed_now(id_, err)
            run.tools.ended(id_, error=err)


class _Guard(BaseCallbackHandler):
    """Refuses a request that has no right to be made: what it raises, the model's method raises."""

    def __init__(self) -> None:
        super().__init__([], [])

    def on_event_start(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        parent_id: str = "",
        **_: Any,
    ) -> str:
        """Something begins."""
        run = current_run.get()
        if run is not None and event_type is CBEventType.LLM:
            run.check()
        return event_id

    def on_event_end(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        **_: Any,
    ) -> None:
        """Something has ended."""

    def start_trace(self, trace_id: str | None = None) -> None:
        """A trace begins."""

    def end_trace(
        self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None
    ) -> None:
        """A trace has ended."""


def _guard(model: LLM) -> None:
    manager = getattr(model, "callback_manager", None)
    if not isinstance(manager, CallbackManager):
        model.callback_manager = CallbackManager([_Guard()])
    elif not any(isinstance(handler, _Guard) for handler in manager.handlers):
        manager.add_handler(_Guard())


def _begin(run: Run, event: LLMChatStartEvent | LLMCompletionStartEvent) -> None:
    about: Mapping[str, Any] = event.model_dict
    kind = str(about.get("class_name") or "llamaindex")
    asked = (
        "".join(str(message) for message in event.messages)
        if isinstance(event, LLMChatStartEvent)
        else event.prompt
    )
    tools = event.additional_kwargs.get("tools")
    run.requests.ask_now(
        event.span_id,
        kind.lower().removesuffix("llm").rstrip("_") or kind.lower(),
        str(about.get("model_name") or kind),
        reads=(len(asked) + len(str(tools or ""))) // 4,
    )


def _text(response: Any) -> str:
    if response is None:
        return ""
    message = getattr(response, "message", None)
    return (response.text if message is None else message.content) or ""


def _counts(response: Any) -> TokenCounts | None:
    """What the provider counted; None where it does not say."""
    if response is None:
        return None
    try:
        reads, writes = get_tokens_from_response(response)
    except (AttributeError, TypeError, ValueError):  # `raw` is whatever a provider gives
        reads, writes = 0, 0
    if not reads and not writes:
        counted = response.additional_kwargs
        reads, writes = counted.get("prompt_tokens", 0), counted.get("completion_tokens", 0)
    return TokenCounts(input=reads, output=writes) if reads or writes else None


def _tool_call(bound: inspect.BoundArguments) -> ToolCall | None:
    """The tool call that an agent's step works on; a step that hears of its result has none."""
    found = [
        each
        for each in bound.arguments.values()
        if isinstance(each, ToolCall) and not isinstance(each, ToolCallResult)
    ]
    return found[0] if found else None
