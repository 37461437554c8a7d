"""Faults: what frameworks raise, as what crosses the mesh.

A fault that travelled through a framework is found again. What a model's provider raised is
`model_failed`. What a framework says itself, such as that an agent took too many turns, has a kind
that its adapter names. Anything else stays as it is: the mesh makes it `internal`, which is tried
again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from motet.errors import FaultError
from motet.messages import FaultType
from motet.models.faults import may_succeed_later

__all__ = ["Kinds", "as_raised"]

Kinds = Mapping[type[BaseException], FaultType]
"""A framework's own exceptions, by the fault that they are. None of them is tried again."""

_LONGEST_REASON = 500


def as_raised(
    error: Exception, kinds: Kinds, model_error: BaseException | None, who: str
) -> Exception:
    """What an agent of a framework raises in the mesh.

    Args:
        error: What the framework raised.
        kinds: The framework's own exceptions.
        model_error: What the last request to a model raised that failed.
        who: The `agent.skill`, for the message.
    """
    chain = list(_chain(error))
    for each in chain:
        if isinstance(each, FaultError):
            return each
    failed = next((each for each in chain if each is model_error), None)
    for each in chain if failed is None else [failed]:
        for kind, fault in kinds.items():
            if isinstance(each, kind):
                return FaultError.of(fault, f"{who}: {_reason(each)}", exception=_name(each))
    if failed is not None:
        return FaultError.of(
            FaultType.MODEL_FAILED,
            f"The model of {who} failed: {_reason(failed)}",
            retryable=may_succeed_later(failed),
            exception=_name(failed),
        )
    return error


def _reason(error: BaseException) -> str:
    return (str(error).strip() or _name(error))[:_LONGEST_REASON]


def _name(error: BaseException) -> str:
    return type(error).__name__


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, what is in it, and what it was raised from."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for each in error.exceptions:
                yield from _chain(each)
        error = error.__cause__
