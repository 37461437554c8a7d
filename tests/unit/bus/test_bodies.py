"""What comes in is read or refused in a sentence; what goes out is bounded."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from motet.bus.bodies import MAX_FAULT_BYTES, bounded, fault_of, read_blob_ref, read_body
from motet.errors import FaultError
from motet.messages import Fault, FaultType, Task

TASK: TypeAdapter[Task] = TypeAdapter(Task)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def refusal(read: Callable[[], object]) -> Fault | None:
    """The fault that reading ends in, if it does."""
    try:
        read()
    except FaultError as error:
        return error.fault
    return None


@given(st.binary() | st.builds(lambda value: str(value).encode("utf-8", "replace"), JSON))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    fault = refusal(partial(read_body, TASK, body, "a task"))
    if fault is not None:
        assert fault.type in (FaultType.INVALID_INPUT, FaultType.UNSUPPORTED_VERSION)
        assert fault.message.startswith("The body for a task ")
        assert not fault.retryable


@given(st.text())
def test_any_reference_is_read_or_refused(text: str) -> None:
    fault = refusal(partial(read_blob_ref, text))
    assert fault is None or fault.type == FaultType.INVALID_INPUT


@given(st.integers(0, 100_000), st.integers(0, 100_000))
def test_a_fault_keeps_what_fits(detail: int, length: int) -> None:
    fault = Fault(
        type="t", message="m" * length, detail={"x": "d" * detail}, retryable=True, agent="a"
    )

    kept = bounded(fault)

    assert len(kept.model_dump_json()) <= MAX_FAULT_BYTES
    assert (kept.type, kept.retryable, kept.agent) == ("t", True, "a")
    assert fault.message.startswith(kept.message)
    if len(fault.model_dump_json()) <= MAX_FAULT_BYTES:
        assert kept == fault


def test_a_fault_that_is_no_json_loses_its_detail() -> None:
    kept = bounded(Fault(type="t", message="m", detail={"x": object()}))
    assert (kept.message, kept.detail) == ("m", {})


def test_an_exception_is_a_fault_that_is_tried_again() -> None:
    fault = fault_of(ValueError("x" * 10_000), "worker.work").fault
    assert fault.type == FaultType.INTERNAL
    assert fault.message.startswith("worker.work raised ValueError: xxx")
    assert (fault.retryable, len(fault.message) < 5000) == (True, True)
