"""Which faults are tried again, and when."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from motet.bus.retries import RetryPolicy
from motet.messages import Fault

POLICIES = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, 100),
    delay_s=st.floats(0, 3600),
    delay_max_s=st.floats(0.001, 3600),
)
ATTEMPTS = st.integers(1, 2000)


def fault(**values: object) -> Fault:
    return Fault.model_validate({"type": "t", "message": "m", "retryable": True, **values})


@given(POLICIES, ATTEMPTS)
def test_delays_grow_within_bounds_until_the_last_attempt(
    policy: RetryPolicy, attempt: int
) -> None:
    delay_s = policy.next_delay_s(fault(), attempt)

    assert (delay_s is None) == (attempt >= policy.max_attempts)
    if delay_s is not None:
        whole = min(policy.delay_s * 2 ** (attempt - 1), policy.delay_max_s)
        assert whole / 2 <= delay_s <= whole


@given(POLICIES, ATTEMPTS, st.floats(0, 1e6))
def test_a_fault_that_names_a_time_is_obeyed(
    policy: RetryPolicy, attempt: int, after_s: float
) -> None:
    delay_s = policy.next_delay_s(fault(retry_after_s=after_s), attempt)
    assert delay_s == (None if attempt >= policy.max_attempts else after_s)


@given(POLICIES, ATTEMPTS)
def test_terminal_and_foreign_faults_are_not_tried_again(policy: RetryPolicy, attempt: int) -> None:
    assert policy.next_delay_s(fault(retryable=False, retry_after_s=1), attempt) is None
    assert policy.next_delay_s(fault(agent="other"), attempt) is None
