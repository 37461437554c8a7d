"""What a runnable of LangChain's reads and gives, as a skill's input and its answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NotRequired, Required, get_origin

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.runnables import Runnable, RunnableBinding
from pydantic import BaseModel, create_model
from pydantic.errors import PydanticUserError
from pydantic_core import to_json
from typing_extensions import get_type_hints, is_typeddict

from motet.adapters.member import MemberRequest, as_json, fields_of, prompt_of
from motet.errors import FaultError, MotetError

__all__ = ["Runs", "answer_of", "input_of", "request_of"]

Runs = Runnable[Any, Any]
_MESSAGES = "messages"


class _State(BaseModel):
    """A graph's state as a request; what is not given is left to the graph."""


def request_of(agent: Any, name: str) -> type[BaseModel]:
    """The runnable's own input where it has fields, else a question.

    Raises:
        MotetError: Its fields have no JSON Schema.
    """
    state = _state(agent) if isinstance(agent, Runnable) else None
    if state is None or _MESSAGES in _hints(state):
        return MemberRequest
    request = state
    try:
        if not issubclass(state, BaseModel):
            request = create_model(state.__name__, __base__=_State, **_fields(state))
        request.model_json_schema()
    except PydanticUserError as error:
        raise MotetError(
            f"What {name!r} reads has no JSON Schema; give `request=`, a Pydantic model: {error}"
        ) from None
    return request


def input_of(runnable: Runs, asked: BaseModel) -> Any:
    """A request as the runnable reads it."""
    state = _state(runnable)
    if state is not None and _MESSAGES in _hints(state):
        return {_MESSAGES: [HumanMessage(prompt_of(asked))]}
    if isinstance(asked, _State):
        return {name: getattr(asked, name) for name in asked.model_fields_set}
    if state is None or isinstance(asked, MemberRequest):
        return prompt_of(asked)
    return fields_of(asked)


def answer_of(result: Any) -> tuple[str, Any]:
    """The text and the data of what a runnable gives.

    Raises:
        FaultError: `interrupted` where it asks a person.
    """
    if isinstance(result, Mapping) and "__interrupt__" in result:
        raise FaultError.of(
            "interrupted",
            "The graph asks a person by `interrupt`, for which a member cannot wait: ask by "
            "`call.ask` in a tool, or declare the member with `approval=`.",
        )
    if isinstance(result, BaseMessage):
        return result.text, None
    if isinstance(result, Mapping) and isinstance(result.get(_MESSAGES), list):
        said = [each for each in result[_MESSAGES] if isinstance(each, AIMessage)]
        return (said[-1].text if said else ""), as_json(result.get("structured_response"))
    if isinstance(result, str):
        return result, None
    data = as_json(result)
    return to_json(data).decode(), data


def _state(runnable: Any) -> Any:
    """The class of a runnable's input: a graph's state, a chain's fields; None for a text."""
    while isinstance(runnable, RunnableBinding):
        runnable = runnable.bound
    # Pydantic refuses some of the classes that a graph takes for its state.
    state: Any = getattr(getattr(runnable, "builder", None), "input_schema", None)
    if is_typeddict(state) or dataclasses.is_dataclass(state) or _is_model(state):
        return state
    schema: Any = runnable.get_input_schema()
    return schema if _is_model(schema) and "root" not in schema.model_fields else None


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _hints(state: Any) -> dict[str, Any]:
    return get_type_hints(state, include_extras=True)


def _fields(state: Any) -> dict[str, Any]:
    """The fields of a typed dictionary or a data class, as Pydantic takes them."""
    plain, marked = get_type_hints(state), _hints(state)
    if dataclasses.is_dataclass(state):
        needed = {
            each.name
            for each in dataclasses.fields(state)
            if each.default is each.default_factory is dataclasses.MISSING
        }
    else:
        # A mark that was written as text is not in `__required_keys__`.
        marks = {name: get_origin(hint) for name, hint in marked.items()}
        needed = {name for name in state.__required_keys__ if marks[name] is not NotRequired}
        needed |= {name for name, mark in marks.items() if mark is Required}
    return {name: (hint, ... if name in needed else None) for name, hint in plain.items()}
