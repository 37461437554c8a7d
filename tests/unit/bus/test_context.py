"""The context of a call in headers: carried as it is, and refused where it does not fit."""

from __future__ import annotations

import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.bus import CallContext, Header, call_id
from motet.bus.accounts import LIMITS
from motet.bus.context import reply_subject
from motet.errors import FaultError
from motet.messages import Budget, Fault, Principal

TOKENS = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=64)
BUDGETS = st.builds(
    Budget,
    tokens=st.none() | st.integers(0, 10**9),
    cost_usd=st.none() | st.floats(0, 1e6),
    calls=st.none() | st.integers(0, 10**6),
    depth=st.none() | st.integers(0, 64),
)
PRINCIPALS = st.builds(
    Principal,
    tenant=TOKENS,
    access=st.lists(st.from_regex(r"[A-Za-z0-9_.:@/-]{1,128}", fullmatch=True), max_size=64).map(
        tuple
    ),
)
SKILLS = st.from_regex(r"[a-z]{1,9}\.[a-z]{1,9}", fullmatch=True)
CONTEXTS = st.builds(
    CallContext,
    task=TOKENS,
    call=TOKENS,
    parent=st.none() | TOKENS,
    depth=st.integers(0, 64),
    deadline=st.none() | st.floats(0, 4e9).map(lambda moment: round(moment, 3)),
    budget=BUDGETS,
    reply=st.none() | TOKENS.map(lambda token: f"_INBOX.{token}"),
    watched=st.booleans(),
    accounts=st.dictionaries(st.sampled_from(LIMITS), TOKENS).map(lambda each: tuple(each.items())),
    path=st.lists(SKILLS, max_size=64).map(tuple),
    principal=PRINCIPALS,
)
MOTET_HEADERS = [
    value
    for name, value in vars(Header).items()
    if name.isupper() and value.startswith(("motet-", "ce-"))
]


@given(CONTEXTS)
def test_what_is_written_is_read(context: CallContext) -> None:
    assert CallContext.read(context.headers(), 1, time.time()) == context


@given(st.dictionaries(st.sampled_from(MOTET_HEADERS), st.text(), max_size=8))
def test_whatever_the_headers_say_it_is_read_or_refused(headers: dict[str, str]) -> None:
    fault: Fault | None = None
    try:
        context = CallContext.read(headers, 7, time.time())
    except FaultError as error:
        fault, context = error.fault, CallContext.salvage(headers, 7)
    assert fault is None or (fault.type, len(fault.message) < 1000) == ("invalid_input", True)
    assert context.depth >= 0
    assert context.deadline is None or context.time_left_s() is not None
    assert context.reply is None or context.reply.startswith("_INBOX.")


def test_a_call_without_headers_is_one_of_its_own() -> None:
    context = CallContext.read({}, 12, time.time())
    assert context == CallContext(task="call-12", call="call-12", watched=False)


@pytest.mark.parametrize(
    "headers, ids",
    [
        ({}, ("call-7", "call-7")),
        ({Header.TASK: "t"}, ("t", "call-7")),
        ({Header.TASK: "t", Header.CALL: "c"}, ("t", "c")),
        ({Header.TASK: "t", Header.CALL: "c.d"}, ("call-7", "call-7")),
        ({Header.TASK: "no task", Header.CALL: "c"}, ("call-7", "call-7")),
    ],
)
def test_ids_are_salvaged_as_far_as_they_fit(headers: dict[str, str], ids: tuple[str, str]) -> None:
    context = CallContext.salvage({**headers, Header.DEADLINE: "soon"}, 7)
    assert (context.task, context.call) == ids


@given(CONTEXTS, TOKENS, st.none() | st.floats(0, 4e9), st.none() | BUDGETS, SKILLS)
def test_what_is_delegated_has_no_more_than_its_caller(
    context: CallContext, step: str, deadline: float | None, share: Budget | None, caller: str
) -> None:
    child = context.child(step, deadline=deadline, share=share, caller=caller, fresh=True)

    assert child.task == context.task
    assert child.principal == context.principal
    assert child.parent == context.call
    assert child.depth == context.depth + 1
    limits = [limit for limit in (context.deadline, deadline) if limit is not None]
    assert child.deadline == min(limits, default=None)
    assert child.call == call_id(context.task, context.call, step)
    assert child.path[-1] == caller
    assert set(child.path) >= set(context.path[-63:])
    for limit in Budget.model_fields:
        allowed, own = getattr(context.budget, limit), getattr(share, limit, None)
        wanted = [value for value in (allowed, own) if value is not None]
        assert getattr(child.budget, limit) == min(wanted, default=None)
        if limit in LIMITS and wanted:
            account = context.account(limit) if own is None else child.call
            assert child.account(limit) == account


@given(st.lists(st.tuples(TOKENS, TOKENS, st.text()), unique=True, min_size=2, max_size=6))
def test_ids_of_calls_differ_by_task_parent_and_step(parts: list[tuple[str, str, str]]) -> None:
    ids = [call_id(*part) for part in parts]
    assert len(set(ids)) == len(parts)
    assert ids == [call_id(*part) for part in parts]
    assert {len(each) for each in ids} == {32}


@pytest.mark.parametrize(
    "headers, fresh",
    [
        ({}, True),
        ({Header.REISSUED: "1"}, False),
        ({Header.CE_SOURCE: "somebody/else"}, False),
        ({Header.CE_TIME: "2020-01-01T00:00:00+00:00"}, False),
    ],
)
def test_only_a_call_just_issued_by_motet_is_fresh(headers: dict[str, str], fresh: bool) -> None:
    issued = {**CallContext("t", "c", fresh=True).headers(), Header.CE_SOURCE: "motet/x", **headers}
    assert CallContext.read(issued, 1, time.time()).fresh is fresh


@pytest.mark.parametrize(
    "reply",
    ["", "x", "_INBOX", "_INBOX.", "_INBOX.*", "_INBOX.a b", "_INBOX.a\r\nPUB x 1", "$JS.x"],
)
def test_a_result_goes_to_an_inbox_only(reply: str) -> None:
    assert reply_subject({Header.REPLY: reply}) is None
