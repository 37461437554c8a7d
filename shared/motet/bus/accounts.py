"""Accounts: what one budget has paid, and what is reserved in it.

An account is a value; each operation gives the account as it is afterwards.

Invariants:

- What is spent and what is reserved are together within every limit, unless more was spent than
  had been reserved: then nothing more is reserved.
- An operation that is done again under its name changes nothing, so that a step which is issued
  again after a crash, or a write whose acknowledgement was lost, counts once.
"""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache

from pydantic import Field

from motet.errors import FaultError
from motet.messages import Budget, FaultType, Usage
from motet.messages.base import Value

__all__ = ["LIMITS", "Account", "amount_of", "over_budget", "usage_of"]

LIMITS = ("calls", "tokens", "cost_usd")
"""The limits of a `Budget` that are spent, each a property of `Usage` as well."""

MOST_NAMES = 16_384
"""Names of operations that are remembered; the oldest are forgotten first."""

_NAME_LENGTH = 8
_ROUNDING = 1e-9
"""US dollars that sums of fractions may be off."""


class Account(Value):
    """One account. Amounts are `Usage`s, of which only what has a limit is noted."""

    limits: Budget
    spent: Usage = Usage()
    open: dict[str, Usage] = Field(default_factory=dict)
    """What is reserved, by its name. What was reserved by somebody who died stays."""
    done: str = ""
    """Short names of what counts for good, each of `_NAME_LENGTH` characters, oldest first."""

    @property
    def reserved(self) -> Usage:
        """All that is reserved."""
        return sum(self.open.values(), Usage())

    @property
    def left(self) -> Budget:
        """What can still be reserved."""
        return self.limits.minus(self.spent + self.reserved)

    @property
    def over(self) -> str | None:
        """The limit that is passed, if any."""
        return _passed(self.limits, self.spent)

    def count(self, call: str) -> Account:
        """Counts a delegated call, once.

        Raises:
            FaultError: `budget_exceeded`.
        """
        name = _short(f"call {call}")
        if self._is_done(name):
            return self
        self._check(Usage(calls=1))
        return self._done(name, spent=self.spent + Usage(calls=1))

    def charge(self, name: str, usage: Usage) -> Account:
        """Notes what was spent without having been reserved, once a name."""
        name = _short(name)
        if self._is_done(name):
            return self
        return self._done(name, spent=self.spent + usage)

    def reserve(self, name: str, least: Usage, most: Usage) -> Account:
        """Reserves `most`, or less of it where less is left, but not less than `least`.

        Raises:
            FaultError: `budget_exceeded`.
        """
        if name in self.open:
            return self
        self._check(least)
        return self._with_open(name, _between(least, most, self.left))

    def set_aside(self, call: str, share: Usage) -> Account:
        """Reserves a share for a call, or as much of it as is left."""
        name = f"share {call}"
        if name in self.open or self._is_done(_short(name)):
            return self
        left = self.left
        amounts = {limit: _smaller(amount_of(share, limit), left, limit) for limit in LIMITS}
        return self._with_open(name, usage_of(Budget.model_validate(amounts)))

    def share_of(self, call: str) -> Usage | None:
        """What was set aside for a call; None when that has come back."""
        return self.open.get(f"share {call}")

    def settle(self, name: str, spent: Usage) -> Account:
        """Puts what was spent in the place of what was reserved."""
        if name not in self.open:
            return self
        others = {key: value for key, value in self.open.items() if key != name}
        return self.model_copy(update={"open": others, "spent": self.spent + spent})

    def take_back(self, call: str, spent: Usage) -> Account:
        """Puts what a call spent in the place of its share, for good."""
        name = f"share {call}"
        if name not in self.open:
            return self
        settled = self.settle(name, spent)
        return settled.model_copy(update={"done": settled.remembering(_short(name))})

    def _check(self, wanted: Usage) -> None:
        """Raises a fault when `wanted` is more than is left."""
        limit = _passed(self.limits, self.spent + self.reserved + wanted, wanted)
        if limit is not None:
            raise over_budget(self, limit, wanted)

    def _with_open(self, name: str, amount: Usage) -> Account:
        return self.model_copy(update={"open": {**self.open, name: amount}})

    def _is_done(self, name: str) -> bool:
        at = self.done.find(name)
        while at >= 0 and at % _NAME_LENGTH:
            at = self.done.find(name, at + 1)
        return at >= 0

    def _done(self, name: str, **values: Usage) -> Account:
        return self.model_copy(update={"done": self.remembering(name), **values})

    def remembering(self, name: str) -> str:
        """The names of what counts for good, with one more."""
        return (self.done + name)[-MOST_NAMES * _NAME_LENGTH :]


def over_budget(account: Account, limit: str, wanted: Usage | None = None) -> FaultError:
    """The fault that says which limit, and how much was spent."""
    allowed = getattr(account.limits, limit)
    spent = amount_of(account.spent, limit)
    reserved = amount_of(account.reserved, limit)
    more = amount_of(wanted, limit) if wanted is not None else 0
    return FaultError.of(
        FaultType.BUDGET_EXCEEDED,
        f"The budget of {allowed:g} {limit} is used up: {spent:g} spent, {reserved:g} reserved"
        + (f", {more:g} more wanted." if more else "."),
        limit=limit,
        allowed=allowed,
        spent=spent,
        reserved=reserved,
        wanted=more,
    )


def amount_of(usage: Usage, limit: str) -> float:
    """How much of what `limit` limits a usage is."""
    value: float = getattr(usage, limit)
    return value


def usage_of(budget: Budget) -> Usage:
    """All of a budget, as if it were spent."""
    return Usage(
        input_tokens=budget.tokens or 0, cost_usd=budget.cost_usd or 0.0, calls=budget.calls or 0
    )


def _passed(limits: Budget, usage: Usage, wanted: Usage | None = None) -> str | None:
    """The first limit that a usage passes, of those that `wanted` has a part in."""
    for limit in LIMITS:
        allowed = getattr(limits, limit)
        if allowed is None or (wanted is not None and not amount_of(wanted, limit)):
            continue
        if amount_of(usage, limit) > allowed + (_ROUNDING if limit == "cost_usd" else 0):
            return limit
    return None


def _between(least: Usage, most: Usage, left: Budget) -> Usage:
    """As much as fits of `most`; the part over `least` is cut in proportion."""
    part = 1.0
    for limit in LIMITS:
        allowed = getattr(left, limit)
        over = amount_of(most, limit) - amount_of(least, limit)
        if allowed is not None and over > 0:
            part = min(part, max(0.0, (allowed - amount_of(least, limit)) / over))
    if part >= 1:
        return most
    return Usage(
        input_tokens=least.input_tokens,
        output_tokens=least.output_tokens + int((most.output_tokens - least.output_tokens) * part),
        cost_usd=least.cost_usd + (most.cost_usd - least.cost_usd) * part,
    )


def _smaller(wanted: float, left: Budget, limit: str) -> float:
    available = getattr(left, limit)
    return wanted if available is None else min(wanted, available)


@lru_cache(maxsize=4096)
def _short(name: str) -> str:
    """48 bits of a name: with 10,000 of them, two are equal in one case of five million."""
    digest = hashlib.sha256(name.encode()).digest()[: _NAME_LENGTH * 6 // 8]
    return base64.urlsafe_b64encode(digest).decode()
