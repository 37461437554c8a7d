"""`motet dead`: what could not be done, and why; done again, or dropped."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Annotated

import typer

from motet.cli.terminal import AsJson, client_settings, out, run, write_json

if TYPE_CHECKING:
    from motet.bus import StoredDeadLetter
    from motet.messages import DeadLetter

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="See and replay what could not be done.",
)

Sequence = Annotated[int, typer.Argument(metavar="SEQUENCE", help="As `motet dead list` shows it.")]
Sequences = Annotated[
    list[int], typer.Argument(metavar="SEQUENCE...", help="As `motet dead list` shows them.")
]

_BODY_CHARACTERS = 4000


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(help="How many at most.", min=1)] = 100,
    as_json: AsJson = False,
) -> None:
    """List dead letters, the newest first."""
    from motet.client import Motet

    async def main() -> list[StoredDeadLetter]:
        async with Motet.open(client_settings()) as motet:
            return await motet.dead(limit)

    letters = run(main())
    if as_json:
        write_json([_plain(stored.sequence, stored.letter) for stored in letters])
    elif not letters:
        out().print("No dead letters.")
    from rich.markup import escape

    for stored in letters if not as_json else ():
        letter = stored.letter
        out().print(
            f"[bold]{stored.sequence:>6}[/]  {letter.at:%Y-%m-%d %H:%M:%S}  "
            f"[cyan]{escape(letter.subject)}[/]  [dim]{escape(letter.task or '')}[/]"
        )
        out().print(f"        {letter.fault.message} ({letter.fault.type})", markup=False)


@app.command()
def show(sequence: Sequence, as_json: AsJson = False) -> None:
    """Show one dead letter: what was asked, and why it was not done."""
    from motet.client import Motet

    async def main() -> DeadLetter:
        async with Motet.open(client_settings()) as motet:
            return await motet.dead_letter(sequence)

    letter = run(main())
    if as_json:
        write_json(_plain(sequence, letter))
        return
    facts = {
        "subject": letter.subject,
        "task": letter.task or "",
        "call": letter.call or "",
        "at": f"{letter.at:%Y-%m-%d %H:%M:%S %Z}",
        "attempts": str(letter.attempts),
        "fault": f"{letter.fault.message} ({letter.fault.type})",
        **letter.headers,
    }
    for name, value in facts.items():
        out().print(f"{name:<20}  {value}", markup=False)
    out().print()
    out().print(_body(letter), markup=False)


@app.command()
def replay(sequences: Sequences, as_json: AsJson = False) -> None:
    """Publish dead letters again, after their cause was mended."""
    from motet.client import Motet

    async def main() -> None:
        async with Motet.open(client_settings()) as motet:
            for sequence in sequences:
                await motet.replay(sequence)
                if not as_json:
                    out().print(f"{sequence} is published again.")

    run(main())
    if as_json:
        write_json({"replayed": sequences})


@app.command()
def drop(sequences: Sequences, as_json: AsJson = False) -> None:
    """Remove dead letters for good."""
    from motet.client import Motet

    async def main() -> None:
        async with Motet.open(client_settings()) as motet:
            for sequence in sequences:
                await motet.drop(sequence)
                if not as_json:
                    out().print(f"{sequence} is gone.")

    run(main())
    if as_json:
        write_json({"dropped": sequences})


def _plain(sequence: int, letter: DeadLetter) -> dict[str, object]:
    return {"sequence": sequence, "letter": letter.model_dump(mode="json")}


def _body(letter: DeadLetter) -> str:
    """The body as people would want to read it: JSON indented, text as it is, bytes counted."""
    if letter.body_blob is not None:
        return f"{letter.body_blob.size:,} bytes in the object store as {letter.body_blob.name}"
    body = base64.b64decode(letter.body)
    try:
        text = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = body.decode(errors="replace")
    if len(text) > _BODY_CHARACTERS:
        return f"{text[:_BODY_CHARACTERS]}\n({len(text):,} characters in all)"
    return text
