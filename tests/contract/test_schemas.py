"""The exported schemas are what the code says, and a change of them is seen for what it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from motet.messages import schema

EXPORT = Path(__file__).parents[2] / "docs" / "reference" / "schemas"
REGENERATE = f"python -m motet.messages.schema {EXPORT.relative_to(Path(__file__).parents[2])}"


def test_export_is_current() -> None:
    committed = {
        path.stem: json.loads(path.read_text("utf-8")) for path in sorted(EXPORT.glob("*.json"))
    }
    current = schema.schemas()
    if committed == current:
        return
    lines: list[str] = []
    for name in sorted({*committed, *current}):
        if name not in committed:
            lines.append(f"{name}: compatible (a new type)")
        elif name not in current:
            lines.append(f"{name}: BREAKING\n    the type is gone")
        elif breaking := schema.breaking_changes(committed[name], current[name]):
            lines.append("\n    ".join([f"{name}: BREAKING", *breaking]))
        elif committed[name] != current[name]:
            lines.append(f"{name}: compatible")
    pytest.fail(
        "The wire types differ from their committed schemas.\n"
        + "\n".join(lines)
        + f"\nA breaking change needs a new `v`. If all is meant: {REGENERATE}",
        pytrace=False,
    )


def test_export_equals_what_the_command_writes(tmp_path: Path) -> None:
    (tmp_path / "gone.json").write_text("{}")
    schema.write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{name}.json" for name in schema.schemas()
    }
    assert (tmp_path / "task.json").read_text("utf-8").endswith("}\n")


def test_every_schema_accepts_only_its_version() -> None:
    for name, exported in schema.schemas().items():
        kinds = exported["$defs"].values() if name == "event" else [exported]
        versions = [kind["properties"]["v"] for kind in kinds if "v" in kind.get("properties", {})]
        assert versions, name
        assert all(version["const"] == version["default"] for version in versions), name


OLD: dict[str, Any] = {
    "$defs": {"Part": {"properties": {"title": {"type": "string"}}, "type": "object"}},
    "properties": {
        "count": {"type": "integer", "minimum": 0, "description": "How many."},
        "parts": {"type": "array", "items": {"$ref": "#/$defs/Part"}},
    },
    "required": ["count"],
    "type": "object",
}


def changed(*path: str, value: Any) -> dict[str, Any]:
    """`OLD` with the value at `path` replaced, or removed for None."""
    new = json.loads(json.dumps(OLD))
    inner = new
    for part in path[:-1]:
        inner = inner[part]
    if value is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return new


@pytest.mark.parametrize(
    "new",
    [
        OLD,
        changed("properties", "count", "description", value="How many there are."),
        changed("properties", "note", value={"type": "string", "default": ""}),
        changed("$defs", "Other", value={"type": "string"}),
        changed("$defs", "Part", "properties", "number", value={"type": "integer"}),
    ],
)
def test_compatible(new: dict[str, Any]) -> None:
    assert schema.breaking_changes(OLD, new) == []


@pytest.mark.parametrize(
    "new, reason",
    [
        (changed("properties", "parts", value=None), "/properties/parts is gone"),
        (changed("required", value=["count", "parts"]), "/properties/parts is now required"),
        (changed("required", value=None), "/properties/count is no longer always there"),
        (
            changed("properties", "count", "type", value="string"),
            '/properties/count/type: "integer" became "string"',
        ),
        (
            changed("properties", "count", "minimum", value=1),
            "/properties/count/minimum: 0 became 1",
        ),
        (
            changed("$defs", "Part", "properties", "title", value=None),
            "/$defs/Part/properties/title is gone",
        ),
        (
            changed("properties", "parts", "items", value={"type": "string"}),
            '/properties/parts/items: {"$ref": "#/$defs/Part"} became {"type": "string"}',
        ),
    ],
)
def test_breaking(new: dict[str, Any], reason: str) -> None:
    assert schema.breaking_changes(OLD, new) == [reason]


def test_a_union_may_gain_kinds_and_not_lose_them() -> None:
    less = {"discriminator": {"mapping": {"a": "#A"}}, "oneOf": [{"$ref": "#A"}]}
    more = {
        "discriminator": {"mapping": {"a": "#A", "b": "#B"}},
        "oneOf": [{"$ref": "#A"}, {"$ref": "#B"}],
    }
    assert schema.breaking_changes(less, more) == []
    assert schema.breaking_changes(more, less) == ['/oneOf lost {"$ref": "#B"}']
