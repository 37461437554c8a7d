"""Call context: for which task, by whom, until when and with what a call is made.

It rides in headers beside the body, is inherited by every delegation, and only ever shrinks on
its way down: an earlier deadline, a smaller budget, less depth.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache

from pydantic import TypeAdapter, ValidationError

from motet.bus.topology import Header, call_id
from motet.errors import FaultError
from motet.messages import ANYBODY, Budget, FaultType, Principal, Token

__all__ = ["CallContext", "narrowed", "reply_subject"]

FRESH_S = 30.0
"""Seconds within which a call must be stored to count as fresh. See `motet.bus.ledger`."""

SOURCE = "motet/"
"""How the CloudEvents source of Motet's own callers begins."""

_UNLIMITED = "{}"
_BUDGET_MAX_LENGTH = 1000
_ACCOUNTED = ("calls", "tokens", "cost_usd")
_PATH_MAX_SKILLS = 64
_PATH_MAX_LENGTH = _PATH_MAX_SKILLS * 82
"""A skill's full name has at most 81 characters."""
_ACCESS_MAX_LENGTH = 64 * 129
_LATEST = datetime.max.replace(tzinfo=UTC).timestamp()
_INBOX = re.compile(r"_INBOX\.[A-Za-z0-9_.-]{1,200}")

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
    """What it and everything below it may spend: the limits, whatever of them is spent."""
    accounts: tuple[tuple[str, str], ...] = ()
    """Limits that were set above, each with the call in which it was. See `motet.bus.budgets`."""
    path: tuple[str, ...] = ()
    """The skills above it, the topmost first, each once."""
    principal: Principal = ANYBODY
    """On whose behalf; the same all the way down."""
    reply: str | None = None
    """The core subject on which the caller waits."""
    watched: bool = True
    """Whether events are written."""
    fresh: bool = False
    """Whether its caller issues it for the first time (see `Ledger`)."""
    resumed: int = 0
    """The place in the stream TASKS of what its task was resumed with; 0 before that."""

    def child(
        self,
        step: str,
        *,
        deadline: float | None,
        fresh: bool,
        share: Budget | None = None,
        caller: str | None = None,
    ) -> CallContext:
        """The context of the call that this one delegates as `step`.

        Args:
            step: The caller's name for it.
            deadline: Unix time in seconds; that of this call holds in any case.
            fresh: Whether it is issued for the first time.
            share: Limits of its own; those that it does not set are those of this call.
            caller: The skill that delegates.
        """
        deadlines = [value for value in (self.deadline, deadline) if value is not None]
        return replace(
            self,
            call=call_id(self.task, self.call, step),
            parent=self.call,
            depth=self.depth + 1,
            deadline=min(deadlines, default=None),
            budget=self.budget if share is None else narrowed(self.budget, share),
            accounts=tuple(
                (limit, self.account(limit))
                for limit in _ACCOUNTED
                if getattr(self.budget, limit) is not None
                and (share is None or getattr(share, limit) is None)
            ),
            path=self.path if caller is None else _longer(self.path, caller),
            reply=None,
            fresh=fresh,
        )

    def account(self, limit: str) -> str:
        """The call in which a limit was set, whose account keeps it."""
        return next((call for name, call in self.accounts if name == limit), self.call)

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
        if self.accounts:
            headers[Header.ACCOUNT] = ",".join(f"{name}={call}" for name, call in self.accounts)
        if self.path:
            headers[Header.PATH] = ",".join(self.path)
        if self.principal != ANYBODY:
            headers[Header.TENANT] = self.principal.tenant
            headers[Header.ACCESS] = ",".join(self.principal.access)
        if self.parent is not None:
            headers[Header.PARENT] = self.parent
        if self.deadline is not None:
            headers[Header.DEADLINE] = f"{self.deadline:.3f}"
        if self.reply is not None:
            headers[Header.REPLY] = self.reply
        if not self.fresh:
            headers[Header.REISSUED] = "1"
        if self.resumed:
            headers[Header.RESUMED] = str(self.resumed)
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
            return cls(
                task=_token(headers.get(Header.TASK) or f"call-{sequence}"),
                call=_token(headers.get(Header.CALL) or f"call-{sequence}"),
                parent=headers.get(Header.PARENT),
                depth=_count(Header.DEPTH, headers),
                deadline=None if deadline is None else _moment(deadline),
                budget=_budget(headers.get(Header.BUDGET, _UNLIMITED)),
                accounts=_accounts(headers.get(Header.ACCOUNT)),
                path=_path(headers.get(Header.PATH)),
                principal=_principal(headers.get(Header.TENANT), headers.get(Header.ACCESS)),
                reply=reply_subject(headers),
                fresh=_is_fresh(headers, stored_at),
                watched=headers.get(Header.WATCHED) != "0" and Header.TASK in headers,
                resumed=_count(Header.RESUMED, headers),
            )
        except (KeyError, OverflowError, ValueError) as error:
            raise FaultError.of(
                FaultType.INVALID_INPUT, f"A header of the call is wrong: {str(error)[:500]}"
            ) from None

    @classmethod
    def salvage(cls, headers: Mapping[str, str], sequence: int) -> CallContext:
        """What holds of a call whose headers `read` refuses: its ids and reply, where they fit."""
        fallback = f"call-{sequence}"
        try:
            task = _token(headers.get(Header.TASK) or fallback)
            call = _token(headers.get(Header.CALL) or fallback)
        except ValueError:
            task = call = fallback
        return cls(task=task, call=call, reply=reply_subject(headers), watched=False)


