"""`motet nats`: the users of a NATS server of your own, and their keys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from motet.cli.terminal import Status, err, fail, told

if TYPE_CHECKING:
    from motet.bus.users import Tenant

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Write down the users of a NATS server, and make their keys.",
)

Agents = Annotated[
    list[str] | None,
    typer.Option(
        "--agent", metavar="AGENT.SKILL", help="A skill of an agent of your own; may be repeated."
    ),
]
Calls = Annotated[
    list[str] | None,
    typer.Option(
        "--calls",
        metavar="AGENT=OTHER.SKILL",
        help="What such an agent may delegate to; may be repeated.",
    ),
]
Namespaces = Annotated[
    list[str] | None,
    typer.Option(
        "--namespace",
        help="A namespace, which gets an account of its own; may be repeated. MOTET_NAMESPACE, "
        "unless said.",
        show_default=False,
    ),
]


@app.command()
def users(
    auth: Annotated[
        Literal["password", "nkey", "jwt"],
        typer.Option(help="What users sign on with; with jwt, what is printed is for nsc."),
    ] = "password",
    keys: Annotated[
        Path | None, typer.Option(help="With nkey: the folder that `motet nats keys` has filled.")
    ] = None,
    agent: Agents = None,
    calls: Calls = None,
    namespace: Namespaces = None,
) -> None:
    """Print the accounts and users for the server's configuration.

    A user may publish and hear what its service needs, and nothing else. What is printed holds no
    secret: a password is a variable of the server's environment, such as
    MOTET_NATS_PASSWORD_PLANNER, and of keys there is the public half. For JWTs, it is the commands
    of nsc that make each user with these permissions.
    """
    from motet.bus.users import (
        KeyRing,
        accounts_by_key,
        accounts_by_password,
        commands_for_jwts,
    )

    with told():
        tenants = _tenants(agent, calls, namespace)
        if auth == "password":
            text = accounts_by_password(tenants)
        elif auth == "jwt":
            text = commands_for_jwts(tenants)
        elif keys is None:
            fail("--auth nkey needs --keys, the folder that `motet nats keys` fills.", Status.USAGE)
        else:
            text = accounts_by_key(tenants, KeyRing(keys))
    print(text, end="")


@app.command()
def keys(
    folder: Annotated[Path, typer.Argument(help="Where keys are kept; it is made if need be.")],
    rotate: Annotated[
        str | None,
        typer.Option(metavar="USER", help="Give a user a new key, beside the one that it has."),
    ] = None,
    retire: Annotated[
        str | None, typer.Option(metavar="USER", help="Take a user's old key back.")
    ] = None,
    agent: Agents = None,
    calls: Calls = None,
    namespace: Namespaces = None,
) -> None:
    """Make the keys that are missing, a file a user, and write accounts.conf beside them.

    USER.seed is for that user's process alone, as MOTET_NATS_NKEY; accounts.conf is for the server,
    which takes it up again at SIGHUP.
    """
    from motet.bus.permissions import SYSTEM
    from motet.bus.users import KeyRing, accounts_by_key

    with told():
        tenants = _tenants(agent, calls, namespace)
        ring = KeyRing(folder)
        names = [SYSTEM, *(user for each in tenants for user in each.users)]
        for user in (rotate, retire):
            if user is not None and user not in names:
                fail(f"There is no user {user!r}: there are {', '.join(names)}.", Status.USAGE)
        made = ring.make(names)
        if rotate is not None:
            ring.rotate(rotate)
        if retire is not None:
            ring.retire(retire)
        file = ring.write(accounts_by_key(tenants, ring))
    if made:
        err().print(f"made keys of {', '.join(made)}", markup=False, soft_wrap=True)
    print(file)


def _tenants(
    agents: list[str] | None, calls: list[str] | None, namespaces: list[str] | None
) -> list[Tenant]:
    from motet.bus.permissions import own_agents
    from motet.bus.users import tenant
    from motet.settings import load_settings

    own = own_agents(agents or (), calls or ())
    settings = load_settings()
    if not namespaces:
        return [tenant(settings, own)]
    return [tenant(load_settings(namespace=each), own) for each in dict.fromkeys(namespaces)]
