"""Values held to a JSON Schema that somebody else wrote: an agent's card, a question, a form.

Invariants:

- A schema is all that there is: what it refers to elsewhere is not fetched. (`jsonschema` by itself
  opens the addresses that a `$ref` names, files among them.)
- A schema that makes no sense is a problem of the value, and not an exception.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

__all__ = ["Problem", "problems"]


class Problem(NamedTuple):
    """What does not fit."""

    place: tuple[str | int, ...]
    """Where in the value, from its outside."""
    message: str
    """What is wrong there, without a full stop."""


def problems(schema: Mapping[str, Any], value: Any) -> Iterator[Problem]:
    """What of a value does not fit a schema of draft 2020-12; nothing when it fits."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError, UnknownType
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    try:
        Draft202012Validator.check_schema(schema)
        for error in Draft202012Validator(schema, registry=Registry()).iter_errors(value):
            yield Problem(tuple(error.absolute_path), error.message)
    except Unresolvable as error:
        yield Problem((), f"its schema refers to {error.ref!r}, which is not in it")
    except SchemaError as error:
        yield Problem((), f"its schema is none: {error.message}")
    except (UnknownType, re.error) as error:
        yield Problem((), f"its schema is none: {error}")
    except RecursionError:
        yield Problem((), "its schema goes round in a circle")
