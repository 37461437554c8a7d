"""On whose behalf a command works: the options that say so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from motet.cli.terminal import Status, fail

if TYPE_CHECKING:
    from motet.messages import Principal

__all__ = ["Access", "Tenant", "principal"]

Tenant = Annotated[
    str, typer.Option(help="On whose behalf: tenants do not see each other's documents.")
]
Access = Annotated[
    list[str] | None,
    typer.Option(
        "--access", help="An access label of whoever asks, such as staff; may be repeated."
    ),
]


def principal(tenant: str, access: Sequence[str]) -> Principal:
    """The principal, or the end of the command when it is none."""
    from pydantic import ValidationError

    from motet.messages import Principal

    try:
        return Principal(tenant=tenant, access=tuple(dict.fromkeys(access)))
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()
        )
        fail(f"Nobody can be called that: {wrong}.", Status.USAGE)
