"""The registry: what is a tool, and what is refused at the start."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest
from pydantic import BaseModel

from motet.errors import SetupError
from motet.messages import SkillExample
from motet.settings import load_settings
from motet_tool_executor import Limits, Tool, ToolRegistry, tool
from motet_tool_executor.catalog import own_tools, tools_of
from motet_tool_executor.registry import ENTRY_POINT_GROUP, installed_tools
from motet_tool_executor.settings import ToolExecutorSettings


class Request(BaseModel):
    count: int = 1


class Result(BaseModel):
    total: int


@tool(
    description="Rolls dice. `count`: how many.",
    examples=[SkillExample(goal="Roll two dice.", input={"count": 2})],
)
def roll(request: Request) -> Result:
    return Result(total=request.count)


@tool(name="roll_slowly", description="Rolls dice.", limits=Limits(timeout_s=1, concurrency=1))
async def roll_async(request: Request) -> Result:
    return Result(total=request.count)


not_a_tool = 5


def entry(name: str, value: str) -> EntryPoint:
    return EntryPoint(name=name, value=f"{__name__}:{value}", group=ENTRY_POINT_GROUP)


def test_a_function_becomes_a_tool_of_its_annotations() -> None:
    assert (roll.name, roll.input, roll.output, roll.is_async) == ("roll", Request, Result, False)
    assert (roll_async.name, roll_async.is_async) == ("roll_slowly", True)
    assert roll(Request(count=3)) == Result(total=3)


def test_tools_keep_their_order_and_are_found_by_name() -> None:
    registry = ToolRegistry([roll_async, roll])
    assert [each.name for each in registry] == ["roll_slowly", "roll"]
    assert len(registry) == 2
    assert registry["roll"] is roll
    assert "roll" in registry
    assert "dice" not in registry


def test_an_object_with_a_call_method_is_a_function_too() -> None:
    class Dice:
        def __call__(self, request: Request) -> Result:
            return Result(total=6)

    made = tool(name="dice", description="Rolls.")(Dice())
    assert ToolRegistry([made])["dice"](Request()).total == 6


def test_a_name_is_taken_once() -> None:
    with pytest.raises(SetupError, match=r"'roll' of .* is registered already, by"):
        ToolRegistry([roll, roll])


def no_annotation(request):  # type: ignore[no-untyped-def]
    return request


def no_return(request: Request):  # type: ignore[no-untyped-def]
    return request


def wrong_input(request: dict) -> Result:
    return Result(total=0)


def wrong_output(request: Request) -> int:
    return 0


def optional_input(request: Request | None) -> Result:
    return Result(total=0)


def no_parameter() -> Result:
    return Result(total=0)


def two_parameters(request: Request, more: int) -> Result:
    return Result(total=0)


def keyword_only(*, request: Request) -> Result:
    return Result(total=0)


def unknown_name(request: Unknown) -> Result:  # noqa: F821
    return Result(total=0)


@pytest.mark.parametrize(
    "function",
    [
        no_annotation,
        no_return,
        wrong_input,
        wrong_output,
        optional_input,
        no_parameter,
        two_parameters,
        keyword_only,
        unknown_name,
        len,
    ],
)
def test_a_bad_signature_is_refused_by_the_decorator(function) -> None:
    with pytest.raises(SetupError, match="must be a function of one argument"):
        tool(name="bad", description="Does.")(function)


def test_a_bad_signature_is_refused_by_the_registry() -> None:
    class Other(BaseModel):
        pass

    with pytest.raises(SetupError, match="must be annotated with the tool's own types"):
        ToolRegistry([Tool("other", "Does.", Request, Other, roll.function)])
    with pytest.raises(SetupError, match="is not a tool"):
        ToolRegistry([roll.function])  # type: ignore[list-item]


@pytest.mark.parametrize("name", ["", "Roll", "roll.dice", "roll dice", "1roll", "r" * 41, "r\n"])
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(SetupError, match="needs another name"):
        Tool(name, "Does.", Request, Result, roll.function)


@pytest.mark.parametrize("description", ["", "d" * 1001])
def test_a_bad_description_is_refused(description: str) -> None:
    with pytest.raises(SetupError, match="needs a description"):
        tool(description=description)(roll.function)


def test_an_example_that_does_not_fit_is_refused() -> None:
    bad = SkillExample(goal="Roll.", input={"count": "many"})
    with pytest.raises(SetupError, match=r"example 'Roll\.' .* does not fit"):
        tool(description="Does.", examples=[bad])(roll.function)


@pytest.mark.parametrize("limits", [{"timeout_s": 0}, {"concurrency": 0}])
def test_bad_limits_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(SetupError, match="above zero"):
        Limits(**limits)


# Tools of other distributions.


def test_installed_tools_come_in_the_order_of_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [entry("b", "roll"), entry("a", "roll_async")]
    loads = {"b": roll, "a": roll_async}
    monkeypatch.setattr(EntryPoint, "load", lambda self: loads[self.name])
    assert installed_tools(found) == (roll_async, roll)


def test_an_entry_that_is_no_tool_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EntryPoint, "load", lambda self: not_a_tool)
    with pytest.raises(SetupError, match=r"'five' .*motet\.tools.* is not a tool"):
        installed_tools([entry("five", "not_a_tool")])


def test_an_entry_that_cannot_be_imported_is_named() -> None:
    broken = EntryPoint(name="gone", value="no_such_module_x:tool", group=ENTRY_POINT_GROUP)
    with pytest.raises(SetupError, match=r"'gone' \(no_such_module_x:tool.*cannot be imported"):
        installed_tools([broken])


def test_settings_choose_the_tools() -> None:
    def names(**values: object) -> list[str]:
        return [each.name for each in tools_of(ToolExecutorSettings(**values), lambda: [roll])]

    own = [each.name for each in own_tools()]
    assert own == ["calculate", "convert", "dates", "table_lookup", "table_aggregate"]
    assert names() == [*own, "roll"]
    assert names(plugins=False) == own
    assert names(disabled="convert, roll") == [
        "calculate",
        "dates",
        "table_lookup",
        "table_aggregate",
    ]
    with pytest.raises(SetupError, match="Did you mean `convert`"):
        names(disabled="convrt")


def test_a_plug_in_may_replace_a_tool_that_is_disabled_only() -> None:
    replacement = tool(name="convert", description="Converts.")(roll.function)
    with pytest.raises(SetupError, match="registered already, by motet-tool-executor"):
        tools_of(ToolExecutorSettings(), lambda: [replacement])


def test_a_wrong_time_zone_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTET_TOOL_EXECUTOR_TIME_ZONE", "Europe/Berln")
    with pytest.raises(SetupError, match=r"MOTET_TOOL_EXECUTOR_TIME_ZONE='Europe/Berln'"):
        load_settings(ToolExecutorSettings)
