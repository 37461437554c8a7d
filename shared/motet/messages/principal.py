"""The principal: on whose behalf work is done, and what it may see.

It is set where a task is submitted, rides in headers, and is inherited by every delegation: no
skill's input, which a model may have written, can name another.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from motet.messages.base import Token, Value

__all__ = ["ANYBODY", "Label", "Principal"]

Label = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:@/-]{1,128}$")]
"""An access label, such as `staff` or `group:legal`."""


class Principal(Value):
    """Somebody on whose behalf work is done."""

    tenant: Token = "default"
    """Sees only what belongs to the same tenant."""
    access: tuple[Label, ...] = Field(default=(), max_length=64)
    """Of what has access labels, sees what has at least one of these."""


ANYBODY = Principal()
"""Of the default tenant, without a label."""
