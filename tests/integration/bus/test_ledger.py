"""The ledger against a model of it: the first outcome stands, whoever writes in whatever order."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import (
    invariant,
    precondition,
    rule,
)

from motet.bus import Ledger
from motet.messages import CallClaim, CallResult
from motet.testing import TestMesh
from tests.integration.bus.stateful import MeshMachine, check

CALLS = st.sampled_from(["a", "b"])
WRITERS = st.integers(min_value=1, max_value=3)


def result(call: str, by: int) -> bytes:
    made = CallResult(task="t", call=call, agent=f"w{by}", skill="s", ok=True, output=by)
    return made.model_dump_json().encode()


class LedgerMachine(MeshMachine):
    """Writers with possibly outdated knowledge; the model is a dictionary and a counter."""

    def __init__(self) -> None:
        super().__init__()
        self.task = f"t{self.run}"
        self.ledger = Ledger(self.mesh.bus)
        self.outcomes: dict[str, bytes] = {}
        self.claims: dict[str, int] = {}
        self.seen: dict[tuple[int, str], int] = {}
        """What a writer believes to be the newest revision; nothing once it saw an outcome."""
        self.informed: set[tuple[int, str]] = set()
        """Who saw an outcome, and so writes no more."""

    @rule(by=WRITERS, call=CALLS)
    def look(self, by: int, call: str) -> None:
        entry = self.do(self.ledger.entry(self.task, call))
        if entry is not None and entry.result is None:
            self.seen[by, call] = entry.revision
        elif entry is not None:
            self.informed.add((by, call))
        record = None if entry is None else entry.record
        if call in self.outcomes:
            assert record == CallResult.model_validate_json(self.outcomes[call])
        elif call in self.claims:
            assert isinstance(record, CallClaim)
            assert record.attempt == self.claims[call]
        else:
            assert record is None

    @rule(by=WRITERS, call=CALLS, attempt=st.integers(1, 4))
    def claim(self, by: int, call: str, attempt: int) -> None:
        if (by, call) in self.informed:
            return
        newest = self.do(self.ledger.entry(self.task, call))
        fits = self.seen.get((by, call), 0) == (newest.revision if newest else 0)
        claim = CallClaim(task=self.task, call=call, sequence=by, attempt=attempt, instance="i")
        revision = self.do(self.ledger.claim(claim, self.seen.get((by, call), 0)))
        assert (revision is not None) == fits
        if revision is not None:
            assert call not in self.outcomes
            self.claims[call] = attempt
            self.seen[by, call] = revision

    @rule(by=WRITERS, call=CALLS)
    def settle(self, by: int, call: str) -> None:
        if (by, call) in self.informed:
            return
        body = result(call, by)
        standing = self.do(self.ledger.settle(self.task, call, body, self.seen.get((by, call), 0)))
        assert standing == self.outcomes.setdefault(call, body)
        self.informed.add((by, call))

    @precondition(lambda self: self.outcomes)
    @invariant()
    def what_stands_stays(self) -> None:
        for call, body in self.outcomes.items():
            entry = self.do(self.ledger.entry(self.task, call))
            assert entry is not None
            assert entry.result == CallResult.model_validate_json(body)


def test_the_first_outcome_stands(nats_url: str, tmp_path: Path) -> None:
    check(LedgerMachine, nats_url, tmp_path)


async def test_of_many_who_settle_at_once_one_does(mesh: TestMesh) -> None:
    ledger = Ledger(mesh.bus)

    standing = await asyncio.gather(
        *(ledger.settle("t", "c", result("c", by), 0) for by in range(20))
    )

    assert len(set(standing)) == 1
    entry = await ledger.entry("t", "c")
    assert entry is not None
    assert entry.result == CallResult.model_validate_json(standing[0])
