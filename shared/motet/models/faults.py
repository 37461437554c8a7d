"""What providers raise, as faults.

LangChain's providers raise `langchain_core.exceptions.ModelError`, which knows whether the same
request may succeed later; where one raises something else, its HTTP status and its causes tell.
"""

from __future__ import annotations

from collections.abc import Iterator

from motet.errors import FaultError
from motet.messages import Fault, FaultType

__all__ = ["ModelFaultError", "may_succeed_later", "model_failed"]

_TRY_LATER = {408, 409, 425, 429}
_LONGEST_REASON = 500


class ModelFaultError(FaultError):
    """A fault of the model itself, for which another model may stand in."""


def model_failed(error: Exception, where: str) -> ModelFaultError:
    """The fault `model_failed` for what the model `where` raised."""
    reason = str(error).strip() or type(error).__name__
    return ModelFaultError(
        Fault(
            type=FaultType.MODEL_FAILED,
            message=f"The model {where} failed: {reason[:_LONGEST_REASON]}",
            retryable=may_succeed_later(error),
            detail={"model": where},
        )
    )


def may_succeed_later(error: BaseException) -> bool:
    """Whether the same request may succeed later, by what a provider's exception says."""
    # LangChain's `ModelError` has it.
    if getattr(error, "is_retryable", None) is True:
        return True
    status = getattr(error, "status_code", None) or getattr(error, "code", None)
    if isinstance(status, int):
        return status in _TRY_LATER or status >= 500
    return any(isinstance(cause, OSError) for cause in _causes(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
