"""What every wire type has in common.

Invariants:

- Every type that crosses the bus derives from `Message` and is plain JSON.
- `v` is the version of the type's schema. A reader accepts the versions it lists and refuses
  others; a breaking change is a new `v`, never a changed meaning.
- Unknown fields are ignored, so that an older reader accepts what a newer writer added.
- Messages are immutable: a change is a new message.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import uuid4

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

__all__ = ["Message", "Name", "Timestamp", "Token", "Value", "new_id", "now"]

Token = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""An identifier that is safe as one token of a NATS subject and as a part of a bucket key."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
"""The name of an agent or of a skill: lower-case snake case, at most 40 characters."""

Timestamp = AwareDatetime
"""A moment with its time zone; written as ISO 8601 in UTC."""


def now() -> datetime:
    """The current moment in UTC."""
    return datetime.now(UTC)


def new_id() -> str:
    """A fresh identifier, 32 hexadecimal digits, valid as a `Token`."""
    return uuid4().hex


class Value(BaseModel):
    """A part of a message that has no life, and so no version, of its own."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class Message(Value):
    """A type that crosses the bus by itself."""

    v: Literal[1] = Field(default=1, description="Version of this type's schema.")
