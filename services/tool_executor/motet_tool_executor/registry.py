"""The registry of tools, and how to write one.

A tool is a function from one Pydantic model to another, with a name, a description for planners,
examples, and limits:

    @tool(description="Rolls dice. `count`: how many.")
    def roll(request: RollRequest) -> RollResult: ...

Another distribution offers its tools in the entry point group `motet.tools`, each entry naming a
`Tool`; the service runs them as skills beside its own. What always holds:

- A tool that has a registry is sound: its name fits a subject, its types are Pydantic models and
  its function takes exactly the one and returns the other. What is not sound, or has a name that
  is taken, is a `SetupError` when it is registered, never a fault when it is called.
- A function that is not `async` runs in a thread, which nothing can stop: it must end by itself,
  in bounded time and memory, for every input that its model lets through.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any, get_type_hints

from pydantic import BaseModel, ValidationError

from motet.errors import SetupError
from motet.messages import SkillExample

__all__ = ["ENTRY_POINT_GROUP", "Limits", "Tool", "ToolRegistry", "installed_tools", "tool"]

ENTRY_POINT_GROUP = "motet.tools"
"""Where other distributions offer their tools."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_MAX_DESCRIPTION = 1000
ToolFunction = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one tool may take."""

    timeout_s: float = 10.0
    """Seconds after which a run is a fault; a run in a thread keeps its place until it ends."""
    concurrency: int = 4
    """Runs at once in one process; further ones wait."""

    def __post_init__(self) -> None:
        if self.timeout_s <= 0 or self.concurrency < 1:
            raise SetupError(f"{self} is wrong: both limits of a tool must be above zero.")


@dataclass(frozen=True, slots=True)
class Tool:
    """A typed function that agents may use."""

    name: str
    description: str
    """When to use it and what each input is, for a planner."""
    input: type[BaseModel]
    output: type[BaseModel]
    function: ToolFunction
    """Takes `input`, returns `output`; plain or `async`."""
    limits: Limits = field(default_factory=Limits)
    examples: tuple[SkillExample, ...] = ()
    side_effects: bool = False
    """Whether it acts on the outside."""
    typical_s: float | None = None
    """Seconds that it usually takes."""
    source: str = "motet-tool-executor"
    """The distribution that it comes from, for messages."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise SetupError(
                f"The tool {self.name!r} of {self.source} needs another name: lower-case letters, "
                "digits and underscores, at most 40, a letter first."
            )
        if not 0 < len(self.description) <= _MAX_DESCRIPTION:
            raise SetupError(
                f"The tool {self.name!r} of {self.source} needs a description of 1 to "
                f"{_MAX_DESCRIPTION} characters, so that planners know when to use it."
            )
        for example in self.examples:
            try:
                self.input.model_validate(example.input)
            except ValidationError as error:
                raise SetupError(
                    f"The example {example.goal!r} of the tool {self.name!r} of {self.source} "
                    f"does not fit its input: {error.errors()[0]['msg']}."
                ) from None

    @property
    def is_async(self) -> bool:
        """Whether the function runs on the event loop."""
        return inspect.iscoroutinefunction(_routine(self.function))

    def __call__(self, request: Any) -> Any:
        """Calls the function as it is, for tests and for use in Python."""
        return self.function(request)


def tool(
    *,
    description: str,
    name: str | None = None,
    limits: Limits | None = None,
    examples: Iterable[SkillExample] = (),
    side_effects: bool = False,
    typical_s: float | None = None,
) -> Callable[[ToolFunction], Tool]:
    """Makes a `Tool` of a function, whose annotations are the tool's input and output.

    Without `name`, the function's own is used.

    Raises:
        SetupError: The function does not take one Pydantic model and return one, or the name,
            the description or an example is wrong.
    """

    def decorate(function: ToolFunction) -> Tool:
        tool_name = name or getattr(function, "__name__", type(function).__name__)
        input_type, output_type = _signature(tool_name, function)
        return Tool(
            name=tool_name,
            description=description,
            input=input_type,
            output=output_type,
            function=function,
            limits=limits or Limits(),
            examples=tuple(examples),
            side_effects=side_effects,
            typical_s=typical_s,
            source=_distribution(function),
        )

    return decorate


