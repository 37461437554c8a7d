"""The wire types as JSON Schema, and what a change of a schema means for others.

`python -m motet.messages.schema FOLDER` writes one file a type. The committed export is what others
rely on; a contract test compares it with the code.

Invariants:

- Every `Message` that `motet.messages` exports is a wire type, known by its name in snake case.
- Schemas say what a reader accepts (Pydantic's validation mode), in JSON Schema 2020-12.
- A change is compatible when a new reader understands an old writer and an old reader a new
  writer; every other change needs a new `v`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import TypeAdapter

import motet.messages
from motet.messages import EVENT, Message

__all__ = ["breaking_changes", "schemas", "write"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
"""JSON Schema 2020-12, the dialect that Pydantic writes."""

ANNOTATIONS = frozenset({"$id", "$schema", "default", "description", "examples", "title"})
"""Keywords that say nothing about what is valid."""


def schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema of every wire type, by the type's name in snake case."""
    types: dict[str, TypeAdapter[Any]] = {"event": EVENT}
    for name in motet.messages.__all__:
        kind = getattr(motet.messages, name)
        if isinstance(kind, type) and issubclass(kind, Message) and kind is not Message:
            types[re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()] = TypeAdapter(kind)
    return {
        name: {"$schema": DIALECT, "$id": f"urn:motet:{name}", **adapter.json_schema()}
        for name, adapter in sorted(types.items())
    }


def write(folder: Path) -> None:
    """Makes `folder` hold `<type>.json` for every wire type, and no other JSON file."""
    folder.mkdir(parents=True, exist_ok=True)
    exported = schemas()
    for path in folder.glob("*.json"):
        if path.stem not in exported:
            path.unlink()
    for name, schema in exported.items():
        text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        (folder / f"{name}.json").write_text(text, encoding="utf-8")


def breaking_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Why the schema `new` of a type is not compatible with `old`, a phrase each.

    Compatible are a new optional property, a new kind in a union with a discriminator (readers
    skip kinds that they do not know), and any change of annotations. The comparison is cautious:
    what it cannot judge counts as breaking.
    """
    return list(_breaking(old, new, ""))


def _breaking(old: Mapping[str, Any], new: Mapping[str, Any], at: str) -> Iterator[str]:
    for key in sorted({*old, *new} - ANNOTATIONS):
        before, after = old.get(key), new.get(key)
        match key:
            case "properties" | "$defs":
                yield from _breaking_entries(before or {}, after or {}, f"{at}/{key}")
            case "required":
                for name in sorted({*(after or ())} - {*(before or ())}):
                    yield f"{at}/properties/{name} is now required"
                for name in sorted({*(before or ())} - {*(after or ())}):
                    yield f"{at}/properties/{name} is no longer always there"
            case "oneOf" if "discriminator" in old and "discriminator" in new:
                kinds = [_validity(kind) for kind in new.get(key, ())]
                for kind in old.get(key, ()):
                    if _validity(kind) not in kinds:
                        yield f"{at}/oneOf lost {json.dumps(kind)}"
            case "discriminator" if before and after:
                pass
            case _:
                if _validity(before) != _validity(after):
                    yield f"{at}/{key}: {json.dumps(before)} became {json.dumps(after)}"


def _breaking_entries(old: Mapping[str, Any], new: Mapping[str, Any], at: str) -> Iterator[str]:
    for name in sorted(old):
        if name in new:
            yield from _breaking(old[name], new[name], f"{at}/{name}")
        elif at.endswith("/properties"):
            yield f"{at}/{name} is gone"


def _validity(schema: Any) -> Any:
    """`schema` without its annotations."""
    if isinstance(schema, Mapping):
        return {
            key: {name: _validity(entry) for name, entry in value.items()}
            if key in ("properties", "$defs")
            else _validity(value)
            for key, value in cast("Mapping[str, Any]", schema).items()
            if key not in ANNOTATIONS
        }
    if isinstance(schema, list):
        return [_validity(entry) for entry in cast("list[Any]", schema)]
    return schema


if __name__ == "__main__":
    write(Path(sys.argv[1]))
