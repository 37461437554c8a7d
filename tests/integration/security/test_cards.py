"""Cards: an agent speaks for itself only, and no name in one breaks what a person sees."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from motet.bus import Bucket
from motet.messages import AgentCard, SkillCard
from tests.integration.bus.agents import echo, worker
from tests.integration.security.secured import SecuredMesh, secured_mesh
from tests.integration.security.test_operators import motet


@pytest_asyncio.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[SecuredMesh]:
    async with secured_mesh(tmp_path) as made:
        yield made


def card(name: str, version: str = "1.0") -> AgentCard:
    skill = SkillCard(name="search", description="Mine.", input_schema={}, output_schema={})
    return AgentCard(
        name=name, description="Mine.", version=version, instance="evil", skills=(skill,)
    )


async def test_no_agent_speaks_for_another(mesh: SecuredMesh) -> None:
    await mesh.join(worker(echo))
    agent = Bucket(await mesh.bus_of("tool_executor"), "agents")
    await agent.put("tool_executor.evil", card("worker").model_dump_json().encode())
    await agent.put("tool_executor.good", card("tool_executor").model_dump_json().encode())

    found = {each.name: each for each in await mesh.motet.agents()}

    assert set(found) == {"worker", "tool_executor"}
    assert [skill.name for skill in found["worker"].skills] == ["work"]


async def test_names_are_shown_as_they_are(mesh: SecuredMesh) -> None:
    agent = Bucket(await mesh.bus_of("tool_executor"), "agents")
    odd = card("tool_executor", "[/][link=x]1\x1b[2J")
    await agent.put("tool_executor.evil", odd.model_dump_json().encode())

    status, said = await motet(mesh, "agents")

    assert status == 0
    assert "[/][link=x]1\ufffd[2J" in said