class ToolRegistry:
    """Tools by name, in the order in which they were registered."""

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        self._tools: dict[str, Tool] = {}
        for each in tools:
            self.register(each)

    def register(self, tool: Tool) -> None:
        """Adds a tool.

        Raises:
            SetupError: It is not a `Tool`, its function does not fit its types, or its name is
                taken.
        """
        if not isinstance(tool, Tool):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise SetupError(f"{tool!r} is not a tool: decorate the function with @tool.")
        if _signature(tool.name, tool.function) != (tool.input, tool.output):
            raise SetupError(
                f"The function of the tool {tool.name!r} of {tool.source} must be annotated with "
                f"the tool's own types, {tool.input.__name__} and {tool.output.__name__}."
            )
        other = self._tools.get(tool.name)
        if other is not None:
            raise SetupError(
                f"The tool {tool.name!r} of {tool.source} is registered already, by "
                f"{other.source}: give one of them another name, or list the name in "
                "MOTET_TOOL_EXECUTOR_DISABLED."
            )
        self._tools[tool.name] = tool

    def __getitem__(self, name: str) -> Tool:
        return self._tools[name]

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)


def installed_tools(found: Iterable[EntryPoint] | None = None) -> tuple[Tool, ...]:
    """The tools that other distributions offer, ordered by name.

    `found` stands in for what is installed.

    Raises:
        SetupError: An entry cannot be imported, or is not a tool; the message names it.
    """
    entries = entry_points(group=ENTRY_POINT_GROUP) if found is None else found
    return tuple(_load(entry) for entry in sorted(entries, key=lambda entry: entry.name))


def _load(entry: EntryPoint) -> Tool:
    origin = f"The tool {entry.name!r} ({entry.value}, entry point group {ENTRY_POINT_GROUP})"
    try:
        loaded = entry.load()
    except Exception as error:  # importing somebody's module raises anything
        raise SetupError(f"{origin} cannot be imported: {error!r}.") from error
    if not isinstance(loaded, Tool):
        raise SetupError(f"{origin} is not a tool: decorate the function with @tool.")
    return loaded


def _signature(name: str, function: ToolFunction) -> tuple[type[BaseModel], type[BaseModel]]:
    """The types that a tool's function takes and returns."""
    shape = (
        f"The tool {name!r} must be a function of one argument, such as "
        f"`def {name}(request: SomeModel) -> OtherModel`, with Pydantic models"
    )
    try:
        parameters = list(inspect.signature(function).parameters.values())
        hints = get_type_hints(_routine(function))
    except (NameError, TypeError, ValueError) as error:
        raise SetupError(f"{shape}; its annotations cannot be read: {error}.") from None
    required = [each for each in parameters if each.default is inspect.Parameter.empty]
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if not parameters or len(required) > 1 or parameters[0].kind not in positional:
        raise SetupError(f"{shape}; this one takes ({', '.join(map(str, parameters))}).")
    types = hints.get(parameters[0].name), hints.get("return")
    for type_ in types:
        if not (isinstance(type_, type) and issubclass(type_, BaseModel)):
            raise SetupError(f"{shape}; `{type_}` is none.")
    return types  # pyright: ignore[reportReturnType]


def _routine(function: ToolFunction) -> Callable[..., Any]:
    """The function itself, or the method that makes an object callable."""
    return function if inspect.isroutine(function) else type(function).__call__


def _distribution(function: ToolFunction) -> str:
    """What to call the origin of a tool in messages: its package, with dashes."""
    module: str = getattr(function, "__module__", type(function).__module__)
    return module.partition(".")[0].replace("_", "-")
