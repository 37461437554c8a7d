"""What the NATS server is told of Motet's users: it fits the services, and holds no secret."""

from __future__ import annotations

import re

from motet.bus.permissions import AGENTS, permissions
from motet.bus.topology import Topology
from motet.embedded.services import installed_agents
from motet.settings import Settings
from tests.contract.nats_accounts import FILE, accounts

TOPOLOGY = Topology(Settings(namespace="motet"))


def test_the_charts_accounts_are_what_the_code_says() -> None:
    assert FILE.read_text() == accounts(), "run `python -m tests.contract.nats_accounts`"


def test_passwords_are_variables() -> None:
    passwords = re.findall(r"password: (\S+?)[,\s]", accounts())
    assert len(passwords) == len(permissions(TOPOLOGY)) + 1
    assert all(re.fullmatch(r"\$MOTET_NATS_PASSWORD_[A-Z_]+", each) for each in passwords)
    assert len(set(passwords)) == len(passwords)


def test_the_roles_are_those_of_the_services() -> None:
    roles = {role.name: role for role in AGENTS}
    entries = installed_agents()
    assert set(roles) == set(entries)
    for name, entry in entries.items():
        agent = entry.load()
        assert set(roles[name].skills) == set(agent.skills), name
        assert roles[name].tasks == (agent.task_function is not None), name
        assert roles[name].finished == (agent.finished_function is not None), name


def test_what_a_role_may_call_is_there() -> None:
    known = {f"{role.name}.{skill}" for role in AGENTS for skill in role.skills}
    for role in AGENTS:
        assert set(role.calls) - {"*.*"} <= known


def test_a_namespace_meets_no_other() -> None:
    mine = permissions(TOPOLOGY)
    theirs = permissions(Topology(Settings(namespace="acme")))
    # What is not a matter of a stream: what there is in the account, and the outcomes of calls.
    shared = {"$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "_INBOX.>"}
    for role, rules in mine.items():
        assert set(rules.publish) & set(theirs[role].publish) <= shared
        assert not set(rules.subscribe) & set(theirs[role].subscribe)
