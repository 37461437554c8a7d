"""Budgets: limits that hold across parallel branches, replicas and crashes.

Each limit of a call is kept by one account, in the bucket `budgets` under `<task>.<call>`, where
`<call>` is the call in which the limit was set: the task itself, or one that was given a share.

Invariants:

- An account changes by compare-and-set, so that whoever reserves has what was reserved.
- A refusal is decided on what the bucket holds now, never on what this process remembers.
- What has no limit costs nothing: no account is read or written for it.
- Of what a process reserved that died, or an attempt that was cancelled, all counts as spent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from motet.bus.accounts import LIMITS, Account, amount_of, over_budget, usage_of
from motet.bus.connection import Bus
from motet.bus.context import CallContext
from motet.bus.kv import Bucket
from motet.errors import FaultError
from motet.messages import Budget, Usage, new_id

__all__ = ["Budgets", "Purse", "Reservation"]

Change = Callable[[Account], Account]


class Budgets:
    """The accounts that this process uses."""

    def __init__(self, bus: Bus) -> None:
        self._bucket = Bucket(bus, "budgets")
        self._desks: WeakValueDictionary[str, _Desk] = WeakValueDictionary()

    def purse(self, context: CallContext) -> Purse | None:
        """What a call pays from; None when nothing of it is limited."""
        limits = {
            limit: value
            for limit in LIMITS
            if (value := getattr(context.budget, limit)) is not None
        }
        if not limits:
            return None
        by_account: dict[str, dict[str, float]] = {}
        for limit, value in limits.items():
            by_account.setdefault(context.account(limit), {})[limit] = value
        desks = {
            self._desk(context.task, account, Budget.model_validate(values)): frozenset(values)
            for account, values in by_account.items()
        }
        return Purse(self, context, desks)

    def _desk(self, task: str, account: str, limits: Budget) -> _Desk:
        key = f"{task}.{account}"
        desk = self._desks.get(key)
        if desk is None:
            desk = self._desks[key] = _Desk(self._bucket, key, limits)
        return desk

    async def spent(self, task: str, account: str) -> Usage:
        """What an account has paid; what is still reserved in it counts as paid.

        Raises:
            FaultError: `unavailable`.
        """
        item = await self._bucket.get(f"{task}.{account}")
        if item is None:
            return Usage()
        found = Account.model_validate_json(item.value)
        return found.spent + found.reserved


class Purse:
    """The accounts of one call: one, or more where a share was given of some limits only."""

    def __init__(
        self,
        budgets: Budgets,
        context: CallContext,
        desks: Mapping[_Desk, frozenset[str]],
    ) -> None:
        self._budgets = budgets
        self._task = context.task
        self._desks = desks

    def left(self, budget: Budget) -> Budget:
        """What is left of a budget, or less where this process has seen that there is less."""
        values = budget.model_dump()
        for desk, limits in self._desks.items():
            if desk.account is not None:
                left = desk.account.left
                values |= {limit: min(values[limit], getattr(left, limit)) for limit in limits}
        return Budget(**values)

    def check(self) -> None:
        """Raises `budget_exceeded` when this process has seen that more was spent than may be."""
        for desk in self._desks:
            if desk.account is not None and (limit := desk.account.over) is not None:
                raise over_budget(desk.account, limit)

    async def count(self, call: str) -> None:
        """Counts a call that is delegated, before it is; once, however often it is issued.

        Raises:
            FaultError: `budget_exceeded`, `unavailable`.
        """
        for desk, limits in self._desks.items():
            if "calls" in limits:
                await desk.change(lambda account: account.count(call))

    async def charge(self, usage: Usage) -> None:
        """Notes what was spent without having been reserved.

        Raises:
            FaultError: `budget_exceeded` when that was more than was left, `unavailable`.
        """
        name = new_id()
        for desk, limits in self._desks.items():
            if part := _part(usage, limits):
                await desk.change(_charging(name, part))
        self.check()

    async def set_aside(self, call: str, share: Budget) -> Budget:
        """Sets a share aside for a call; gives the share, or what was left of it.

        Raises:
            FaultError: `unavailable`.
        """
        granted = share.model_dump()
        for desk, limits in self._desks.items():
            own = {limit for limit in limits if granted[limit] is not None}
            if own:
                part = _part(usage_of(share), own) or Usage()
                account = await desk.change(_setting_aside(call, part))
                aside = account.share_of(call)
                if aside is not None:
                    granted |= {limit: amount_of(aside, limit) for limit in own}
        return Budget.model_validate(granted)

    async def take_back(self, call: str) -> None:
        """Takes back what a call, which has its outcome, did not spend of its share.

        Raises:
            FaultError: `unavailable`.
        """
        spent = await self._budgets.spent(self._task, call)
        for desk, limits in self._desks.items():
            if desk.account is None or desk.account.share_of(call) is not None:
                await desk.change(_taking_back(call, _part(spent, limits) or Usage()))

    @asynccontextmanager
    async def reserve(self, least: Usage, most: Usage) -> AsyncGenerator[Reservation]:
        """Reserves what a request to a model may cost; at the end, what it did takes that place.

        `least` is a request whose answer has one token, `most` one whose answer is as long as may
        be.

        A request that failed has cost what it says. Of one that was cancelled nobody knows what it
        has cost, and what was reserved stays.

        Raises:
            FaultError: `budget_exceeded`, `unavailable`.
        """
        name = new_id()[:12]
        room = Reservation(most.output_tokens)
        held: list[_Desk] = []
        failed: Exception | None = None
        try:
            for desk, limits in self._desks.items():
                if part := _part(most, limits):
                    least_part = _part(least, limits) or Usage()
                    account = await desk.change(_reserving(name, least_part, part))
                    held.append(desk)
                    granted = account.open[name]
                    if granted != part:
                        fits = _output(granted, least, most, limits)
                        room.output_tokens = min(room.output_tokens, fits)
            yield room
        except Exception as error:  # noqa: BLE001 - raised again below
            failed = error
        await self._settle(name, room.spent, held)
        if failed is not None:
            raise failed
        self.check()

    async def _settle(self, name: str, spent: Usage, held: list[_Desk]) -> None:
        for desk, limits in self._desks.items():
            part = _part(spent, limits)
            if desk in held:
                await desk.change(_settling(name, part or Usage()))
            elif part:
                await desk.change(_charging(name, part))


@dataclass
class Reservation:
    """What is reserved for one request to a model."""

    output_tokens: int
    """Tokens that the answer may have."""
    spent: Usage = field(default_factory=Usage)
    """What the request has cost; set before the end."""


class _Turn:
    """A change that waits to be written."""

    __slots__ = ("account", "change", "fault")

    def __init__(self, change: Change) -> None:
        self.change = change
        self.account: Account | None = None
        self.fault: FaultError | None = None


class _Desk:
    """One account as this process changes it: changes that come together are one write."""

    def __init__(self, bucket: Bucket, key: str, limits: Budget) -> None:
        self._bucket = bucket
        self._key = key
        self._limits = limits
        self._lock = asyncio.Lock()
        self._turns: list[_Turn] = []
        self._revision = 0
        self.account: Account | None = None
        """The account as last seen here."""

    async def change(self, change: Change) -> Account:
        """Changes the account; returns it as it is then.

        Raises:
            FaultError: What `change` raises, or `unavailable`.
        """
        turn = _Turn(change)
        self._turns.append(turn)
        try:
            async with self._lock:
                if turn.account is None and turn.fault is None:
                    await self._write()
        finally:
            if turn in self._turns:
                self._turns.remove(turn)
        if turn.fault is not None:
            raise FaultError(turn.fault.fault)
        assert turn.account is not None  # noqa: S101 - it was written
        return turn.account

    async def _write(self) -> None:
        """Writes all changes that wait. When that is cancelled, they wait for the next writer."""
        fresh = False
        while True:
            if self.account is None:
                try:
                    await self._read()
                except FaultError as error:
                    self._end([(turn, None, error) for turn in self._turns])
                    return
                fresh = True
            assert self.account is not None  # noqa: S101 - it was read
            before, after = self.account, self.account
            results: list[tuple[_Turn, Account | None, FaultError | None]] = []
            for turn in self._turns:
                try:
                    after = turn.change(after)
                    results.append((turn, after, None))
                except FaultError as error:
                    results.append((turn, None, error))
            if after is before:
                if fresh or all(error is None for _, _, error in results):
                    self._end(results)
                    return
                self.account = None
                continue
            try:
                revision = await self._bucket.put(self._key, _json(after), self._revision)
            except FaultError as error:
                self.account = None
                self._end([(turn, None, error) for turn, _, _ in results])
                return
            if revision is not None:
                self.account, self._revision = after, revision
                self._end(results)
                return
            self.account = None

    def _end(self, results: list[tuple[_Turn, Account | None, FaultError | None]]) -> None:
        ended = [turn for turn, _, _ in results]
        self._turns = [turn for turn in self._turns if turn not in ended]
        for turn, account, fault in results:
            turn.account, turn.fault = account, fault

    async def _read(self) -> None:
        item = await self._bucket.get(self._key)
        if item is None:
            self.account, self._revision = Account(limits=self._limits), 0
        else:
            self.account = Account.model_validate_json(item.value)
            self._revision = item.revision


def _json(account: Account) -> bytes:
    return account.model_dump_json(exclude_defaults=True).encode()


def _part(usage: Usage, limits: frozenset[str] | set[str]) -> Usage | None:
    """What of a usage some limits limit; None when that is nothing."""
    part = Usage(
        input_tokens=usage.input_tokens if "tokens" in limits else 0,
        output_tokens=usage.output_tokens if "tokens" in limits else 0,
        cost_usd=usage.cost_usd if "cost_usd" in limits else 0.0,
        calls=usage.calls if "calls" in limits else 0,
    )
    return part if part.tokens or part.cost_usd or part.calls else None


def _output(granted: Usage, least: Usage, most: Usage, limits: frozenset[str]) -> int:
    """Tokens that a model may write for what was granted."""
    if "tokens" in limits:
        return granted.output_tokens
    part = (granted.cost_usd - least.cost_usd) / (most.cost_usd - least.cost_usd)
    return least.output_tokens + int((most.output_tokens - least.output_tokens) * part)


def _charging(name: str, usage: Usage) -> Change:
    return lambda account: account.charge(name, usage)


def _setting_aside(call: str, share: Usage) -> Change:
    return lambda account: account.set_aside(call, share)


def _taking_back(call: str, spent: Usage) -> Change:
    return lambda account: account.take_back(call, spent)


def _reserving(name: str, least: Usage, most: Usage) -> Change:
    return lambda account: account.reserve(name, least, most)


def _settling(name: str, spent: Usage) -> Change:
    return lambda account: account.settle(name, spent)
