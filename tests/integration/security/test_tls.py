"""TLS: the server is known by its certificate, and where it asks, so is the client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from motet.bus import Bus
from motet.errors import SetupError
from motet.settings import Settings
from motet.telemetry import setup
from tests.integration.security.secured import SecuredServer, Users, secured_server
from tests.integration.security.test_signing_on import answers, opened, provisioned, settings_at

TLS = """
tls {{
  cert_file: "{folder}/server.crt"
  key_file: "{folder}/server.key"
  {mutual}
}}
"""
MUTUAL = 'ca_file: "{folder}/ca.crt"\n  verify: true'


class Certificates:
    """An authority, with files of what it has signed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        self.authority = trustme.CA()
        self.authority.cert_pem.write_to_path(folder / "ca.crt")
        self.ca = folder / "ca.crt"
        self.issue("server", "127.0.0.1", "localhost")

    def issue(self, name: str, *identities: str) -> tuple[Path, Path]:
        """A certificate and its key."""
        made = self.authority.issue_cert(*identities)
        certificate, key = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        certificate.write_bytes(b"".join(pem.bytes() for pem in made.cert_chain_pems))
        made.private_key_pem.write_to_path(key)
        return certificate, key

    def configuration(self, *, mutual: bool) -> str:
        asked = MUTUAL.format(folder=self._folder) if mutual else ""
        return TLS.format(folder=self._folder, mutual=asked)


@asynccontextmanager
async def with_tls(
    folder: Path, *, mutual: bool = False
) -> AsyncIterator[tuple[SecuredServer, Users, Certificates]]:
    users, certificates = Users(folder / "keys"), Certificates(folder / "certs")
    more = certificates.configuration(mutual=mutual)
    async with secured_server(folder / "nats", users.accounts(), more=more, scheme="tls") as server:
        yield server, users, certificates


async def test_the_server_shows_a_certificate(tmp_path: Path) -> None:
    async with with_tls(tmp_path) as (server, users, certificates):
        plain = settings_at(server, tmp_path, nats_ca=certificates.ca)
        await provisioned(users.signed(plain, "provision"))
        agents, operators = (users.signed(plain, role) for role in ("tool_executor", "operator"))
        assert await answers(agents, operators)


async def test_both_show_a_certificate(tmp_path: Path) -> None:
    async with with_tls(tmp_path, mutual=True) as (server, users, certificates):
        shown, key = certificates.issue("client", "client.example")
        plain = settings_at(
            server, tmp_path, nats_ca=certificates.ca, nats_cert=shown, nats_cert_key=key
        )
        await provisioned(users.signed(plain, "provision"))
        agents, operators = (users.signed(plain, role) for role in ("tool_executor", "operator"))
        assert await answers(agents, operators)


async def refused(settings: Settings) -> str:
    with pytest.raises(SetupError) as raised:
        await asyncio.wait_for(opened(settings, "planner"), 10)
    return str(raised.value)


async def test_a_server_whose_certificate_nobody_knows(tmp_path: Path) -> None:
    async with with_tls(tmp_path) as (server, users, _):
        other = Certificates(tmp_path / "other")
        for given in ({}, {"nats_ca": other.ca}):
            values: dict[str, Any] = given
            plain = users.signed(settings_at(server, tmp_path, **values), "tool_executor")
            assert "set MOTET_NATS_CA" in await refused(plain)


async def test_a_server_under_a_name_that_is_not_in_its_certificate(tmp_path: Path) -> None:
    async with with_tls(tmp_path) as (server, users, certificates):
        certificates.issue("server", "nats.example")
        more = certificates.configuration(mutual=False)
        await server.reload(users.accounts(), more)
        plain = settings_at(server, tmp_path, nats_ca=certificates.ca)
        assert "a name that is in it" in await refused(users.signed(plain, "tool_executor"))


async def test_a_client_without_the_certificate_that_is_asked_for(tmp_path: Path) -> None:
    async with with_tls(tmp_path, mutual=True) as (server, users, certificates):
        plain = settings_at(server, tmp_path, nats_ca=certificates.ca)
        assert "set MOTET_NATS_CERT" in await refused(users.signed(plain, "tool_executor"))


async def test_a_server_without_the_tls_that_is_asked_for(tmp_path: Path) -> None:
    users, certificates = Users(tmp_path / "keys"), Certificates(tmp_path / "certs")
    async with secured_server(tmp_path / "nats", users.accounts(), scheme="tls") as server:
        plain = settings_at(server, tmp_path, nats_ca=certificates.ca)
        assert "TLS" in await refused(users.signed(plain, "tool_executor"))


async def test_a_certificate_is_replaced_while_clients_are_connected(tmp_path: Path) -> None:
    async with with_tls(tmp_path) as (server, users, certificates):
        plain = settings_at(server, tmp_path, nats_ca=certificates.ca)
        await provisioned(users.signed(plain, "provision"))
        client = users.signed(plain, "client")
        async with Bus.open(client, setup("client", client)) as bus:
            certificates.issue("server", "127.0.0.1")
            await server.reload(users.accounts(), certificates.configuration(mutual=False))
            await bus.client.flush()
            await opened(client, "client")
            assert bus.connections == 0
