"""A whole mesh where each process signs on as its own user: it works, and asks for nothing more.

The tests are those of the mesh without users; here they run with the server's refusals counted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from tests.integration.bus.test_approvals import (
    test_a_reply_before_the_task_waits_is_not_lost,
    test_a_second_reply_is_refused,
    test_the_command_lists_shows_and_replies,
)
from tests.integration.bus.test_cancel import (
    test_a_tree_of_handlers_stops,
    test_queued_calls_are_not_begun,
)
from tests.integration.bus.test_dead_letters import (
    test_a_replayed_call_runs_as_one_of_its_own,
    test_one_is_read_and_dropped,
    test_the_newest_come_first,
)
from tests.integration.security.secured import SecuredMesh, secured_mesh
from tests.integration.test_planner_mesh import (
    test_a_task_is_planned_delegated_and_answered_with_citations,
    test_only_the_last_checkpoint_of_an_ended_task_is_kept,
)
from tests.integration.test_six_voices import test_one_task_passes_through_all_six

__all__ = [
    "test_a_replayed_call_runs_as_one_of_its_own",
    "test_a_reply_before_the_task_waits_is_not_lost",
    "test_a_second_reply_is_refused",
    "test_a_task_is_planned_delegated_and_answered_with_citations",
    "test_a_tree_of_handlers_stops",
    "test_one_is_read_and_dropped",
    "test_one_task_passes_through_all_six",
    "test_only_the_last_checkpoint_of_an_ended_task_is_kept",
    "test_queued_calls_are_not_begun",
    "test_the_command_lists_shows_and_replies",
    "test_the_newest_come_first",
]


@pytest_asyncio.fixture
async def mesh(tmp_path: Path, mesh_settings: dict[str, Any]) -> AsyncIterator[SecuredMesh]:
    async with secured_mesh(tmp_path, **mesh_settings) as made:
        yield made
        refused = made.server.violations()
    assert not refused
