"""Operator, accounts and users as JWTs, made as `nsc` makes them (NATS ADR-14)."""

from __future__ import annotations

import base64
import json
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nkeys

from motet.bus.permissions import Permissions

UNLIMITED = {
    **dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1),
    "wildcards": True,
}
STORED = dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), -1)


class Pair:
    """A key pair of one kind."""

    def __init__(self, prefix: int) -> None:
        self.seed: str = nkeys.encode_seed(secrets.token_bytes(32), prefix).decode()
        self._pair = nkeys.from_seed(bytearray(self.seed.encode()))
        self.public: str = self._pair.public_key.decode()

    def sign(self, subject: str, name: str, claims: dict[str, Any], **more: Any) -> str:
        """A JWT about a subject."""
        body = {
            "jti": secrets.token_hex(16),
            "iat": int(time.time()),
            "iss": self.public,
            "sub": subject,
            "name": name,
            "nats": {**claims, "version": 2},
            **more,
        }
        signed = f"{_part({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{_part(body)}"
        return f"{signed}.{_text(self._pair.sign(signed.encode()))}"


@dataclass
class Operator:
    """An operator with the system's account and one for a mesh."""

    def __post_init__(self) -> None:
        self.pair = Pair(nkeys.PREFIX_BYTE_OPERATOR)
        self.system = Pair(nkeys.PREFIX_BYTE_ACCOUNT)
        self.account = Pair(nkeys.PREFIX_BYTE_ACCOUNT)

    def configuration(self) -> str:
        """What a server is told of them."""
        claims = {"type": "operator", "system_account": self.system.public}
        operator = self.pair.sign(self.pair.public, "operator", claims)
        accounts = {
            pair.public: self.pair.sign(
                pair.public, name, {"type": "account", "limits": {**UNLIMITED, **stored}}
            )
            for pair, name, stored in ((self.system, "SYS", {}), (self.account, "MOTET", STORED))
        }
        preloaded = "\n".join(f"  {public}: {jwt}" for public, jwt in accounts.items())
        return (
            f"max_control_line: 32KB\noperator: {operator}\nsystem_account: {self.system.public}\n"
            f"resolver: MEMORY\nresolver_preload {{\n{preloaded}\n}}\n"
        )

    def user(self, file: Path, name: str, rules: Permissions, *, expires: int = 0) -> None:
        """Writes the credentials file of a user.

        Args:
            file: Where.
            name: The user.
            rules: What it may.
            expires: When its JWT does, Unix time in seconds; 0 for never.
        """
        pair = Pair(nkeys.PREFIX_BYTE_USER)
        claims = {
            "type": "user",
            "pub": {"allow": list(rules.publish)},
            "sub": {"allow": list(rules.subscribe)},
            **dict.fromkeys(("subs", "data", "payload"), -1),
        }
        more = {"exp": expires} if expires else {}
        jwt = self.account.sign(pair.public, name, claims, **more)
        file.write_text(
            f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{pair.seed}\n------END USER NKEY SEED------\n"
        )


def _part(value: dict[str, Any]) -> str:
    return _text(json.dumps(value).encode())


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
