"""Values held to a JSON Schema that somebody else wrote: an agent's card, a question, a form.

Invariants:

- A schema is all that there is: what it refers to elsewhere is not fetched. (`jsonschema` by itself
  opens the addresses that a `$ref` names, files among them.)
- A schema that makes no sense is a problem of the value, and not an exception.
- Checking ends soon: a schema whose parts refer to each other so often that it would not is a
  problem too. (A few hundred bytes can ask for more checks than there are atoms.)
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import cache
from typing import Any, NamedTuple, cast
from urllib.parse import unquote

__all__ = ["MAX_SCHEMA_BYTES", "Problem", "form_problem", "object_form", "problems"]

MAX_SCHEMA_BYTES = 64 * 1024
"""Bytes of JSON that the form of an answer may have; a model reads all of it."""

MAX_CHECK_S = 1.0
"""Seconds of the processor for which a value is checked; 10,000 rows of a table take half."""

_check_until: ContextVar[float] = ContextVar("check_until")

_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_VALUES = frozenset({"const", "default", "enum", "examples"})
"""Keywords that hold values, which are no schemas whatever they look like."""
_NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
"""Keywords that hold schemas by names, which are no keywords whatever they are called."""


class Problem(NamedTuple):
    """What does not fit."""

    place: tuple[str | int, ...]
    """Where in the value, from its outside."""
    message: str
    """What is wrong there, without a full stop."""


class _EndlessError(Exception):
    """Checking would take too long."""


def problems(schema: Mapping[str, Any], value: Any) -> Iterator[Problem]:
    """What of a value does not fit a schema of draft 2020-12; nothing when it fits."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError, UnknownType
    from referencing.exceptions import Unresolvable

    found: list[Problem] = []
    try:
        Draft202012Validator.check_schema(schema)
        found += [
            Problem(tuple(each.absolute_path), each.message) for each in _errors(schema, value)
        ]
    except Unresolvable as error:
        found.append(Problem((), f"its schema refers to {error.ref!r}, which is not in it"))
    except SchemaError as error:
        found.append(Problem((), f"its schema is none: {error.message}"))
    except (UnknownType, re.error) as error:
        found.append(Problem((), f"its schema is none: {error}"))
    except RecursionError:
        found.append(Problem((), "its schema goes round in a circle"))
    except _EndlessError:
        found.append(Problem((), "its schema takes too long to check"))
    yield from found


def _errors(schema: Mapping[str, Any], value: Any) -> list[Any]:
    """What `jsonschema` finds, within `MAX_CHECK_S`.

    Raises:
        _EndlessError: That is not enough.
    """
    from referencing import Registry

    # A part that names a dialect would be checked by that one's own validator, without a limit.
    limited = _without_dialects(schema)
    token = _check_until.set(time.thread_time() + MAX_CHECK_S)
    try:
        return list(_limited()(limited, registry=Registry()).iter_errors(value))
    finally:
        _check_until.reset(token)


