"""Serializer: what checkpoints hold, written as LangGraph writes it and read as plain values.

MessagePack has extension types, and LangGraph's own reading takes one for any object: it imports
the module that a value names and calls what it names there. So whoever could write a checkpoint
could have the planner run anything. Here that ends.

Invariants:

- A value is read as JSON's types and bytes. Of extensions there are LangGraph's `Send`, which says
  which node comes next with what; its snapshot of a channel; and the types that whoever makes the
  serializer lists, such as messages. Nothing else is made or called, and nothing is imported.
- What is otherwise is refused, not read as something else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import ormsgpack
from langgraph.checkpoint.serde.jsonplus import (
    EXT_CONSTRUCTOR_POS_ARGS,
    EXT_DELTA_SNAPSHOT,
    EXT_PYDANTIC_V2,
    JsonPlusSerializer,
)
from langgraph.checkpoint.serde.types import (
    _DeltaSnapshot,  # pyright: ignore[reportPrivateUsage] - what a `DeltaChannel` is kept as
)
from langgraph.types import Send

from motet.errors import FaultError
from motet.messages import FaultType

__all__ = ["CheckpointSerializer"]

_KINDS = {"null", "bytes", "msgpack"}
"""Of LangGraph's kinds, `json` would have LangChain's constructors called."""


class CheckpointSerializer(JsonPlusSerializer):
    """LangGraph's serializer, but for what it makes of extensions."""

    def __init__(self, types: Iterable[type[Any]] = ()) -> None:
        """`types` are Pydantic types that values may have beside plain ones."""
        hook = _reading({(each.__module__, each.__name__): each for each in types})
        super().__init__(allowed_msgpack_modules=None, __unpack_ext_hook__=hook)

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


def _reading(types: dict[tuple[str, str], type[Any]]) -> Callable[[int, bytes], Any]:
    """Reads the few objects that there are."""

    def read(code: int, data: bytes) -> Any:
        found: Any = ormsgpack.unpackb(data, ext_hook=read, option=ormsgpack.OPT_NON_STR_KEYS)
        match code, found:
            case code, [Send.__module__, Send.__name__, [str(node), arg]] if (
                code == EXT_CONSTRUCTOR_POS_ARGS
            ):
                return Send(node, arg)
            case code, [str(module), str(name), dict(values), *_] if (
                code == EXT_PYDANTIC_V2 and (module, name) in types
            ):
                return types[module, name](**values)
            case code, value if code == EXT_DELTA_SNAPSHOT:
                return _DeltaSnapshot(value)
            case _:
                raise ValueError(f"extension {code}")

    return read
