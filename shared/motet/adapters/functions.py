"""Plain functions as members: a skill each, whose schema is the function's signature.

    def area(width_m: float, depth_m: float) -> float:
        \"\"\"The area of a room, in square metres.\"\"\"
        return width_m * depth_m

    agent = from_functions("rooms", area, description="Measures rooms")

A parameter's description is `Annotated[float, Field(description=...)]`, or stands in the
docstring. A function that is not `async` runs in a thread. A parameter that is annotated with
`Call` gets the call.
"""

from __future__ import annotations

import functools
import inspect
import re
import typing
from collections.abc import Callable
from typing import Any

from docstring_parser import Docstring, parse
from pydantic import BaseModel, Field, create_model
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo
from typing_extensions import Unpack

from motet.adapters.member import SkillOptions
from motet.agent import Agent
from motet.call import Call
from motet.errors import MotetError
from motet.messages import Message

__all__ = ["from_functions"]


def from_functions(
    name: str,
    *functions: Callable[..., Any],
    description: str | None = None,
    **options: Unpack[SkillOptions],
) -> Agent:
    """An agent whose skills are functions, each called as its function is.

    Args:
        name: The agent's name, lower-case snake case.
        functions: Typed functions with a docstring, `async` or not.
        description: What the agent is for; None takes the first function's docstring.
        options: Of `Agent.skill`, for all of them.

    Raises:
        MotetError: A function's name, signature or docstring does not fit.
    """
    if not functions:
        raise MotetError(f"Agent {name!r} needs a function.")
    agent = Agent(name, description or _described(functions[0])[0])
    for function in functions:
        said, parameters = _described(function)
        agent.skill(_name(function), said, **options)(_skill(function, parameters))
    return agent


def _skill(function: Callable[..., Any], described: dict[str, str]) -> Callable[..., Any]:
    hints = _hints(function)
    calls = {name for name, hint in hints.items() if hint is Call}
    request = _request(function, hints, described)

    async def skill(asked: Any, call: Call) -> Any:
        given = {name: getattr(asked, name) for name in type(asked).model_fields if name != "v"}
        bound = _bound(function, given | dict.fromkeys(calls, call))
        if inspect.iscoroutinefunction(_inner(function)):
            return await function(*bound.args, **bound.kwargs)
        return await call.in_thread(function, *bound.args, **bound.kwargs)

    if "return" not in hints:
        raise MotetError(f"Function {_name(function)!r} must say what it returns.")
    skill.__annotations__ = {"asked": request, "call": Call, "return": hints["return"]}
    return skill


def _bound(function: Callable[..., Any], given: dict[str, Any]) -> inspect.BoundArguments:
    signature = inspect.signature(function)
    positional = [
        given.pop(name)
        for name, parameter in signature.parameters.items()
        if parameter.kind is parameter.POSITIONAL_ONLY
    ]
    return signature.bind(*positional, **given)


def _request(
    function: Callable[..., Any], hints: dict[str, Any], described: dict[str, str]
) -> type[BaseModel]:
    name = _name(function)
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        hint = hints.get(parameter.name)
        if hint is Call:
            continue
        if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            raise MotetError(f"Function {name!r} must name its parameters: {parameter}.")
        if hint is None or parameter.name == "v" or parameter.name.startswith("_"):
            raise MotetError(
                f"The parameter {parameter.name!r} of {name!r} must have a type, and neither be "
                "called 'v' nor begin with an underscore."
            )
        default = ... if parameter.default is parameter.empty else parameter.default
        if parameter.name in described and not _has_description(hint):
            default = Field(default, description=described[parameter.name])
        fields[parameter.name] = (hint, default)
    title = "".join(part.capitalize() for part in name.split("_")) + "Request"
    try:
        return create_model(title, __base__=Message, **fields)
    except PydanticUserError as error:
        raise MotetError(f"The signature of {name!r} has no JSON Schema: {error}") from None


def _has_description(hint: Any) -> bool:
    said = [each for each in typing.get_args(hint) if isinstance(each, FieldInfo)]
    return any(each.description for each in said)


def _described(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """What a docstring says of a function, and of its parameters."""
    found: Docstring = parse(inspect.getdoc(_inner(function)) or "")
    said = found.description
    if not said:
        raise MotetError(
            f"Function {_name(function)!r} needs a docstring that says when to use it."
        )
    parameters = {
        each.arg_name: _line(each.description) for each in found.params if each.description
    }
    return _line(said), parameters


def _line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(_inner(function), include_extras=True)
    except NameError as error:
        raise MotetError(f"A type of {_name(function)!r} is not known: {error}.") from None


def _inner(function: Any) -> Any:
    """The function behind `functools.partial`s, or the method of an object that can be called."""
    while isinstance(function, functools.partial):
        function = function.func
    return function if inspect.isroutine(function) else type(function).__call__


def _name(function: Any) -> str:
    function = function.func if isinstance(function, functools.partial) else function
    return getattr(function, "__name__", type(function).__name__).lower()
