"""Users: what the NATS server must know of them, in its own configuration language.

Invariants:

- What is written holds no secret: passwords are variables of the server's environment, and of keys
  only the public half is there.
- A key that there is is never made anew; a key that is rotated stays valid until it is retired.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motet.bus.permissions import AGENTS, SYSTEM, AgentRole, Permissions, permissions
from motet.bus.topology import Topology
from motet.errors import SetupError
from motet.settings import Settings

__all__ = [
    "ACCOUNTS",
    "KeyRing",
    "Tenant",
    "accounts_by_key",
    "accounts_by_password",
    "commands_for_jwts",
    "tenant",
]

ACCOUNTS = "accounts.conf"
"""The file of accounts that is kept beside the keys."""

Logins = Callable[[str], list[str]]
"""How a user signs on, in the server's words: once a key."""

_SEED, _OLD = ".seed", ".old.pub"

_PASSWORDS = """# The accounts and users of Motet, made by `motet nats users --auth password`.
# Each password is a variable of the server's environment. Let it begin with a letter, and have
# letters and digits only: the server reads it as it reads this file.
"""
_KEYS = """# The accounts and users of Motet, made by `motet nats keys`. It holds public keys only.
"""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A namespace's account: its users, by their names on the server."""

    account: str
    users: Mapping[str, Permissions]


def tenant(settings: Settings, own: Iterable[AgentRole] = ()) -> Tenant:
    """The account of the namespace that settings name.

    Args:
        settings: Where the namespace is from.
        own: Agents beside Motet's.
    """
    topology = Topology(settings)
    rules = permissions(topology, (*AGENTS, *own))
    return Tenant(
        settings.namespace.upper(), {topology.user(role): each for role, each in rules.items()}
    )


def accounts_by_password(tenants: Iterable[Tenant]) -> str:
    """The accounts, with passwords from the server's environment."""
    return _accounts(
        tenants, lambda user: [f"user: {user}, password: ${_variable(user)}"], _PASSWORDS
    )


def accounts_by_key(tenants: Iterable[Tenant], keys: KeyRing) -> str:
    """The accounts, with public keys."""
    return _accounts(tenants, lambda user: [f"nkey: {key}" for key in keys.public(user)], _KEYS)


def commands_for_jwts(tenants: Iterable[Tenant]) -> str:
    """The `nsc` commands that make the users, and their JWTs, of accounts that are there."""
    lines: list[str] = []
    for each in tenants:
        for user, rules in each.users.items():
            lines += [
                f"nsc add user --account {each.account} --name {user} \\",
                f"  --allow-pub '{','.join(rules.publish)}' \\",
                f"  --allow-sub '{','.join(rules.subscribe)}'",
            ]
    return "\n".join((*lines, ""))


class KeyRing:
    """A folder with a file a user that holds its seed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def make(self, users: Iterable[str]) -> list[str]:
        """Makes the keys that are missing; returns whose.

        Raises:
            SetupError: The folder cannot be written.
        """
        missing = [user for user in users if not self._seed(user).exists()]
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for user in missing:
                _write_secret(self._seed(user), _new_seed())
        except OSError as error:
            raise SetupError(
                f"No keys can be written to {self._folder}: {error.strerror}."
            ) from None
        return missing

    def rotate(self, user: str) -> None:
        """Gives a user a new key. The old one stays valid until it is retired.

        Raises:
            SetupError: There is no key, or one that was rotated before is not retired.
        """
        old = self._folder / f"{user}{_OLD}"
        if old.exists():
            raise SetupError(
                f"{user!r} has two keys: retire the old one with --retire {user} first."
            )
        (public,) = self.public(user)
        old.write_text(public + "\n", encoding="ascii")
        _write_secret(self._seed(user), _new_seed())

    def retire(self, user: str) -> None:
        """Takes a rotated user's old key back.

        Raises:
            SetupError: There is none.
        """
        old = self._folder / f"{user}{_OLD}"
        if not old.exists():
            raise SetupError(f"{user!r} has no old key in {self._folder}.")
        old.unlink()

    def write(self, text: str) -> Path:
        """Writes the file of accounts; returns where."""
        file = self._folder / ACCOUNTS
        beside = file.with_name(f".{file.name}.new")
        beside.write_text(text, encoding="utf-8")
        return beside.replace(file)

    def public(self, user: str) -> list[str]:
        """A user's public keys, the newest first.

        Raises:
            SetupError: It has none.
        """
        import nkeys

        seed, old = self._seed(user), self._folder / f"{user}{_OLD}"
        try:
            pair = nkeys.from_seed(bytearray(seed.read_text(encoding="ascii").strip().encode()))
            public: Any = pair.public_key
            keys = [public.decode()]
            return [*keys, old.read_text(encoding="ascii").strip()] if old.exists() else keys
        except OSError:
            raise SetupError(
                f"There is no key of {user!r} in {self._folder}: `motet nats keys` makes it."
            ) from None
        except (nkeys.NkeysError, ValueError):
            raise SetupError(f"{seed} holds no nkey seed.") from None

    def _seed(self, user: str) -> Path:
        return self._folder / f"{user}{_SEED}"


def _new_seed() -> str:
    import nkeys

    return nkeys.encode_seed(secrets.token_bytes(32), nkeys.PREFIX_BYTE_USER).decode()


def _write_secret(file: Path, text: str) -> None:
    """Writes a file that its owner alone may read, whole or not at all."""
    beside = file.with_name(f".{file.name}.new")
    beside.unlink(missing_ok=True)
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as opened:
        opened.write(text + "\n")
    beside.replace(file)


def _variable(user: str) -> str:
    return f"MOTET_NATS_PASSWORD_{user.upper().replace('-', '_')}"


def _accounts(tenants: Iterable[Tenant], logins: Logins, heading: str) -> str:
    lines = [heading, "accounts {"]
    for each in tenants:
        lines += [f"  {each.account} {{", "    jetstream: enabled", "    users: ["]
        for user, rules in each.users.items():
            lines.append(f"      # {user}")
            for login in logins(user):
                lines += _user(login, rules)
        lines += ["    ]", "  }"]
    lines += ["  SYS {", "    users: ["]
    lines += [f"      {{ {login} }}" for login in logins(SYSTEM)]
    lines += ["    ]", "  }", "}", "system_account: SYS", ""]
    return "\n".join(lines)


def _user(login: str, rules: Permissions) -> list[str]:
    lines = [f"      {{ {login}, permissions: {{"]
    for way, subjects in (("publish", rules.publish), ("subscribe", rules.subscribe)):
        lines.append(f"        {way}: {{ allow: [")
        lines += [f'          "{subject}"' for subject in subjects]
        lines.append("        ] }")
    return [*lines, "      } }"]
