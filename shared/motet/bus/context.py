"""Call context: for which task, by whom, until when and with what a call is made.

It rides in headers beside the body, is inherited by every delegation, and only ever shrinks on
its way down: an earlier deadline, a smaller budget, less depth.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache

from pydantic import TypeAdapter, ValidationError

from motet.bus.topology import Header, call_id
from motet.errors import FaultError
from motet.messages import Budget, FaultType, Token

__all__ = ["CallContext"]

FRESH_S = 30.0
"""Seconds within which a call must be stored to count as fresh. See `motet.bus.ledger`."""

SOURCE = "motet/"
"""How the CloudEvents source of Motet's own callers begins."""

_UNLIMITED = "{}"

_TOKEN: TypeAdapter[str] = TypeAdapter(Token)


NO_LIMITS = Budget()


@dataclass(frozen=True, slots=True)
class CallContext:
    """What a call inherits from its caller."""

    task: str
    call: str
    parent: str | None = None
    depth: int = 0
    """Levels of delegation above it."""
    deadline: float | None = None
    """Unix time in seconds."""
    budget: Budget = NO_LIMITS
    """What it and everything below it may spend."""
    reply: str | None = None
    """The core subject on which the caller waits."""
    watched: bool = True
    """Whether events are written."""
    fresh: bool = False
    """Whether its caller issues it for the first time (see `Ledger`)."""

    def child(
        self, step: str, *, deadline: float | None, budget: Budget, fresh: bool
    ) -> CallContext:
        """The context of the call that this one delegates as `step`."""
        deadlines = [value for value in (self.deadline, deadline) if value is not None]
        return replace(
            self,
            call=call_id(self.task, self.call, step),
            parent=self.call,
            depth=self.depth + 1,
            deadline=min(deadlines, default=None),
            budget=budget,
            reply=None,
            fresh=fresh,
        )

    def time_left_s(self) -> float | None:
        """Seconds until the deadline, negative when it passed; None without one."""
        return None if self.deadline is None else self.deadline - time.time()

    def headers(self) -> dict[str, str]:
        """The context as headers."""
        headers = {
            Header.TASK: self.task,
            Header.CALL: self.call,
            Header.DEPTH: str(self.depth),
            Header.CE_TIME: datetime.now(UTC).isoformat(),
        }
        budget = _budget_text(self.budget)
        if budget != _UNLIMITED:
            headers[Header.BUDGET] = budget
        if self.parent is not None:
            headers[Header.PARENT] = self.parent
        if self.deadline is not None:
            headers[Header.DEADLINE] = f"{self.deadline:.3f}"
        if self.reply is not None:
            headers[Header.REPLY] = self.reply
        if not self.fresh:
            headers[Header.REISSUED] = "1"
        if not self.watched:
            headers[Header.WATCHED] = "0"
        return headers

    @classmethod
    def read(cls, headers: Mapping[str, str], sequence: int, stored_at: float) -> CallContext:
        """The context of a received call.

        A call without headers is one of its own: its ids are made from its place in the stream.

        Raises:
            FaultError: `invalid_input` when a header does not fit.
        """
        try:
            deadline = headers.get(Header.DEADLINE)
            reply = headers.get(Header.REPLY)
            return cls(
                task=_token(headers.get(Header.TASK) or f"call-{sequence}"),
                call=_token(headers.get(Header.CALL) or f"call-{sequence}"),
                parent=headers.get(Header.PARENT),
                depth=int(headers.get(Header.DEPTH, "0")),
                deadline=None if deadline is None else float(deadline),
                budget=_budget(headers.get(Header.BUDGET, _UNLIMITED)),
                # Only an inbox: a result must not become a message that somebody acts on.
                reply=reply if reply and reply.startswith("_INBOX.") else None,
                fresh=_is_fresh(headers, stored_at),
                watched=headers.get(Header.WATCHED) != "0" and Header.TASK in headers,
            )
        except (KeyError, ValueError) as error:
            raise FaultError.of(
                FaultType.INVALID_INPUT, f"A header of the call is wrong: {error}"
            ) from None


def _is_fresh(headers: Mapping[str, str], stored_at: float) -> bool:
    """Whether one of Motet's own callers issued the call just before it was stored."""
    if Header.REISSUED in headers or not headers.get(Header.CE_SOURCE, "").startswith(SOURCE):
        return False
    issued_at = datetime.fromisoformat(headers[Header.CE_TIME]).timestamp()
    return abs(stored_at - issued_at) < FRESH_S


@lru_cache(maxsize=4096)
def _token(value: str) -> str:
    return _TOKEN.validate_python(value)


def _budget_text(budget: Budget) -> str:
    return budget.model_dump_json(exclude_none=True)


@lru_cache(maxsize=1024)
def _budget(text: str) -> Budget:
    try:
        return Budget.model_validate_json(text)
    except ValidationError as error:
        raise ValueError(f"{Header.BUDGET}: {error.errors()[0]['msg']}") from None
