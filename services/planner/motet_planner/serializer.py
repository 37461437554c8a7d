"""Serializer: what checkpoints hold, written as LangGraph writes it and read as plain values.

MessagePack has extension types, and LangGraph's own reading takes one for any object: it imports
the module that a value names and calls what it names there. So whoever could write a checkpoint
could have the planner run anything. Here that ends.

Invariants:

- A value is read as JSON's types and bytes. Of extensions there is one, LangGraph's `Send`, which
  says which node comes next with what; nothing else is imported, made or called.
- What is otherwise is refused, not read as something else.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import ormsgpack
from langgraph.checkpoint.serde.jsonplus import EXT_CONSTRUCTOR_POS_ARGS, JsonPlusSerializer
from langgraph.types import Send

from motet.errors import FaultError
from motet.messages import FaultType

__all__ = ["CheckpointSerializer"]

_KINDS = {"null", "bytes", "msgpack"}
"""Of LangGraph's kinds, `json` would have LangChain's constructors called."""


class CheckpointSerializer(JsonPlusSerializer):
    """LangGraph's serializer, but for what it makes of extensions."""

    def __init__(self) -> None:
        super().__init__(allowed_msgpack_modules=None, __unpack_ext_hook__=_send)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """The value.

        Raises:
            FaultError: `internal` where it holds what the planner does not write.
        """
        if data[0] in _KINDS:
            with suppress(ValueError):
                return super().loads_typed(data)
        raise FaultError.of(
            FaultType.INTERNAL,
            "The task's checkpoint holds something which no planner writes: somebody else has "
            "written there. Submit the task again, and see who may write the bucket `checkpoints`.",
        )


def _send(code: int, data: bytes) -> Send:
    """The one object that there is."""
    if code == EXT_CONSTRUCTOR_POS_ARGS:
        found: Any = ormsgpack.unpackb(data, ext_hook=_send, option=ormsgpack.OPT_NON_STR_KEYS)
        match found:
            case [Send.__module__, Send.__name__, [str(node), arg]]:
                return Send(node, arg)
            case _:
                pass
    raise ValueError(f"extension {code}")
