"""A task's own documents and its conversation, where each process signs on as its own user."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from tests.integration.security.secured import SecuredMesh, secured_mesh
from tests.integration.test_sessions import (
    test_what_the_planner_may_on_the_bus_is_enough_for_sessions,
)
from tests.integration.test_task_documents import (
    test_what_a_planner_leaves_is_swept_up_once_its_task_has_ended,
)

__all__ = [
    "test_what_a_planner_leaves_is_swept_up_once_its_task_has_ended",
    "test_what_the_planner_may_on_the_bus_is_enough_for_sessions",
]


@pytest_asyncio.fixture
async def mesh(tmp_path: Path, mesh_settings: dict[str, Any]) -> AsyncIterator[SecuredMesh]:
    async with secured_mesh(tmp_path, **mesh_settings) as made:
        yield made
        refused = made.server.violations()
    assert not refused