@cache
def _limited() -> Any:
    """A validator of draft 2020-12 that looks at the clock."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    def limited(check: Callable[..., Any]) -> Callable[..., Any]:
        def checked(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[Any]:
            if time.thread_time() > _check_until.get():
                raise _EndlessError
            yield from check(validator, wanted, instance, schema) or ()

        return checked

    keywords: Any = Draft202012Validator.VALIDATORS
    return extend(Draft202012Validator, {name: limited(check) for name, check in keywords.items()})


def _without_dialects(part: Any) -> Any:
    """A schema in which no part says by which draft it is written."""
    if isinstance(part, list):
        return [_without_dialects(each) for each in cast("list[Any]", part)]
    if not isinstance(part, Mapping):
        return part
    return {
        name: {key: _without_dialects(each) for key, each in cast("Any", value).items()}
        if name in _NAMED and isinstance(value, Mapping)
        else value
        if name in _VALUES
        else _without_dialects(value)
        for name, value in cast("Mapping[str, Any]", part).items()
        if name != "$schema"
    }


def form_problem(schema: Mapping[str, Any]) -> str | None:
    """Says why a schema cannot be the form of an answer; None where it can.

    It can if it is a JSON Schema of an object that refers to nothing outside of itself and has at
    most `MAX_SCHEMA_BYTES`.
    """
    try:
        size = len(json.dumps(schema, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        if size > MAX_SCHEMA_BYTES:
            return f"it has {size:,} bytes as JSON, and at most {MAX_SCHEMA_BYTES:,} are taken"
        return _wrong_reference(schema, schema, _anchors(schema)) or _no_form(schema)
    except RecursionError:
        return "it is nested too deep, or goes round in a circle"
    except (TypeError, ValueError) as error:
        return f"it is not JSON: {error}"


def _no_form(schema: Mapping[str, Any]) -> str | None:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
    from referencing.exceptions import Unresolvable

    try:
        Draft202012Validator.check_schema(schema)
        # A reference that leads nowhere, or round in a circle, is found by following it.
        _errors(schema, {})
    except SchemaError as error:
        at = "/".join(str(part) for part in error.absolute_path)
        return f"it is no JSON Schema: {f'at {at!r}: ' if at else ''}{error.message}"
    except Unresolvable as error:
        return f"it refers to {error.ref!r}, which is not in it"
    except _EndlessError:
        return "its parts refer to each other so often that it takes too long to check"
    if object_form(schema).get("type") != "object":
        return 'it is to describe an object: say `"type": "object"` at its top'
    return None


def object_form(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with a reference at its very top replaced by what that refers to.

    Pydantic writes a type that contains itself in this way, and models want to see the object.
    """
    form = dict(schema)
    seen: set[str] = set()
    while isinstance(reference := form.get("$ref"), str) and reference not in seen:
        seen.add(reference)
        found = _at(schema, reference)
        if not isinstance(found, Mapping):
            break
        form = {**{name: form[name] for name in form if name != "$ref"}, **found}
    return form


def _wrong_reference(
    part: Any, schema: Mapping[str, Any], anchors: set[str], *, top: bool = True
) -> str | None:
    """What is wrong with a reference in a part of a schema, if anything is."""
    if isinstance(part, list):
        entries = cast("list[Any]", part)
    elif isinstance(part, Mapping):
        keywords = cast("Mapping[str, Any]", part)
        for name in _REFERENCES:
            reference = keywords.get(name)
            if isinstance(reference, str) and (wrong := _unresolved(reference, schema, anchors)):
                return wrong
        if not top and isinstance(keywords.get("$id"), str):
            return "a part of it has an `$id` of its own: name parts under `$defs` instead"
        entries = []
        for name, value in keywords.items():
            if name in _NAMED and isinstance(value, Mapping):
                entries += cast("Mapping[str, Any]", value).values()
            elif name not in _VALUES:
                entries.append(value)
    else:
        return None
    found = (_wrong_reference(each, schema, anchors, top=False) for each in entries)
    return next((wrong for wrong in found if wrong), None)


def _unresolved(reference: str, schema: Mapping[str, Any], anchors: set[str]) -> str | None:
    if not reference.startswith("#"):
        return (
            f"it refers to {reference!r}, which is outside of it, and nothing is fetched: put "
            "what is meant under `$defs`, and refer to `#/$defs/NAME`"
        )
    named = reference.removeprefix("#")
    if named and _at(schema, reference) is None and named not in anchors:
        return f"it refers to {reference!r}, which is not in it"
    return None


def _anchors(part: Any) -> set[str]:
    """The names that parts of a schema have by themselves."""
    if isinstance(part, list):
        return {name for each in cast("list[Any]", part) for name in _anchors(each)}
    if not isinstance(part, Mapping):
        return set()
    keywords = cast("Mapping[str, Any]", part)
    own = {keywords.get("$anchor"), keywords.get("$dynamicAnchor")}
    below = (name for each in keywords.values() for name in _anchors(each))
    return {*(name for name in own if isinstance(name, str)), *below}


def _at(schema: Mapping[str, Any], reference: str) -> Any:
    """What a JSON Pointer (RFC 6901) in a fragment refers to; None where there is nothing."""
    if not reference.startswith("#/"):
        return schema if reference == "#" else None
    part: Any = schema
    for token in unquote(reference).removeprefix("#").split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(part, Mapping):
            part = cast("Mapping[str, Any]", part).get(name)
        elif isinstance(part, list) and name.isdecimal():
            entries = cast("list[Any]", part)
            part = entries[int(name)] if int(name) < len(entries) else None
        else:
            return None
    return part
