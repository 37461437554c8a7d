"""`motet search`: the passages that the retriever finds, and why."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motet.cli.principals import Access, Tenant, principal
from motet.cli.terminal import AsJson, Status, client_settings, fail, out, run, write_json

if TYPE_CHECKING:
    from motet.messages import Passage, SearchRequest, SearchResult

__all__ = ["search"]

SKILL = "retriever.search"

SEARCH_WITHIN_S = 300.0
"""Seconds; a strategy may ask a model several times."""


def search(  # noqa: PLR0917 - Typer passes options by name
    query: Annotated[str, typer.Argument(help="What to look for, in plain words.")],
    strategy: Annotated[
        str | None,
        typer.Option(
            help="How to look: basic, hybrid, multi_query, hyde, hierarchical, multi_hop, graph "
            "or hybrid_graph.",
            show_default=False,
        ),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(
            "--filter",
            metavar="JSON",
            help="Only passages for which this holds.",
            show_default=False,
        ),
    ] = None,
    source: Annotated[
        list[str] | None, typer.Option(help="Only of this document; may be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option(help="How many passages at most.", min=1, max=100)] = 5,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show why each is here: branches, ranks, scores.")
    ] = False,
    tenant: Tenant = "default",
    access: Access = None,
    as_json: AsJson = False,
) -> None:
    """Search the documents that were ingested."""
    from motet.client import Motet
    from motet.messages import SearchResult

    who = principal(tenant, access or ())
    request = _request(
        query=query,
        strategy=strategy,
        filter=None if where is None else _json(where),
        sources=tuple(source or ()),
        limit=limit,
    )

    async def main() -> SearchResult:
        async with Motet.open(client_settings()) as motet:
            return await motet.call(
                SKILL, request, SearchResult, timeout_s=SEARCH_WITHIN_S, principal=who
            )

    found = run(main())
    if as_json:
        write_json(found)
        return
    if explain:
        _explain(found)
    for number, passage in enumerate(found.passages, 1):
        _show(number, passage, explain=explain)
    if not found.passages:
        out().print("Nothing was found.")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        fail(f"--filter is not JSON: {error}.", Status.USAGE)


def _request(**values: object) -> SearchRequest:
    """The request, or the end of the command when it is none."""
    from pydantic import ValidationError

    from motet.messages import SearchRequest

    try:
        return SearchRequest.model_validate(values)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()
        )
        fail(f"This cannot be searched for: {wrong}.", Status.USAGE)


def _explain(found: SearchResult) -> None:
    if found.strategy is not None:
        out().print(f"strategy {found.strategy}", style="dim")
    for query in found.queries:
        out().print(f"also asked: {query}", style="dim", markup=False)


def _show(number: int, passage: Passage, *, explain: bool) -> None:
    """A passage: where it stands, why it is here, and what it says."""
    from rich.padding import Padding
    from rich.text import Text

    from motet.cli.layout import clock, indented, width

    place = [passage.source]
    if passage.page is not None:
        place.append(f"page {passage.page}")
    if passage.start_s is not None:
        place.append(clock(passage.start_s))
    if passage.section:
        place.append(" > ".join(passage.section))
    head = Text.assemble((f"{number:>3}  ", "bold"), (", ".join(place), "cyan"))
    out().print(head.append(f"  {passage.score:.4f}", style="dim"), soft_wrap=True)
    if passage.reason:
        out().print(Padding(Text(passage.reason, style="dim"), (0, 0, 0, 5)), width=width(out()))
    for branch in passage.branches if explain else ():
        asked = f"  asked {branch.query!r}" if branch.query else ""
        line = f"     {branch.branch:<8} rank {branch.rank:>3}  score {branch.score:.4f}{asked}"
        out().print(line, style="dim", markup=False, soft_wrap=True)
    out().print(indented(Text(passage.text.strip()), 5), width=width(out()))
