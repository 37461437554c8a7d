"""`motet agents`: who lives in the mesh, and what each can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from motet.cli.terminal import AsJson, client_settings, out, run, write_json

if TYPE_CHECKING:
    from rich.table import Table

    from motet.messages import AgentCard

__all__ = ["agents"]


def agents(as_json: AsJson = False) -> None:
    """List the agents that live, and their skills."""
    from motet.client import Motet

    async def main() -> list[AgentCard]:
        async with Motet.open(client_settings()) as motet:
            return await motet.agents()

    cards = run(main())
    if as_json:
        write_json([card.model_dump(mode="json") for card in cards])
    elif not cards:
        out().print("No agent lives here: start a mesh with `motet up`.")
    from rich.markup import escape

    for number, card in enumerate(cards if not as_json else ()):
        if number:
            out().print()
        version, instance = escape(card.version), escape(card.instance)
        out().print(f"[bold]{card.name}[/] {version}  [dim]{instance}[/]")
        out().print(card.description, markup=False)
        if card.skills:
            out().print(_skills(card))


def _skills(card: AgentCard) -> Table:
    """What an agent does: its description, then a row a skill."""
    from rich.table import Table
    from rich.text import Text

    from motet.cli.layout import width

    names = [skill.name for skill in card.skills]
    left = max(map(len, names), default=0)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=0)
    table.add_column(width=left, no_wrap=True, style="cyan")
    table.add_column(width=max(20, width(out()) - left - 6))
    for skill in card.skills:
        said = Text(skill.description)
        marks = [
            mark
            for mark, holds in (
                ("not for planners", not skill.plannable),
                ("acts on the outside", skill.side_effects),
            )
            if holds
        ]
        if marks:
            said.append(f" ({', '.join(marks)})", style="dim")
        table.add_row("", skill.name, said)
    return table
