"""A whole mesh where each process signs on as its own user: it works, and asks for nothing more.

The tests are those of the mesh without users; here they run with the server's refusals counted.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from motet.bus import Bus
from tests.integration.bus.test_approvals import (
    test_a_reply_before_the_task_waits_is_not_lost,
    test_a_second_reply_is_refused,
    test_the_command_lists_shows_and_replies,
)
from tests.integration.bus.test_budgets import (
    test_a_share_stops_its_sub_tree_and_what_is_left_of_it_comes_back,
    test_parallel_branches_on_replicas_share_one_limit,
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
from tests.integration.bus.test_finished import (
    test_a_finished_task_is_evaluated_within_its_trace,
    test_what_fails_for_good_is_a_dead_letter_an_agent_and_can_be_replayed,
)
from tests.integration.bus.test_following import (
    test_a_client_that_reconnects_again_and_again_sees_each_event_once,
)
from tests.integration.bus.test_queue_watch import (
    often,
    test_dead_letters_streams_and_live_agents_are_counted,
    test_queued_calls_are_counted_by_skill_whether_or_not_somebody_works,
)
from tests.integration.bus.test_schedules import test_the_loop_runs_what_is_due
from tests.integration.bus.test_waiting import (
    test_a_question_deep_in_the_tree_suspends_all_above,
    test_a_task_waits_holding_nothing_and_goes_on_with_the_reply,
)
from tests.integration.security.secured import SecuredMesh, secured_mesh
from tests.integration.test_deep import test_what_the_planner_may_on_the_bus_is_enough_for_files
from tests.integration.test_planner_mesh import (
    test_a_task_is_planned_delegated_and_answered_with_citations,
    test_only_the_last_checkpoint_of_an_ended_task_is_kept,
)
from tests.integration.test_six_voices import test_one_task_passes_through_all_six

__all__ = [
    "often",
    "test_a_client_that_reconnects_again_and_again_sees_each_event_once",
    "test_a_finished_task_is_evaluated_within_its_trace",
    "test_a_question_deep_in_the_tree_suspends_all_above",
    "test_a_replayed_call_runs_as_one_of_its_own",
    "test_a_reply_before_the_task_waits_is_not_lost",
    "test_a_second_reply_is_refused",
    "test_a_share_stops_its_sub_tree_and_what_is_left_of_it_comes_back",
    "test_a_task_is_planned_delegated_and_answered_with_citations",
    "test_a_task_waits_holding_nothing_and_goes_on_with_the_reply",
    "test_a_tree_of_handlers_stops",
    "test_dead_letters_streams_and_live_agents_are_counted",
    "test_one_is_read_and_dropped",
    "test_one_task_passes_through_all_six",
    "test_only_the_last_checkpoint_of_an_ended_task_is_kept",
    "test_parallel_branches_on_replicas_share_one_limit",
    "test_queued_calls_are_counted_by_skill_whether_or_not_somebody_works",
    "test_queued_calls_are_not_begun",
    "test_the_command_lists_shows_and_replies",
    "test_the_loop_runs_what_is_due",
    "test_the_newest_come_first",
    "test_what_fails_for_good_is_a_dead_letter_an_agent_and_can_be_replayed",
    "test_what_the_planner_may_on_the_bus_is_enough_for_files",
]


@pytest_asyncio.fixture
async def mesh(tmp_path: Path, mesh_settings: dict[str, Any]) -> AsyncIterator[SecuredMesh]:
    async with secured_mesh(tmp_path, **mesh_settings) as made:
        yield made
        refused = made.server.violations()
    assert not refused


@pytest.mark.mesh(namespace="acme")
async def test_in_a_namespace_of_its_own(mesh: SecuredMesh) -> None:
    await test_one_task_passes_through_all_six(mesh)


async def test_where_leaders_are_asked(mesh: SecuredMesh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bus, "clustered", property(lambda _: True))
    await test_one_task_passes_through_all_six(mesh)


async def test_an_agent_in_a_process_of_its_own(mesh: SecuredMesh) -> None:
    key = {
        "MOTET_NATS_USER": "tool_executor",
        "MOTET_NATS_NKEY": str(mesh.users.folder / "tool_executor.seed"),
    }
    await mesh.spawn("tool_executor", "-m", "motet_tool_executor", env=key)
    request = {"expression": "6 * 7"}
    result = await mesh.motet.call("tool_executor.calculate", request)
    assert "42" in json.dumps(result)