def reply_subject(headers: Mapping[str, str]) -> str | None:
    """Where the sender of a message waits for its outcome.

    Only an inbox is: a result must not become a message that somebody acts on.
    """
    reply = headers.get(Header.REPLY)
    return reply if reply and _INBOX.fullmatch(reply) else None


def _is_fresh(headers: Mapping[str, str], stored_at: float) -> bool:
    """Whether one of Motet's own callers issued the call just before it was stored."""
    if Header.REISSUED in headers or not headers.get(Header.CE_SOURCE, "").startswith(SOURCE):
        return False
    issued_at = datetime.fromisoformat(headers[Header.CE_TIME]).timestamp()
    return abs(stored_at - issued_at) < FRESH_S


def _count(name: str, headers: Mapping[str, str]) -> int:
    count = int(headers.get(name, "0"))
    if count < 0:
        raise ValueError(f"{name}: {count} is below 0")
    return count


def _moment(text: str) -> float:
    moment = float(text)
    if not math.isfinite(moment) or not 0 <= moment <= _LATEST:
        raise ValueError(f"{Header.DEADLINE}: {text!r} is no moment in Unix time")
    return moment


@lru_cache(maxsize=4096)
def _token(value: str) -> str:
    return _TOKEN.validate_python(value)


def _accounts(text: str | None) -> tuple[tuple[str, str], ...]:
    if not text:
        return ()
    pairs = [part.partition("=") for part in text.split(",", len(_ACCOUNTED))]
    if any(name not in _ACCOUNTED for name, _, _ in pairs):
        raise ValueError(f"{Header.ACCOUNT}: it names a limit that there is not")
    return tuple((name, _token(call)) for name, _, call in pairs)


def _path(text: str | None) -> tuple[str, ...]:
    if not text:
        return ()
    if len(text) > _PATH_MAX_LENGTH:
        raise ValueError(f"{Header.PATH}: it has {len(text)} characters")
    return tuple(text.split(","))


@lru_cache(maxsize=1024)
def _principal(tenant: str | None, access: str | None) -> Principal:
    if tenant is None and access is None:
        return ANYBODY
    if access is not None and len(access) > _ACCESS_MAX_LENGTH:
        raise ValueError(f"{Header.ACCESS}: it has {len(access)} characters")
    try:
        return Principal(
            tenant=ANYBODY.tenant if tenant is None else tenant,
            access=tuple(access.split(",")) if access else (),
        )
    except ValidationError as error:
        first = error.errors()[0]
        name = Header.TENANT if first["loc"][0] == "tenant" else Header.ACCESS
        raise ValueError(f"{name}: {first['msg']}") from None


def _longer(path: tuple[str, ...], skill: str) -> tuple[str, ...]:
    """A path with one more skill; of one that is longer than any header may be, the lower end."""
    return (*(other for other in path if other != skill), skill)[-_PATH_MAX_SKILLS:]


def narrowed(budget: Budget, share: Budget) -> Budget:
    """The limits of a budget with those that a share sets in their place, if they are lower."""
    values = budget.model_dump()
    for name, value in share.model_dump(exclude_none=True).items():
        values[name] = value if values[name] is None else min(value, values[name])
    return Budget(**values)


def _budget_text(budget: Budget) -> str:
    return budget.model_dump_json(exclude_none=True)


@lru_cache(maxsize=1024)
def _budget(text: str) -> Budget:
    if len(text) > _BUDGET_MAX_LENGTH:
        raise ValueError(f"{Header.BUDGET}: it has {len(text)} characters")
    try:
        return Budget.model_validate_json(text)
    except ValidationError as error:
        raise ValueError(f"{Header.BUDGET}: {error.errors()[0]['msg']}") from None
