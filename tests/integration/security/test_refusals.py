"""What each user is refused: what its service has no need of, as an attacker would try it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.aio.msg import Msg

from motet.bus import Bucket, Bus
from motet.bus.lasting import LastingClient
from motet.bus.permissions import AGENTS, OTHERS
from motet.errors import FaultError
from motet.messages import FaultType
from tests.integration.security.secured import SecuredMesh, secured_mesh

ROLES = (*(role.name for role in AGENTS), *OTHERS)
TOOL = "tool_executor"
CREATE = json.dumps({"name": "EVIL", "subjects": ["evil"]}).encode()

NOBODY = {
    # Streams
    "$JS.API.STREAM.CREATE.EVIL": CREATE,
    "$JS.API.STREAM.DELETE.CALLS": b"",
    "$JS.API.STREAM.DELETE.KV_results": b"",
    "$JS.API.STREAM.PURGE.CALLS": b"",
    "$JS.API.STREAM.PURGE.TASKS": b"",
    "$JS.API.STREAM.PURGE.EVENTS": b"",
    "$JS.API.STREAM.PURGE.DEAD": b"",
    "$JS.API.STREAM.PURGE.KV_results": b"",
    "$JS.API.STREAM.PURGE.KV_tasks": b"",
    "$JS.API.STREAM.PURGE.KV_approvals": b"",
    "$JS.API.STREAM.MSG.DELETE.KV_results": b'{"seq": 1}',
    "$JS.API.STREAM.MSG.DELETE.EVENTS": b'{"seq": 1}',
    "$JS.API.CONSUMER.DELETE.CALLS.retriever-search": b"",
    "$JS.API.CONSUMER.PAUSE.CALLS.retriever-search": b"{}",
    # A consumer whose filter its name does not say may select anything, and deliver it anywhere.
    "$JS.API.CONSUMER.CREATE.CALLS": b"{}",
    "$JS.API.CONSUMER.CREATE.KV_results": b"{}",
    "$JS.API.CONSUMER.DURABLE.CREATE.CALLS.evil": b"{}",
    "$JS.API.STREAM.LEADER.STEPDOWN.CALLS": b"",
    "$JS.API.META.LEADER.STEPDOWN": b"",
    "$JS.API.ACCOUNT.PURGE.MOTET": b"",
    # What the server itself says
    "motet.result.t.c": b"{}",
    "$JS.EVENT.ADVISORY.API": b"{}",
    "$SYS.REQ.SERVER.PING": b"",
    "$SYS.REQ.ACCOUNT.MOTET.CONNZ": b"",
    # Inboxes that the server alone answers to
    "_INBOX_planner.x.1": b"{}",
    "_INBOX_operator.x.1": b"{}",
}
"""What nobody may publish, whoever it is."""

HEARD_BY_NOBODY = (
    ">",
    "*.>",
    "$JS.>",
    "$JS.API.>",
    "$JS.ACK.>",
    "$SYS.>",
    "$KV.>",
    "$KV.results.>",
    "$KV.tasks.>",
    "$O.>",
    "motet.>",
    "motet.call.>",
    "motet.task.>",
    "motet.dead.>",
    "_INBOX.>",
    "_INBOX.*.>",
    "_INBOX_planner",
)

AGENT = {
    # Other agents' work
    "$JS.API.CONSUMER.MSG.NEXT.CALLS.{other}": b"1",
    "$JS.API.CONSUMER.MSG.NEXT.TASKS.task-submit": b"1",
    "$JS.ACK.CALLS.{other}.1.1.1.1.0": b"+ACK",
    "$JS.ACK.TASKS.task-submit.1.1.1.1.0": b"+ACK",
    "$JS.API.CONSUMER.CREATE.CALLS.{other}.motet.call.{others}": b"{}",
    "$JS.API.CONSUMER.CREATE.CALLS.{own}.motet.call.{others}": b"{}",
    "$JS.API.CONSUMER.CREATE.TASKS.task-cancel.motet.task.cancel": b"{}",
    "$JS.API.STREAM.MSG.DELETE.CALLS": b'{"seq": 1}',
    "$JS.API.STREAM.MSG.DELETE.TASKS": b'{"seq": 1}',
    "$JS.API.STREAM.MSG.GET.TASKS": b'{"seq": 1}',
    "$JS.API.STREAM.MSG.GET.DEAD": b'{"seq": 1}',
    "$JS.API.STREAM.UPDATE.KV_results": CREATE,
    "motet.call.{others}": b"{}",
    "$KV.agents.planner.x": b"{}",
    # Tasks
    "motet.task.submit": b'{"goal": "mine"}',
    "motet.task.cancel": b'{"task": "t"}',
    "motet.task.resume": b"{}",
    "motet.task.ready.normal.default": b"{}",
    "motet.awake.normal.default": b"",
    "motet.event.t.state": b"{}",
    "motet.event.t.replied": b"{}",
    "motet.event.t.plan": b"{}",
    "$KV.approvals.t.q.reply": b"{}",
    "$KV.schedules.s": b"{}",
    "$KV.checkpoints.t.state": b"{}",
    "$JS.API.DIRECT.GET.KV_checkpoints.$KV.checkpoints.t.state": b"",
    "$JS.API.STREAM.PURGE.KV_checkpoints": b"{}",
    "motet.dead.planner.submit": b"{}",
}
"""What an agent without tasks may not publish."""

CLIENT = {
    "$KV.approvals.t.q": b"{}",
    "$KV.results.t.c": b"{}",
    "$KV.tasks.t": b"{}",
    "$KV.budgets.t.c": b"{}",
    "$KV.agents.evil.x": b"{}",
    "motet.event.t.state": b"{}",
    "motet.event.t.scored": b"{}",
    "motet.call.tool_executor.calculate": b"{}",
    "motet.dead.x.y": b"{}",
    "$JS.API.CONSUMER.MSG.NEXT.CALLS.tool_executor-calculate": b"1",
    "$JS.API.STREAM.MSG.GET.CALLS": b'{"seq": 1}',
    "$JS.API.STREAM.MSG.GET.DEAD": b'{"seq": 1}',
    "$JS.API.STREAM.MSG.DELETE.DEAD": b'{"seq": 1}',
    "$KV.schedules.s": b"{}",
    "$JS.API.DIRECT.GET.KV_checkpoints": b"{}",
    "$JS.API.STREAM.PURGE.KV_checkpoints": b"{}",
    "_INBOX.planner.x.1": b"{}",
}
"""What a client may not publish."""

PROVISION = {
    "motet.task.submit": b'{"goal": "mine"}',
    "motet.call.tool_executor.calculate": b"{}",
    "$KV.results.t.c": b"{}",
    "$JS.API.CONSUMER.MSG.NEXT.CALLS.tool_executor-calculate": b"1",
    "$JS.API.DIRECT.GET.KV_results.$KV.results.t.c": b"",
    "$JS.API.STREAM.MSG.GET.CALLS": b'{"seq": 1}',
}


@pytest_asyncio.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[SecuredMesh]:
    async with secured_mesh(tmp_path) as made:
        yield made


@asynccontextmanager
async def signed_on(mesh: SecuredMesh, role: str) -> AsyncIterator[tuple[Client, list[str]]]:
    """A bare connection of a role, and what the server refuses it, in lower case."""
    refused: list[str] = []

    async def note(error: Exception) -> None:
        refused.append(str(error))

    client = LastingClient()
    seed = (mesh.users.folder / f"{role}.seed").read_text().strip()
    await client.connect(mesh.server.url, nkeys_seed_str=seed, error_cb=note)
    try:
        yield client, refused
    finally:
        await client.close()


async def not_published(client: Client, refused: list[str], tried: dict[str, bytes]) -> set[str]:
    """Which of these subjects were published on after all."""
    for subject, body in tried.items():
        await client.publish(subject, body)
    await client.flush()
    return {each for each in tried if not any(f'publish to "{each.lower()}"' in r for r in refused)}


async def not_heard(client: Client, refused: list[str], tried: tuple[str, ...]) -> set[str]:
    """Which of these subjects can be heard after all."""
    for subject in tried:
        await client.subscribe(subject)
    await client.flush()
    return {
        each for each in tried if not any(f'subscription to "{each.lower()}"' in r for r in refused)
    }


def others_of(agent: str) -> dict[str, bytes]:
    """`AGENT` with the queue of another, and with one of its own."""
    role = next(each for each in AGENTS if each.name == agent)
    other = "speech" if agent == "evaluator" else "evaluator"
    skill = {"speech": "speak", "evaluator": "evaluate"}[other]
    names = {
        "own": f"{agent}-{role.skills[0]}",
        "other": f"{other}-{skill}",
        "others": f"{other}.{skill}",
    }
    return {subject.format(**names): body for subject, body in AGENT.items()}


@pytest.mark.parametrize("role", ROLES)
async def test_what_nobody_may(mesh: SecuredMesh, role: str) -> None:
    async with signed_on(mesh, role) as (client, refused):
        assert await not_published(client, refused, NOBODY) == set()
        assert await not_heard(client, refused, HEARD_BY_NOBODY) == set()


@pytest.mark.parametrize("role", [role.name for role in AGENTS if not role.tasks])
async def test_what_an_agent_may_not(mesh: SecuredMesh, role: str) -> None:
    async with signed_on(mesh, role) as (client, refused):
        assert await not_published(client, refused, others_of(role)) == set()


@pytest.mark.parametrize("role", ["client", "gateway"])
async def test_what_a_client_may_not(mesh: SecuredMesh, role: str) -> None:
    async with signed_on(mesh, role) as (client, refused):
        assert await not_published(client, refused, CLIENT) == set()


async def test_what_the_provisioner_may_not(mesh: SecuredMesh) -> None:
    async with signed_on(mesh, "provision") as (client, refused):
        assert await not_published(client, refused, PROVISION) == set()


@pytest.mark.parametrize("role", ROLES)
async def test_an_inbox_is_its_users_own(mesh: SecuredMesh, role: str) -> None:
    others = [other for other in ROLES if other != role]
    async with signed_on(mesh, role) as (client, refused):
        inboxes = tuple(f"{inbox}{other}.>" for other in others for inbox in ("_INBOX_", "_INBOX."))
        assert await not_heard(client, refused, inboxes) == set()


async def test_a_namespace_in_the_account_of_another_is_out_of_reach(mesh: SecuredMesh) -> None:
    for role in ("planner", TOOL, "operator", "provision"):
        async with signed_on(mesh, role) as (client, refused):
            tried = dict.fromkeys(
                ("acme.task.submit", "$KV.acme-results.t.c", "$JS.API.STREAM.INFO.ACME_CALLS"), b""
            )
            assert await not_published(client, refused, tried) == set()


async def test_the_system_account_sees_the_server_and_none_of_the_mesh(mesh: SecuredMesh) -> None:
    heard: list[Msg] = []

    async def hear(message: Msg) -> None:
        heard.append(message)

    async with signed_on(mesh, "sys") as (client, _):
        await client.subscribe("motet.>", cb=hear)
        await client.flush()
        await (await mesh.client("client")).submit("Nothing for you")
        reply = await client.request("$SYS.REQ.SERVER.PING.VARZ", b"", timeout=5)
        assert json.loads(reply.data)["server"]["name"] == "secured"
    assert heard == []


@pytest.mark.parametrize("bucket", ["results", "budgets", "approvals"])
async def test_one_key_is_no_way_to_remove_the_others(mesh: SecuredMesh, bucket: str) -> None:
    kept = Bucket(mesh.bus, bucket)
    await kept.put("precious.one", b"{}", 0)
    tool: Bus = await mesh.bus_of(TOOL)
    with pytest.raises(FaultError):
        await tool.store(f"$KV.{bucket}.evil.one", b"", {"Nats-Rollup": "all"}, timeout_s=0.5)
    assert await kept.get("precious.one") is not None


async def test_who_is_refused_hears_of_it_at_once(mesh: SecuredMesh) -> None:
    tool = await mesh.bus_of(TOOL)
    async with asyncio.timeout(3):
        with pytest.raises(FaultError) as refused:
            await tool.store("motet.task.submit", b'{"goal": "mine"}')
        with pytest.raises(FaultError) as unheard:
            await tool.subscribe("motet.call.>", _ignore)
        with pytest.raises(FaultError) as unread:
            await Bucket(tool, "checkpoints").get("t.state")
    for raised in (refused, unheard, unread):
        assert raised.value.fault.type == FaultType.UNAVAILABLE
        assert not raised.value.fault.retryable
        assert "does not let the user 'tool_executor'" in raised.value.fault.message


async def test_who_is_refused_a_stream_hears_of_it_soon(mesh: SecuredMesh) -> None:
    tool = await mesh.bus_of(TOOL)
    async with asyncio.timeout(6):
        with pytest.raises(FaultError, match="does not let the user 'tool_executor'") as refused:
            await tool.patiently(lambda: tool.js.delete_msg("CALLS", 1), "It cannot be removed")
    assert not refused.value.fault.retryable


async def _ignore(_: Msg) -> None:
    pass
