"""State machines of hypothesis that run against a mesh."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from motet.testing import TestMesh, test_mesh

T = TypeVar("T")


class MeshMachine(RuleBasedStateMachine):
    """A machine whose rules do what they do on one mesh; each example has a number of its own."""

    loop: asyncio.AbstractEventLoop
    mesh: TestMesh
    run = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).run += 1

    def do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(coroutine)


def check(machine: type[MeshMachine], nats_url: str, folder: Path) -> None:
    """Runs a machine's examples."""
    with asyncio.Runner() as runner:
        stack = test_mesh(nats_url, folder)
        machine.mesh = runner.run(stack.__aenter__())
        machine.loop = runner.get_loop()
        try:
            run_state_machine_as_test(
                machine,
                settings=settings(
                    max_examples=60,
                    stateful_step_count=15,
                    deadline=None,
                    suppress_health_check=[HealthCheck.too_slow],
                ),
            )
        finally:
            runner.run(stack.__aexit__(None, None, None))
