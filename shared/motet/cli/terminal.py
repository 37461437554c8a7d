"""What every command shares: where it writes, how it ends, where the mesh is.

Invariants:

- What was asked for goes to standard output; everything else (progress, notices, errors) goes to
  standard error, so that output can be piped.
- With `--json` standard output is JSON and nothing else: one document, or one a line where things
  come one after another.
- What texts of documents and agents hold is no command to the terminal.
- A mistake of the user's ends a command with one sentence and a status; never with a traceback.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from enum import IntEnum
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from motet.settings import Settings

__all__ = ["AsJson", "Status", "client_settings", "err", "fail", "out", "run", "told", "write_json"]

T = TypeVar("T")

_CONTROL = re.compile(r"[\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What JSON leaves as it is, and a terminal may take for a command."""

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]


class Status(IntEnum):
    """Exit statuses of the `motet` command; 128 + n after signal n, as shells have it."""

    DONE = 0
    """What was asked for was done."""
    FAILED = 1
    """It was tried and failed: a task that did not succeed, a check that found something."""
    USAGE = 2
    """The command line is wrong."""
    SETUP = 3
    """Something about the installation, the settings or the machine is wrong."""
    FAULT = 4
    """The mesh answered with a fault."""


@cache
def out() -> Console:
    """Standard output."""
    from motet.cli.console import SafeConsole

    return SafeConsole(highlight=False, soft_wrap=False)


@cache
def err() -> Console:
    """Standard error."""
    from motet.cli.console import SafeConsole

    return SafeConsole(stderr=True, highlight=False, soft_wrap=False)


def write_json(value: Any, *, line: bool = False) -> None:
    """Writes a value, or a Pydantic model, as a JSON document, or as one line of JSON."""
    plain = value.model_dump(mode="json") if hasattr(value, "model_dump") else value
    text = json.dumps(plain, indent=None if line else 2, ensure_ascii=False)
    print(_CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text), flush=True)


def fail(message: str, status: Status) -> NoReturn:
    """Ends the command with a sentence."""
    from rich.text import Text

    err().print(Text.assemble(("error ", "bold red"), message), soft_wrap=True)
    raise typer.Exit(status)


@contextmanager
def told() -> Generator[None]:
    """Turns what the block raises into a sentence and a status."""
    from motet.errors import FaultError, MotetError

    try:
        yield
    except FaultError as error:
        fail(f"{error.fault.message} ({error.fault.type})", Status.FAULT)
    except MotetError as error:
        fail(str(error), Status.SETUP)
    except KeyboardInterrupt:
        raise typer.Exit(128 + signal.SIGINT) from None
    except BrokenPipeError:
        # Whoever read our output has gone; say nothing more, not even while Python shuts down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(128 + signal.SIGPIPE) from None


def run(main: Coroutine[Any, Any, T]) -> T:
    """Runs a command's coroutine, `told` what goes wrong.

    The first SIGINT, SIGTERM or SIGHUP cancels it, so that it ends in order. A second one ends
    the command at once; processes that it owns are then ended by their keeper.
    """
    import asyncio
    import logging

    # What a person must know of, a command says itself; the log is for services.
    log = logging.getLogger("motet")
    level = log.level
    log.setLevel(logging.ERROR)
    received: list[int] = []

    async def interruptible() -> T:
        task = asyncio.ensure_future(main)

        def interrupt(number: int) -> None:
            if received:
                os._exit(128 + number)
            received.append(number)
            task.cancel()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, interrupt, number)
        return await task

    with told():
        try:
            return asyncio.run(interruptible())
        except asyncio.CancelledError:
            if not received:
                raise
            raise typer.Exit(128 + received[0]) from None
        finally:
            log.setLevel(level)


def client_settings() -> Settings:
    """See `motet.local_mesh.client_settings`."""
    from motet import local_mesh

    return local_mesh.client_settings()
