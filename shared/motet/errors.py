"""Exceptions: a fault as something to raise, and mistakes of set-up.

Control flow (a task that is cancelled) stands apart from failures: `asyncio.CancelledError`
stops a handler, `Suspended` ends an attempt until a person has replied, a `FaultError` ends its
call.
"""

from __future__ import annotations

from typing import Any

from motet.messages import Fault, FaultType, Usage

__all__ = ["FaultError", "MotetError", "NotYetError", "SetupError", "Suspended"]


class MotetError(Exception):
    """The base of what Motet raises."""


class SetupError(MotetError):
    """Something about the installation or the settings is wrong.

    The message is a sentence that says what, and what to do about it; the command line prints it
    without a traceback.
    """


class NotYetError(SetupError):
    """What is needed is not there, and may yet come: a server that starts, a user that it gets.

    An agent whose lifespan raises it is started again for `MOTET_START_WITHIN_S`.
    """


class FaultError(MotetError):
    """A fault, raised by a handler or given to a caller."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(f"{fault.type}: {fault.message}")
        self.fault = fault

    @classmethod
    def of(
        cls,
        type: FaultType | str,
        message: str,
        *,
        retryable: bool = False,
        retry_after_s: float | None = None,
        cause: Fault | None = None,
        **detail: Any,
    ) -> FaultError:
        """A fault of `type`; `detail` must be JSON."""
        return cls(
            Fault(
                type=str(type),
                message=message,
                retryable=retryable,
                retry_after_s=retry_after_s,
                detail=detail,
                cause=cause,
            )
        )


class Suspended(BaseException):
    """An attempt ends here, since a person was asked; another goes on once there is a reply.

    Raised by `Call.ask` and `Call.delegate`. Handlers let it pass, as they do a cancellation.
    """

    def __init__(self, questions: frozenset[str], usage: Usage | None = None) -> None:
        super().__init__(f"waits for a person: {', '.join(sorted(questions))}")
        self.questions = questions
        """Ids of the questions."""
        self.usage = usage or Usage()
        """What was spent before, for whoever waits."""
