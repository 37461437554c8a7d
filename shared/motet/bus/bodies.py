"""Bodies and faults at the border: what comes in is read or refused, what goes out is bounded."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from motet.bus.topology import Header
from motet.errors import FaultError
from motet.messages import BlobRef, Fault, FaultType

__all__ = ["bounded", "fault_of", "read_blob_ref", "read_body"]

MAX_FAULT_BYTES = 64 * 1024
"""Bytes of a fault as JSON; of a larger one only type and message are kept."""

MAX_MESSAGE_LENGTH = 4000
"""Characters of what an exception said."""


def read_body(request: TypeAdapter[Any], body: bytes, receiver: str) -> Any:
    """Reads a body as the type that its receiver takes.

    Raises:
        FaultError: `unsupported_version` for a schema of another version, else `invalid_input`.
    """
    try:
        return request.validate_json(body or b"{}")
    except (ValidationError, RecursionError) as error:
        raise _unreadable(error, receiver) from None


def _unreadable(error: ValidationError | RecursionError, receiver: str) -> FaultError:
    if isinstance(error, RecursionError):
        return FaultError.of(
            FaultType.INVALID_INPUT, f"The body for {receiver} is nested too deep."
        )
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    if any(problem["loc"] == ("v",) for problem in problems):
        return FaultError.of(
            FaultType.UNSUPPORTED_VERSION,
            f"The body for {receiver} is of a schema version that is not supported here: "
            "send `v: 1`, or upgrade this service.",
        )
    first = problems[0]
    where = ".".join(str(part) for part in first["loc"])
    return FaultError.of(
        FaultType.INVALID_INPUT,
        f"The body for {receiver} does not fit: {where + ': ' if where else ''}{first['msg']}.",
        problems=[
            {"at": [str(part) for part in problem["loc"]], "problem": problem["msg"]}
            for problem in problems[:20]
        ],
    )


def read_blob_ref(text: str) -> BlobRef:
    """Reads the header that names a body in the object store.

    Raises:
        FaultError: `invalid_input`.
    """
    try:
        return BlobRef.model_validate_json(text)
    except ValidationError as error:
        raise FaultError.of(
            FaultType.INVALID_INPUT, f"Header {Header.BLOB!r} is wrong: {error.errors()[0]['msg']}."
        ) from None


def fault_of(error: BaseException, where: str) -> FaultError:
    """An unexpected exception as a fault that is tried again."""
    return FaultError.of(
        FaultType.INTERNAL,
        f"{where} raised {type(error).__name__}: {str(error)[:MAX_MESSAGE_LENGTH]}",
        retryable=True,
        exception=type(error).__name__,
    )


def bounded(fault: Fault) -> Fault:
    """A fault that surely crosses the bus: without its detail where that is large or no JSON."""
    try:
        if len(fault.model_dump_json()) <= MAX_FAULT_BYTES:
            return fault
    except PydanticSerializationError:
        pass
    return Fault(
        type=fault.type,
        message=fault.message[:MAX_MESSAGE_LENGTH],
        retryable=fault.retryable,
        retry_after_s=fault.retry_after_s,
        agent=fault.agent,
        skill=fault.skill,
    )
