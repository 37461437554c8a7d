"""An account against a model of it: whatever is done, in whatever order, however often."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from motet.bus import accounts
from motet.bus.accounts import Account
from motet.errors import FaultError
from motet.messages import Budget, Usage

CALLS = st.sampled_from("abcdefgh")
TOKENS = st.integers(0, 60)


class Accounts(RuleBasedStateMachine):
    """The model keeps each thing that was done by its name, and adds up."""

    def __init__(self) -> None:
        super().__init__()
        self.account = Account(limits=Budget(calls=5, tokens=100))
        self.counted: set[str] = set()
        self.spent: dict[str, int] = {}
        self.open: dict[str, int] = {}
        self.requests = 0

    @property
    def left(self) -> int:
        return 100 - sum(self.spent.values()) - sum(self.open.values())

    def do(self, name: str, *arguments: Any) -> bool:
        """Does it twice, with a write between: the second time changes nothing."""
        try:
            self.account = getattr(self.account, name)(*arguments)
        except FaultError:
            return False
        self.account = Account.model_validate_json(
            self.account.model_dump_json(exclude_defaults=True)
        )
        assert getattr(self.account, name)(*arguments) is self.account
        return True

    @rule(call=CALLS)
    def count(self, call: str) -> None:
        fits = call in self.counted or len(self.counted) < 5
        assert self.do("count", call) == fits
        if fits:
            self.counted.add(call)

    @rule(prompt=TOKENS, answer=st.integers(1, 60))
    def ask(self, prompt: int, answer: int) -> None:
        self.requests += 1
        name, left = f"r{self.requests}", self.left
        least = Usage(input_tokens=prompt, output_tokens=1)
        most = Usage(input_tokens=prompt, output_tokens=answer)
        assert self.do("reserve", name, least, most) == (prompt + 1 <= left)
        if prompt + 1 <= left:
            granted = self.account.open[name]
            self.open[name] = granted.tokens
            assert granted.input_tokens == prompt
            assert 1 <= granted.output_tokens <= answer
            assert granted == most or granted.tokens >= left - 1

    @rule(data=st.data(), spent=TOKENS)
    def answer(self, data: st.DataObject, spent: int) -> None:
        names = [name for name in self.open if name.startswith("r")]
        if names:
            name = data.draw(st.sampled_from(names))
            assert self.do("settle", name, Usage(input_tokens=spent))
            del self.open[name]
            self.spent[name] = spent

    @rule(call=CALLS, share=TOKENS)
    def set_aside(self, call: str, share: int) -> None:
        left = self.left
        assert self.do("set_aside", call, Usage(input_tokens=share))
        if call not in self.open and call not in self.spent:
            self.open[call] = max(0, min(share, left))

    @rule(call=CALLS, spent=TOKENS)
    def take_back(self, call: str, spent: int) -> None:
        assert self.do("take_back", call, Usage(input_tokens=spent))
        if call in self.open:
            del self.open[call]
            self.spent[call] = spent

    @rule(name=CALLS, spent=TOKENS)
    def charge(self, name: str, spent: int) -> None:
        assert self.do("charge", name, Usage(input_tokens=spent))
        self.spent.setdefault(f"charged {name}", spent)

    @invariant()
    def adds_up(self) -> None:
        assert self.account.spent.calls == len(self.counted)
        assert self.account.spent.tokens == sum(self.spent.values())
        assert self.account.reserved.tokens == sum(self.open.values())
        assert self.account.left.tokens == max(0, self.left)
        assert (self.account.over == "tokens") == (sum(self.spent.values()) > 100)


TestAccounts = Accounts.TestCase


def test_a_refusal_says_which_limit_and_how_much_was_spent() -> None:
    account = Account(limits=Budget(tokens=100, cost_usd=1.0))
    account = account.charge("x", Usage(input_tokens=40, output_tokens=20))
    account = account.reserve("r", Usage(), Usage(output_tokens=30))
    with pytest.raises(FaultError) as refused:
        account.reserve("s", Usage(input_tokens=11), Usage(input_tokens=11))
    assert refused.value.fault.detail == {
        "limit": "tokens",
        "allowed": 100,
        "spent": 60,
        "reserved": 30,
        "wanted": 11,
    }
    assert (refused.value.fault.type, refused.value.fault.retryable) == ("budget_exceeded", False)
    assert refused.value.fault.message == (
        "The budget of 100 tokens is used up: 60 spent, 30 reserved, 11 more wanted."
    )


def test_an_answer_is_as_long_as_the_money_lasts() -> None:
    account = Account(limits=Budget(cost_usd=0.5))
    least = Usage(input_tokens=100, output_tokens=1, cost_usd=0.25)
    most = Usage(input_tokens=100, output_tokens=101, cost_usd=1.25)
    assert account.reserve("r", least, most).open["r"].cost_usd == pytest.approx(0.5)


def test_fractions_of_a_dollar_add_up_to_it() -> None:
    account = Account(limits=Budget(cost_usd=0.3))
    for name in "abc":
        account = account.reserve(name, Usage(cost_usd=0.1), Usage(cost_usd=0.1))
    assert account.over is None


def test_the_oldest_names_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "MOST_NAMES", 3)
    account = Account(limits=Budget(calls=10))
    for name in "abcd":
        account = account.count(name)
    assert len(account.done) == 3 * 8
    assert account.count("d").spent.calls == 4
    assert account.count("a").spent.calls == 5
