"""`motet doctor`: what is missing, and the command that mends it."""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from motet.cli.terminal import AsJson, Status, client_settings, out, run, write_json

if TYPE_CHECKING:
    from motet.settings import Settings

__all__ = ["Check", "doctor"]

OLDEST_PYTHON = (3, 11)

FREE_BYTES = 1 << 30
"""Free disk below which a folder is worth a word."""

Verdict = Literal["good", "note", "bad"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    verdict: Verdict
    """`bad` is in the way of a mesh; a `note` is good to know."""
    found: str
    mend: str | None = None
    """What to do about it, a command where there is one."""


def doctor(as_json: AsJson = False) -> None:
    """Say what is missing, and what mends it.

    Ends with 1 when something is in the way of a mesh on this machine.
    """
    checks = run(examine())
    if as_json:
        write_json([asdict(check) for check in checks])
    else:
        _show(checks)
    if any(check.verdict == "bad" for check in checks):
        raise typer.Exit(Status.FAILED)


async def examine() -> list[Check]:
    """Every check, in the order in which things depend on each other."""
    from motet.errors import SetupError
    from motet.settings import load_settings

    checks = [python()]
    try:
        settings = load_settings()
    except SetupError as error:
        return [
            *checks,
            Check("settings", "bad", str(error), "set the variable right, or unset it"),
        ]
    checks += [
        _unless_wrong("nats-server", nats_binary),
        _unless_wrong("loopback", loopback),
        _unless_wrong("agents", installed),
        disk("data folder", settings.data_dir, "MOTET_DATA_DIR"),
        disk("cache folder", settings.cache_dir, "MOTET_CACHE_DIR"),
        *await models(settings),
        *await mesh(client_settings()),
    ]
    return checks


def python() -> Check:
    """The interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] >= OLDEST_PYTHON:
        return Check("python", "good", version)
    wanted = ".".join(map(str, OLDEST_PYTHON))
    return Check("python", "bad", version, f"install Python {wanted} or newer")


def nats_binary() -> Check:
    """The server's binary."""
    from motet.embedded.nats import server_binary

    return Check("nats-server", "good", str(server_binary()))


def loopback() -> Check:
    """Whether a port can be opened, as NATS and the model server will."""
    try:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
    except OSError as error:
        mend = "allow this user to listen on 127.0.0.1"
        return Check("loopback", "bad", f"no port can be opened: {error.strerror}", mend)
    return Check("loopback", "good", "ports can be opened on 127.0.0.1")


def installed() -> Check:
    """The agents that a mesh would run."""
    from motet.embedded.services import chosen_agents

    return Check("agents", "good", ", ".join(chosen_agents(None)))


def disk(name: str, folder: Path, variable: str) -> Check:
    """Room in a folder, or where it would be made."""
    there = folder
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    found = f"{folder}, {free / 1e9:.1f} GB free"
    if free < FREE_BYTES:
        return Check(name, "bad", found, f"make room, or set {variable} to a folder elsewhere")
    return Check(name, "good", found)


def _unless_wrong(name: str, check: Callable[[], Check]) -> Check:
    """A check, or what it raised."""
    from motet.errors import SetupError

    try:
        return check()
    except SetupError as error:
        return Check(name, "bad", str(error))


async def models(settings: Settings) -> list[Check]:
    """The chat model, its key or its weights, and the weights for embeddings."""
    import asyncio

    from motet.embedded.needs import missing_weights, needed_weights
    from motet.errors import SetupError
    from motet.models import weights

    try:
        chat = await asyncio.to_thread(_chat_model, settings)
        needed, missing = needed_weights(settings), missing_weights(settings)
    except SetupError as error:
        return [Check("model", "bad", str(error))]
    checks = [Check("model", "good", chat)]
    if settings.model_url is not None and not await asyncio.to_thread(_answers, settings.model_url):
        found = f"nothing answers at {settings.model_url}"
        checks.append(Check("model server", "bad", found, "start it, or set MOTET_MODEL_URL right"))
    for name in needed:
        size = weights.manifest()[name].size
        if name in missing:
            mend = f"motet models pull {name}"
            checks.append(Check("weights", "bad", f"{name} ({size / 1e9:.2g} GB) is missing", mend))
        else:
            checks.append(Check("weights", "good", f"{name} in {settings.cache_dir}"))
    return checks


async def mesh(settings: Settings) -> list[Check]:
    """The mesh that other commands would use, and its agents."""
    from motet.client import Motet
    from motet.embedded.services import installed_agents
    from motet.embedded.state import running_mesh
    from motet.errors import MotetError

    here = running_mesh(settings.data_dir)
    if here is None and "nats_url" not in settings.model_fields_set:
        return [Check("mesh", "note", "none runs on this machine", "motet up")]
    try:
        async with Motet.open(settings) as motet:
            alive = {card.name for card in await motet.agents()}
    except MotetError as error:
        return [Check("mesh", "bad", str(error))]
    where = f"{settings.nats_url}" + (f", process {here.pid}" if here else "")
    checks = [Check("mesh", "good", where)]
    logs = {process.name: process.log for process in here.processes} if here else {}
    expected = {name for name in installed_agents() if name in logs} if here else set[str]()
    checks += [Check("agent", "good", f"{name} is alive") for name in sorted(alive)]
    checks += [
        Check("agent", "bad", f"{name} is not alive", f"see {logs[name]}")
        for name in sorted(expected - alive)
    ]
    if not alive and not expected:
        checks.append(Check("agents", "bad", "none is alive", "motet up"))
    return checks


def _chat_model(settings: Settings) -> str:
    """The chat model that the settings lead to, in words.

    Raises:
        SetupError: It cannot be used, such as for a key that is missing.
    """
    from motet.embedded.needs import served_model
    from motet.models import chat_model
    from motet.models.choice import choose

    if served_model(settings) is not None:
        return f"{choose(settings).id}, served by the mesh itself"
    chat_model(settings)
    return choose(settings).where


def _answers(base_url: str) -> bool:
    """Whether an HTTP server answers at all; what it says does not matter."""
    from urllib.error import HTTPError
    from urllib.request import urlopen

    try:
        with urlopen(f"{base_url.rstrip('/')}/models", timeout=3):  # noqa: S310 - the user's own
            return True
    except HTTPError:
        return True
    except (OSError, ValueError):
        return False


def _show(checks: list[Check]) -> None:
    from rich.text import Text

    from motet.cli.layout import glyph, hanging

    signs = {"good": ("done", "green"), "note": ("note", "yellow"), "bad": ("failed", "bold red")}
    for check in checks:
        sign, style = signs[check.verdict]
        said = Text(check.found)
        if check.mend:
            said.append("\nmend it: ", style="dim").append(check.mend, style="bold")
        columns = (2, Text(glyph(out(), sign), style=style)), (13, Text(check.name))
        out().print(hanging(out(), *columns, text=said))
    bad = sum(check.verdict == "bad" for check in checks)
    closing = f"{bad} to mend." if bad else "Nothing is in the way."
    out().print(Text(closing, style="bold red" if bad else "bold green"))
