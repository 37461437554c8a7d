"""Plain functions as members."""

from __future__ import annotations

import functools
import threading
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from motet.adapters.functions import from_functions
from motet.agent import Call
from motet.errors import FaultError, MotetError
from motet.testing import TestMesh


class Room(BaseModel):
    width_m: float
    depth_m: float


def area(
    room: Room, /, *, places: Annotated[int, Field(ge=0, description="Decimals")] = 1
) -> float:
    """The area of a room.

    Longer words about areas.

    Args:
        room: The room, as
            it was measured.
        places: Not what the annotation says.
    """
    return round(room.width_m * room.depth_m, places)


async def whose(call: Call) -> dict[str, str]:
    """Tells whose call it is, and on which thread it runs."""
    return {"tenant": call.principal.tenant, "thread": threading.current_thread().name}


async def test_the_signature_is_the_schema(mesh: TestMesh) -> None:
    agent = from_functions("rooms", area, description="Measures rooms.")
    card = agent.skills["area"].card
    properties = card.input_schema["properties"]
    assert card.description == "The area of a room. Longer words about areas."
    assert properties["room"]["description"] == "The room, as it was measured."
    assert properties["places"] == {
        "default": 1,
        "description": "Decimals",
        "minimum": 0,
        "title": "Places",
        "type": "integer",
    }
    assert card.output_schema == {"type": "number"}
    await mesh.join(agent)

    room = {"width_m": 2.55, "depth_m": 4}
    assert await mesh.motet.call("rooms.area", {"room": room}, float) == 10.2
    assert await mesh.motet.call("rooms.area", {"room": room, "places": 0}, float) == 10
    with pytest.raises(FaultError, match="places"):
        await mesh.motet.call("rooms.area", {"room": room, "places": -1})


async def test_what_is_not_async_runs_in_a_thread(mesh: TestMesh) -> None:
    def where(call: Call) -> str:
        """Tells where it runs."""
        call.check()
        return threading.current_thread().name

    await mesh.join(from_functions("places", where, whose))
    assert await mesh.motet.call("places.where", {}, str) == "handler"
    here = await mesh.motet.call("places.whose", {})
    assert here == {"tenant": "default", "thread": threading.current_thread().name}


async def test_objects_and_what_is_bound_beforehand_are_functions_too(mesh: TestMesh) -> None:
    class Greeter:
        """Greets."""

        async def __call__(self, name: str) -> str:
            """Greets somebody."""
            return f"Hello {name}"

    def power(base: int, exponent: int) -> int:
        """A power of a number."""
        return base**exponent

    square = functools.partial(power, exponent=2)
    await mesh.join(from_functions("odds", Greeter(), square))
    assert await mesh.motet.call("odds.greeter", {"name": "Ada"}, str) == "Hello Ada"
    assert await mesh.motet.call("odds.power", {"base": 7}, int) == 49


async def test_what_a_function_raises_is_a_fault(mesh: TestMesh) -> None:
    def broken() -> str:
        """Breaks."""
        raise LookupError("it is broken")

    def missing() -> str:
        """Finds nothing."""
        raise FaultError.of("not_found", "There is none.")

    await mesh.join(from_functions("odds", broken, missing, max_attempts=1))
    with pytest.raises(FaultError, match="it is broken") as raised:
        await mesh.motet.call("odds.broken", {})
    assert raised.value.fault.type == "internal"
    with pytest.raises(FaultError, match=r"There is none\.") as raised:
        await mesh.motet.call("odds.missing", {})
    assert raised.value.fault.type == "not_found"


def no_docstring(city: str) -> str:
    return city


def no_return(city: str):  # type: ignore[no-untyped-def]
    """Gives nothing that it names."""


def no_type(city) -> str:  # type: ignore[no-untyped-def]
    """Takes anything."""
    return str(city)


def starred(*cities: str) -> str:
    """Takes several."""
    return "".join(cities)


def unknown(city: Nowhere) -> str:  # type: ignore[name-defined]  # noqa: F821
    """Takes what is not known."""
    return ""


def no_schema(lock: threading.Thread) -> str:
    """Takes what has no schema."""
    return ""


@pytest.mark.parametrize(
    "function, problem",
    [
        (no_docstring, "'no_docstring' needs a docstring"),
        (no_return, "'no_return' must say what it returns"),
        (no_type, "'city' of 'no_type' must have a type"),
        (starred, r"'starred' must name its parameters: \*cities"),
        (unknown, "A type of 'unknown' is not known: name 'Nowhere'"),
        (no_schema, "The signature of 'no_schema' has no JSON Schema"),
        (lambda: 1, "needs a docstring"),
    ],
)
def test_a_function_that_does_not_fit_is_named(function: Any, problem: str) -> None:
    with pytest.raises(MotetError, match=problem):
        from_functions("odds", function, description="Odds and ends.")


def test_an_agent_needs_a_function() -> None:
    with pytest.raises(MotetError, match="'odds' needs a function"):
        from_functions("odds")
