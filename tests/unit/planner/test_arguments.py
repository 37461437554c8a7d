"""The input of a search, as far as it needs no model."""

from __future__ import annotations

import pytest

from motet_planner.arguments import _filled


@pytest.mark.parametrize(
    "what, known, query",
    [
        (
            "leader of that workshop",
            [("workshop that takes care of Lyra", "Optics Workshop")],
            "leader of Optics Workshop",
        ),
        (
            "road from that town to that lake",
            [("town with a mill", "Ely"), ("lake with an island", "Mere")],
            "road from Ely to Mere",
        ),
        (
            "year it went into service",
            [("largest telescope", "Meridian telescope")],
            "year Meridian telescope went into service",
        ),
        ("its diameter", [("telescope for guests", "Little Auk")], "Little Auk's diameter"),
        ("when it met its end", [("largest ship", "Alba")], None),
        ("head of that institute", [("owner of the ship Alba", "Norr Institute")], None),
        ("head of that ship and that ship", [("ship of Norr", "Alba")], None),
        ("leader of that workshop", [("workshop of Lyra", "It is told at length. " * 5)], None),
        ("leader of that workshop", [("workshop of Lyra", r"\1 & Sons")], r"leader of \1 & Sons"),
    ],
)
def test_a_plain_stand_in_is_replaced_without_the_model(
    what: str, known: list[tuple[str, str]], query: str | None
) -> None:
    assert _filled(what, known) == query
